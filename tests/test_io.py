"""Files that are there whole or not at all, and one line where they cannot be read or written."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass

import pytest
import torch
from caches import largest_file

from tpsnet.errors import InputError
from tpsnet.io import (
    read_json,
    read_json_lines,
    read_tensors,
    read_text,
    replacing,
    write_json,
    write_tensors,
    write_text,
)


def test_a_file_gets_its_name_at_the_end(tmp_path):
    file = tmp_path / "new" / "page.md"
    with replacing(file) as partial:
        partial.write_text("page")
        assert not file.exists() and partial.parent == file.parent
    assert file.read_text() == "page" and list(file.parent.iterdir()) == [file]


def test_an_older_file_is_replaced(tmp_path):
    file = tmp_path / "page.md"
    write_text(file, "old")
    with replacing(file) as partial:
        partial.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


def test_a_folder_gets_its_name_at_the_end(tmp_path):
    with replacing(tmp_path / "data") as partial:
        partial.mkdir()
        (partial / "page.md").write_text("page")
        assert not (tmp_path / "data").exists()
    assert (tmp_path / "data" / "page.md").read_text() == "page"
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


def test_an_older_folder_stays(tmp_path):
    write_text(tmp_path / "data" / "page.md", "old")
    with (
        pytest.raises(InputError, match=r"^cannot write .*data \(.*not empty"),
        replacing(tmp_path / "data") as new,
    ):
        new.mkdir()
        (new / "page.md").write_text("new")
    assert (tmp_path / "data" / "page.md").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt(), KeyError("x")]
)
@pytest.mark.parametrize("folder", [False, True])
def test_what_goes_wrong_leaves_the_older_file_and_nothing_else(tmp_path, error, folder):
    file = tmp_path / "page.md"
    file.write_text("old")
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected), replacing(file) as partial:
        if folder:
            partial.mkdir()
        (partial / "page.md" if folder else partial).write_text("half")
        raise error
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_the_line_names_the_file_the_reason_and_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "page.md"
    with pytest.raises(InputError) as caught:
        write_text(path, "page")
    mend = "free some space or choose another folder"
    assert str(caught.value) == f"cannot write {path} (File exists); {mend}"
    with pytest.raises(InputError, match=r"; give another name$"), replacing(path, "give another name"):
        pass


def test_nothing_written_is_one_line(tmp_path):
    with (
        pytest.raises(InputError, match=r"cannot write .*page\.md \(No such file"),
        replacing(tmp_path / "page.md"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_writers_of_the_same_file_do_not_meet(tmp_path):
    """Each has a name of its own until the end; the last one wins, with all it wrote."""
    file, start = tmp_path / "page.md", threading.Barrier(8, timeout=30)

    def write(letter: str) -> None:
        with replacing(file) as partial, partial.open("w") as out:
            for _ in range(100):
                out.write(letter)
                out.flush()
            start.wait()

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    text = file.read_text()
    assert text == 100 * text[0] and list(tmp_path.iterdir()) == [file]


def test_json_comes_back_as_it_was(tmp_path):
    value = {"name": "Größe ↔", "rows": [1, 2.5, None, {"x": True}]}
    write_json(tmp_path / "scores.json", value)
    assert read_json(tmp_path / "scores.json") == value
    text = (tmp_path / "scores.json").read_bytes().decode("utf-8")
    assert "Größe ↔" in text and text.endswith("}\n") and text.count("\n") > 5  # a person can read it


def test_a_file_name_that_is_no_utf8_comes_back_and_is_shown_in_pages(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xff.png")
    write_json(tmp_path / "paths.json", {"path": name, name: 1})
    assert read_json(tmp_path / "paths.json") == {"path": name, name: 1}
    write_text(tmp_path / "page.md", f"| {name} |")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == "| caf\\udce9 \\udcff.png |"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, r"^cannot read .*No such file.*; check the path$"),
        (b"\0", r"^cannot read .*; name another file$"),
        (b'{"a": ' + 10**5 * b"[", r"^cannot read .*nested too deep.*; name another file$"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"is a git-lfs pointer.*; run `git lfs pull`"),
        (b'{"half": ', r"^cannot read .*; name another file$"),
        (b"\xff\xfe", r"^cannot read .*; name another file$"),
        (b"[1, 2]", r"holds no JSON object; name another file$"),
    ],
)
def test_json_that_cannot_be_read_is_one_line(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "scores.json").write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        read_json(tmp_path / "scores.json")
    assert "\n" not in str(caught.value)


def test_tensors_come_back_bit_by_bit(tmp_path):
    grown = torch.zeros(3, requires_grad=True)
    shared = torch.arange(6.0)
    tensors = {
        "turned": torch.arange(6.0).view(2, 3).T,
        "views": shared[:3],
        "of one": shared[1:4],
        "half": torch.tensor([1.5, float("nan")], dtype=torch.bfloat16),
        "whole": torch.tensor([[2**40]]),
        "flags": torch.tensor([True, False]),
        "scalar": torch.tensor(3.0),
        "none": torch.zeros(0, 4),
        "grown": grown,
    }
    write_tensors(tmp_path / "new" / "x.safetensors", tensors, {"rows": [1, None, "é"], "deep": {"a": 0.1}})
    found, meta = read_tensors(tmp_path / "new" / "x.safetensors")
    assert meta == {"rows": [1, None, "é"], "deep": {"a": 0.1}} and set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor.detach(), rtol=0, atol=0, equal_nan=True)


def test_tensors_may_be_read_by_whoever_may_read_other_files(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {"a": torch.zeros(2)}, {})
    write_text(tmp_path / "x.txt", "a")
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "x.txt").stat().st_mode


def test_tensors_that_cannot_be_read_are_one_line(tmp_path):
    from safetensors.torch import save_file

    whole = tmp_path / "whole.safetensors"
    write_tensors(whole, {"x": torch.zeros(100)}, {})
    files = {name: tmp_path / f"{name}.safetensors" for name in ("cut", "empty", "text", "foreign", "list")}
    files["cut"].write_bytes(whole.read_bytes()[:-1])
    files["empty"].touch()
    files["text"].write_text("no tensors")
    save_file({"x": torch.zeros(1)}, files["foreign"])
    save_file({"x": torch.zeros(1)}, files["list"], {"meta": "[1]"})
    for file in files.values():
        with pytest.raises(InputError, match=f"^cannot read {file} .*; train again$") as caught:
            read_tensors(file, "train again")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_json, read_tensors, read_json_lines, read_text])
def test_what_is_no_file_is_not_opened_and_not_to_be_removed(tmp_path, read):
    """A pipe has no end, and "remove it" is no advice for what is not there."""
    os.mkfifo(tmp_path / "pipe")
    places = {
        tmp_path / "pipe": "no regular file",
        tmp_path: "no regular file",
        tmp_path / "gone": "No such file",
    }
    for path, reason in places.items():
        with pytest.raises(
            InputError, match=rf"^cannot read {path} \(.*{reason}.*\); (name a file|check the path)$"
        ):
            read(path)


@dataclass
class Head:
    rows: list


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path):
    """In a number, a name or the meta data; only in the padding of the head it says nothing."""
    file = tmp_path / "x.safetensors"
    write_tensors(file, {"x": torch.arange(5.0), "flags": torch.tensor([True, False])}, {"rows": ["a", 0.5]})
    whole, before = file.read_bytes(), read_tensors(file, kind=Head)
    for place in range(len(whole)):
        file.write_bytes(flipped(whole, place))
        with suppress(InputError):
            tensors, meta = read_tensors(file, kind=Head)
            assert meta == before[1] and all(torch.equal(tensors[name], t) for name, t in before[0].items())
            assert whole[place : place + 1] in b' ,:{}"' or place < 8
    file.write_bytes(flipped(whole, len(whole) - 1))
    with pytest.raises(InputError, match=r"its checksum is wrong"):
        read_tensors(file)


def test_a_file_without_a_checksum_is_read(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "x", {"meta": '{"old": true}'})
    assert read_tensors(tmp_path / "x") == ({"x": torch.ones(1)}, {"old": True})


def test_meta_data_of_another_form_are_one_line(tmp_path):
    write_tensors(tmp_path / "x", {}, {"rows": ["a", "b"]})
    with pytest.raises(InputError, match=r"x: rows\.0: .*valid integer.*, not 'a'; train again$"):
        read_tensors(tmp_path / "x", "train again", dict[str, list[int]])


def test_lines_of_json(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n\n{"a": 2}\n{"a"')
    assert read_json_lines(file) == [{"a": 1}, {"a": 2}]  # a kill has cut the last one
    for text, reason in (
        ('{"a": 1}\n{"a"\n', "line 2 .*; remove the line"),
        ("[]\n", "line 1: .*valid dictionary, not \\[\\]; remove the line"),
        ('{"a": 1}\n"text"', "line 2: .*valid dictionary, not 'text'; remove the line"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            read_json_lines(file)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_full_disk_leaves_the_older_tensors(tmp_path, size):
    file = tmp_path / "x.safetensors"
    write_tensors(file, {"x": torch.ones(2)}, {"old": True})
    before = file.read_bytes()
    with (
        pytest.raises(InputError, match=r"^cannot write .*x\.safetensors \(.*\); free some space"),
        largest_file(size),
    ):
        write_tensors(file, {"x": torch.zeros(10_000)}, {})
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_the_older_json(tmp_path):
    write_json(tmp_path / "scores.json", {"old": True})
    with pytest.raises(InputError, match="File too large"), largest_file(100):
        write_json(tmp_path / "scores.json", {"rows": list(range(1000))})
    assert read_json(tmp_path / "scores.json") == {"old": True}


def test_a_value_that_is_no_json_leaves_the_older_file(tmp_path):
    write_tensors(tmp_path / "x", {}, {"old": True})
    with pytest.raises(TypeError):
        write_tensors(tmp_path / "x", {}, {"path": tmp_path})
    with pytest.raises(TypeError):
        write_json(tmp_path / "x", {"path": tmp_path})
    assert read_tensors(tmp_path / "x") == ({}, {"old": True}) and len(list(tmp_path.iterdir())) == 1
