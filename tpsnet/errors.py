"""The errors that end a command in one line."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line: what, where, how to mend it.

    The command line prints the message and exits with code 2.
    """


class NotebookFailed(RuntimeError):
    """A cell raised, or the kernel died; one line says where, what, and where the partial notebook is.

    The command line prints the message and exits with code 1.
    """
