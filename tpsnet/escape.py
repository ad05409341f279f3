"""Text that came from a folder, a file or an error, written so that it stays text wherever it is shown.

One function for each place. Only what is shown passes through them: data files keep names as they are. In all
of them a character that would act on the line instead of standing in it is shown as Python writes it: a line
break, the first character of an escape sequence, a reversal of the writing direction. Letters of any script,
accents and spaces look as they are.
"""

import html
import re
import unicodedata

# Control characters, line separators, reversals of direction, and bytes of a file name that are no UTF-8.
ACTING = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ACTING = re.compile(f"[{ACTING}]")
# In Markdown these stand in a code span, the one place where no reader of Markdown, and no MathJax after it,
# looks for mathematics. nbconvert looks for $$ even there: of two dollars the second stands outside.
_CODE = re.compile(rf"((?:\$?(?:^ +| +\Z|[\\{ACTING}]))+\$?|\$)(\$?)")
# "@", ":" and "." are here where an address would become a link.
_MARKUP = re.compile(r"[`*_\[<|~]|&(?=#?\w+;)|@(?=[\w-]+\.\w)|:(?=//)|(?<=www)\.", re.IGNORECASE)
_LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"}
    | {"`": r"\textasciigrave{}", "'": r"\textquotesingle{}"}
    | {"→": r"$\rightarrow$", "↔": r"$\leftrightarrow$", "±": r"$\pm$", "²": "$^2$", "–": "--"}
)
_PLOTLY = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def printable(text: object) -> str:
    """For a terminal, a log or an error: one line, which moves neither the cursor nor the direction."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), str(text))


def escape_html(text: object) -> str:
    """For HTML, also between quotes of either kind."""
    return html.escape(printable(text))


def escape_markdown(text: object) -> str:
    """For a line of Markdown, also in a cell of a table or between ``**``.

    GitHub, JupyterLab, nbconvert and mistune all show the text as it is. What they could take for
    mathematics, backslashes and dollars, stands in code; so do spaces at either end and what ``printable``
    changes.
    """
    parts, start = [], 0
    for found in _CODE.finditer(text := str(text)):
        code, dollar = printable(found[1]), found[2]
        code = f" {code} " if code.endswith("\\") else code  # JupyterLab would read \` as no end of the code
        parts += [_outside(text[start : found.start()]), f"`{code}`", dollar and r"\$"]
        start = found.end()
    return "".join([*parts, _outside(text[start:])])


def escape_plotly(text: object) -> str:
    """For a text of a Plotly figure, where tags, ``$`` for mathematics and ``%{…}`` in templates count."""
    return printable(text).translate(_PLOTLY).replace("%{", "&#37;{")


def escape_latex(text: object) -> str:
    r"""For a line of LaTeX, also in a cell of a table or an argument, with T1 fonts.

    Letters of other scripts than Latin stay as they are: those need LuaLaTeX or XeLaTeX.
    """
    return printable(text).translate(_LATEX)


def _outside(text: str) -> str:
    """Markdown outside of code."""
    return _MARKUP.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """A sign of Markdown as text; a "_" inside a word is none and is left as it is."""
    beside = found.string[max(0, found.start() - 1) : found.start()] + found.string[found.end() :][:1]
    inside = len(beside) == 2 and all(unicodedata.category(letter)[0] in "LMN" for letter in beside)
    return "_" if found[0] == "_" and inside else rf"\{found[0]}"
