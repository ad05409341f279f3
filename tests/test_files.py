"""Written whole, or the older file stays and one line says why."""

import pytest

from tpsnet.files import replacing
from tpsnet.types import InputError


def test_a_file_gets_its_name_at_the_end(tmp_path):
    file = tmp_path / "new" / "page.md"
    with replacing(file) as partial:
        partial.write_text("page")
        assert not file.exists()
    assert file.read_text() == "page" and list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_older_file(tmp_path, error):
    file = tmp_path / "page.md"
    file.write_text("old")
    expected = InputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected), replacing(file) as partial:
        partial.write_text("half")
        raise error
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_file_in_the_way_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"cannot write .*page\.md"),
        replacing(tmp_path / "file" / "page.md"),
    ):
        pass
