"""The words for domains: texts of classes, and so results, depend on them."""

import pytest

from tpsnet.data import style_of


@pytest.mark.parametrize(
    ("domain", "style"),
    [
        ("line", "line drawing"),
        ("rendered", "3D render"),
        ("Real World", "photo"),
        ("real_world", "photo"),
        ("Clipart", "clip art picture"),
        ("etching", "etching picture"),
        ("Old_Prints", "old prints picture"),
    ],
)
def test_wording(domain, style):
    assert style_of(domain) == style
