"""The command line, ``tpsnet COMMAND``; ``tpsnet --help`` lists the commands.

What the user can mend ends in one line and exit code 2.
"""

import sys
from collections.abc import Sequence

from tpsnet.cli.startup import check_installation
from tpsnet.errors import InputError, NotebookFailed


def main(argv: Sequence[str] | None = None) -> int:
    """Check the installation, parse ``argv``, run the command; returns the exit code."""
    try:
        check_installation()
        # Imported after the check, which else came too late to name a broken installation.
        from tpsnet.cli.commands import parse

        parse(sys.argv[1:] if argv is None else list(argv))()
    except InputError as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 2
    except NotebookFailed as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tpsnet: interrupted", file=sys.stderr)
        return 130
    return 0
