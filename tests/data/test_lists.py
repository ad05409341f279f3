"""Published lists: what they name, in any order and form, and what is wrong with a list."""

import pytest

from tpsnet.data import image_folder, listed
from tpsnet.errors import InputError


@pytest.fixture
def domain(tree):
    """Positions 0, 1 are ``ice cream``, 2 to 4 are ``zebra``."""
    return image_folder(tree({"clipart/ice cream": 2, "clipart/zebra": 3, "real/zebra": 3}))["clipart"]


def write(folder, text, part="train"):
    (folder / f"clipart_{part}.txt").write_bytes(text.encode())


def test_positions_rise_whatever_the_order_of_the_list(domain, tmp_path):
    write(tmp_path, "clipart/zebra/002.png 1\nclipart/ice cream/001.png 0\nclipart/zebra/000.png 1\n")
    write(tmp_path, "clipart/zebra/001.png 1", "test")
    assert listed(domain, tmp_path, "train") == [1, 2, 4]
    assert listed(domain, str(tmp_path), "test") == [3]


def test_class_numbers_are_ignored_and_may_be_missing(domain, tmp_path):
    write(tmp_path, "clipart/ice cream/000.png\r\nclipart/zebra/001.png 345\r\n\r\n")
    assert listed(domain, tmp_path, "train") == [0, 3]


def test_what_stands_before_the_domain_does_not_matter(domain, tmp_path):
    write(tmp_path, "/elsewhere/DomainNet/clipart/zebra/001.png 1\n./clipart/ice cream/001.png 0\n")
    assert listed(domain, tmp_path, "train") == [1, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "this list of images is empty"),
        (" \n\n", "this list of images is empty"),
        ("clipart/zebra/000.png 1\nclipart/zebra/007.png 1\nzebra/001.png 1\n", r"2 of 3 lines .*007\.png'"),
        ("/ 0\n. 0\n", "2 of 2 lines"),
        (f"clipart/zebra/{300 * 'x'}.png 1\n", "1 of 1 lines"),
        ("real/zebra/000.png 1\n", r"1 of 1 lines .*'clipart'.*'real/zebra/000\.png'"),
        ("clipart/zebra/000.png 1\nclipart/zebra/000.png\n", r"names clipart/zebra/000\.png 2 times"),
    ],
)
def test_a_wrong_list_is_one_line(domain, tmp_path, text, words):
    write(tmp_path, text)
    with pytest.raises(InputError, match=words) as error:
        listed(domain, tmp_path, "train")
    assert "\n" not in str(error.value) and "clipart_train.txt" in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_first_line(domain, tmp_path):
    (tmp_path / "clipart_train.txt").write_text("clipart/zebra/001.png 1\n", encoding="utf-8-sig")
    assert listed(domain, tmp_path, "train") == [3]


def test_a_list_that_cannot_be_read(domain, tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*clipart_test\.txt \(No such file"):
        listed(domain, tmp_path, "test")
    (tmp_path / "clipart_test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"cannot read .*clipart_test\.txt .*; use the published list"):
        listed(domain, tmp_path, "test")


def test_a_listed_image_that_was_found_unreadable_is_passed_over(domain, tmp_path):
    """``load_images`` leaves it out with a warning, and the list still names it."""
    lines = ["/".join(path.parts[-3:]) for path in domain.paths[:3]]
    write(tmp_path, "\n".join(lines))
    kept = domain.subset(range(1, len(domain)))
    assert listed(kept, tmp_path, "train") == [0, 1]
