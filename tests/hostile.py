"""Names that a folder can have and that would act where they are shown, and what a reader makes of HTML."""

import html
import re

MARKUP = "<img src=x onerror=document.title=1>"
COLOURS = "bad\nname\x1b[31m\u202egnp"
NAMES = (
    MARKUP,
    COLOURS,
    "a|b",
    "`code` *em* __init__ _x_ ~~out~~",
    "[link](javascript:alert(1)) ![](x.png)",
    "$x$ and $$y$$",
    r"\(x\) \[y\] \begin{a}z\end{a} \*",
    "&lt;b&gt; &#36;",
    "http://a.example www.a.example a@a.example",
    "%{x} <b>bold</b><br>",
    " two  spaces ",
    "not utf-8: \udce9",
)
ORDINARY = (
    "black_footed_albatross",
    "001.Cat (tabby) & dog-house",
    "Größe, 中文 и кириллица",
    "हिन्दी_नाम",
    "שלום",
    "naïve café",
    "frozen CLIP, centred + flip",
    "P@1 = 50 %, #3; it's “so”",
)


def text(page: str) -> str:
    """What is read of some HTML."""
    return html.unescape(re.sub(r"<[^>]*>", "", page))


def tags(page: str) -> set[str]:
    """The names of its elements."""
    return set(re.findall(r"<(\w+)", page))
