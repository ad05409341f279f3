"""A name is shown as itself, whatever it is made of: by four readers of Markdown, in HTML, in a terminal."""

import json
import random
import re

import mistune
import pytest
from hostile import COLOURS, MARKUP, NAMES, ORDINARY, tags, text
from markdown_it import MarkdownIt
from nbconvert.filters import markdown2html

from tpsnet.errors import InputError, NotebookFailed
from tpsnet.escape import escape_html, escape_markdown, escape_plotly, printable
from tpsnet.viz.document import markdown

READERS = {
    "the report": markdown,
    "nbconvert": markdown2html,
    "GitHub's rules": MarkdownIt("commonmark").enable(["table", "strikethrough"]).render,
    "mistune, addresses as links": mistune.create_markdown(
        escape=False, plugins=["table", "strikethrough", "url", "footnotes", "math"]
    ),
}
OURS = {"div", "ul", "li", "p", "strong", "em", "code", "table", "thead", "tbody", "tr", "th", "td"}


def mixtures(n: int) -> list[str]:
    """Names of pieces that mean something to somebody, at random."""
    rng = random.Random(0)
    pieces = [
        *"|`*_[]<>$\\!~@&#:()-+=. ab1é{}^\"'\n\r\t\x1b\u202e",
        "$$",
        "**",
        "\\(",
        "\\begin{a}",
        "\\end{a}",
    ]
    pieces += [
        "&lt;",
        "<b>",
        "http://x.y",
        "www.x.y",
        "a@b.cd",
        "](javascript:x)",
        "```",
        "~~",
        "<!--",
        "-->",
    ]
    return ["".join(rng.choices(pieces, k=rng.randint(1, 9))) for _ in range(n)]


@pytest.mark.parametrize("reader", READERS)
def test_in_markdown_each_name_is_read_as_itself(reader):
    """In bold, in italics, in a line and in the cells of a table."""
    for name in (*NAMES, *ORDINARY, *mixtures(300)):
        own, shown = escape_markdown(name), printable(name)
        page = READERS[reader](
            f"- **{own} → b**: *{own}* {own}.\n\n| {own} | a |\n| --- | --- |\n| b | {own} |\n"
        )
        assert tags(page) <= OURS, (name, page)
        item = re.search(r"<li>.*?</li>", page, re.S)
        cells = re.findall(r"<t[hd](?: [^>]*)?>.*?</t[hd]>", page, re.S)
        assert text(item[0]).strip("\n") == f"{shown} → b: {shown} {shown}.", (name, page)
        assert list(map(text, cells)) == [shown, "a", "b", shown], (name, page)


def test_mathematics_is_left_to_nobody():
    """MathJax reads the page after Markdown: outside of code no text may hold two dollars, or a backslash."""
    for name in (*NAMES, *mixtures(300)):
        page = READERS["GitHub's rules"](f"- x {escape_markdown(name)} y")
        for part in re.split(r"<code>.*?</code>|<[^>]*>", page):
            assert part.count("$") < 2 and "\\" not in part, (name, page)


def test_an_ordinary_name_is_the_same_in_a_terminal_and_in_markdown():
    for name in ORDINARY:
        assert printable(name) == escape_markdown(name) == name
        assert escape_html(name).replace("&amp;", "&").replace("&#x27;", "'") == name
        assert escape_plotly(name).replace("&amp;", "&") == name


def test_what_acts_on_a_line_is_shown():
    assert printable(COLOURS) == r"bad\nname\x1b[31m\u202egnp"
    assert printable("a\x85b\u2028c\udce9\x00\t\x7f") == r"a\x85b\u2028c\udce9\x00\t\x7f"
    assert printable("می‌خواهم ‏") == "می‌خواهم ‏"  # joiners and marks belong to their scripts


def test_in_html_a_name_stays_in_its_quotes():
    assert escape_html(MARKUP) == "&lt;img src=x onerror=document.title=1&gt;"
    assert escape_html("'\"\n") == "&#x27;&quot;\\n"


def test_in_a_figure_nothing_is_a_tag_a_formula_or_a_template():
    assert escape_plotly("<b>%{x} $x$ 5 % &lt;\n") == r"&lt;b&gt;&#37;{x} &#36;x&#36; 5 % &amp;lt;\n"


@pytest.mark.parametrize("kind", [InputError, NotebookFailed])
def test_an_error_is_one_line(kind):
    assert str(kind(f"{COLOURS}: gone")) == r"bad\nname\x1b[31m\u202egnp: gone"
    json.dumps(str(kind("\udce9"))).encode()
