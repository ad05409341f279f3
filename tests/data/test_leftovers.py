"""What is left in the cache: told by why it is there, removed when asked, and never what somebody uses."""

import errno
import os
import shutil
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from caches import HEADER, IMAGE_BYTES, cache_files, contents, largest_file, pixel_file
from filelock import FileLock
from PIL import Image

from tpsnet.data import image_folder, left_behind, load_images
from tpsnet.data.digests import Record
from tpsnet.data.home import in_bytes
from tpsnet.errors import InputError
from tpsnet.io import RowFile, read_tensors, unread, write_tensors
from tpsnet.types import Resize


@pytest.fixture
def root(tree):
    return tree({"art/ant": 3, "art/bee": 3})


def art(root):
    return image_folder(root)["art"]


def edit(root):
    """Another picture in place of one."""
    Image.new("RGB", (30, 20), "red").save(root / "art/ant/001.png")


def npy(cache) -> set[str]:
    return {name for name in cache_files(cache) if name.endswith(".npy")}


def size(cache, *but: Path) -> str:
    """All entries but those of some pixel files."""
    names = [name for name in cache_files(cache) if not any(name.startswith(file.stem) for file in but)]
    return in_bytes(sum((cache / "pixels" / name).stat().st_size for name in names))


def test_earlier_pictures_are_told_and_removed(root, cache, count_decoded):
    load_images(art(root), 16)
    assert left_behind([art(root)], 16).described() == ""
    (old,) = npy(cache)
    edit(root)
    pixels = load_images(art(root), 16)[1].pixels
    rest = left_behind([art(root)], 16)
    (new,) = npy(cache) - {old}
    assert rest.described() == f"{size(cache, Path(new))} of earlier pictures"
    before = size(cache)
    assert rest.remove() == f"{cache}/pixels: {before} before, {size(cache)} after" and size(cache) != before
    assert len(cache_files(cache)) == 2 and npy(cache) == {new}
    count_decoded.clear()
    assert torch.equal(load_images(art(root), 16)[1].pixels, pixels) and not count_decoded
    assert left_behind([art(root)], 16).described() == ""


def test_other_sizes_and_ways_of_resizing_are_told_and_removed(root, cache):
    load_images(art(root), 12)
    new = pixel_file(cache)
    load_images(art(root), 16)
    load_images(art(root), Resize(16, "squash"))
    rest = left_behind([art(root)], 12)
    assert rest.described() == f"{size(cache, new)} in other sizes or ways of resizing"
    rest.remove()
    assert len(npy(cache)) == 1 and len(load_images(art(root), 12)[1]) == 6


def test_a_domain_that_is_not_named_keeps_all(tree, cache):
    root = tree({"art/ant": 3, "art/bee": 3, "line/ant": 3, "line/bee": 3})
    domains = image_folder(root)
    for side in (16, 12):
        for domain in domains.values():
            load_images(domain, side)
    left_behind([domains["art"]], 16).remove()
    assert len(npy(cache)) == 3


def test_other_classes_of_the_same_folder_keep_theirs(tree, cache, count_decoded):
    """A data set and its subset, as DomainNet and its seven classes, lie in one folder."""
    root = tree({"art/ant": 3, "art/bee": 3, "art/cow": 2})
    whole = image_folder(root)["art"]
    part = whole.subset(range(6))
    load_images(whole, 16)
    count_decoded.clear()
    load_images(part, 16)
    assert not count_decoded  # copied from the whole
    for domain in (whole, part):
        rest = left_behind([domain], 16)
        assert rest.described() == ""
        rest.remove()
    assert len(npy(cache)) == 2
    edit(root)
    load_images(part, 16)
    assert left_behind([part], 16).described().endswith("of earlier pictures")
    left_behind([part], 16).remove()
    assert len(npy(cache)) == 2
    load_images(part, 12)
    left_behind([part], 12).remove()
    assert len(npy(cache)) == 2


def test_what_is_of_folders_that_are_gone_is_removed_with_its_record(root, cache, tmp_path):
    load_images(art(root), 16)
    new, other = pixel_file(cache), shutil.copytree(root, tmp_path / "other")
    edit(other)
    load_images(art(other), 16)
    shutil.rmtree(other)
    assert len(npy(cache)) == len(list((cache / "digests").iterdir())) == 2
    rest = left_behind([art(root)], 16)
    assert rest.described() == f"{size(cache, new)} of folders that are gone"
    rest.remove()
    assert len(npy(cache)) == len(list((cache / "digests").iterdir())) == 1
    assert left_behind([art(root)], 16).described() == ""


def test_a_folder_that_is_gone_is_known_as_long_as_its_images_are_read(root, cache, tmp_path):
    other = shutil.copytree(root, tmp_path / "other")
    images = load_images(art(other), 12)[1]
    shutil.rmtree(other)
    load_images(art(root), 16)
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == 2 and len(images.pixels) == 6
    del images
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == len(list((cache / "digests").iterdir())) == 1


def test_a_folder_that_cannot_be_looked_at_is_not_gone(root, cache, tmp_path, monkeypatch):
    load_images(art(root), 16)
    load_images(art(shutil.copytree(root, tmp_path / "other")), 12)
    stat = os.stat

    def faulty(path, **how):
        if b"other" in os.fsencode(path):
            raise OSError(errno.EIO, "Input/output error")
        return stat(path, **how)

    monkeypatch.setattr(os, "stat", faulty)
    assert left_behind([art(root)], 16).described() == ""


def test_what_another_folder_has_as_its_newest_stays(root, cache, tmp_path):
    """A copy of the folder, loaded in another size, and one from before the pictures changed."""
    copy = shutil.copytree(root, tmp_path / "copy")
    for side in (16, 12):
        load_images(art(root), side)
        load_images(art(copy), side)
    edit(root)
    load_images(art(root), 16)
    before = contents(cache)
    rest = left_behind([art(root)], 16)
    assert rest.described() == ""
    rest.remove()
    assert contents(cache) == before
    shutil.rmtree(copy)
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == 1


@contextmanager
def process(work):
    """Another process that has begun its work; killed at the end."""
    ready, child = os.pipe(), os.fork()
    if not child:
        signal.alarm(60)
        try:
            kept = work()  # noqa: F841 (open until the process ends)
            os.write(ready[1], b"x")
            signal.pause()
        finally:
            os._exit(1)
    os.read(ready[0], 1)
    yield
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("use", ["reads", "builds"])
def test_what_another_process_uses_stays_until_it_ends(root, cache, use):
    load_images(art(root), 12)
    old = pixel_file(cache)
    load_images(art(root), 16)
    (new,) = npy(cache) - {old.name}
    work = {
        "reads": lambda: load_images(art(root), 12),
        "builds": lambda: FileLock(old.with_suffix(".lock")).acquire(),
    }[use]
    before = contents(cache)
    with process(work):
        told = left_behind([art(root)], 16).remove()
        assert contents(cache) == before
        before, used = size(cache), size(cache, Path(new))
        assert told == f"{cache}/pixels: {before} before, {before} after; {used} in use, which stay"
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == 1 and not old.exists()


def test_what_is_read_here_stays_and_can_be_read_on(root, cache):
    small = load_images(art(root), 12)[1]
    load_images(art(root), 16)
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == 2 and len(small.pixels) == 6
    del small
    left_behind([art(root)], 16).remove()
    assert len(npy(cache)) == 1


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_killed_removal_is_ended_by_the_next(root, cache, tmp_path, calls, monkeypatch):
    """What is needed is whole, and what was to be removed is found again."""
    load_images(art(root), 12)
    other = shutil.copytree(root, tmp_path / "other")
    edit(other)
    load_images(art(other), 12)
    shutil.rmtree(other)
    load_images(art(root), 16)
    child = os.fork()
    if not child:
        signal.alarm(60)
        unlink, seen = Path.unlink, []

        def killed(path, **how):
            seen.append(path)
            if len(seen) == calls:
                os.kill(os.getpid(), signal.SIGKILL)
            unlink(path, **how)

        monkeypatch.setattr(Path, "unlink", killed)
        left_behind([art(root)], 16).remove()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert left_behind([art(root)], 16).described()
    left_behind([art(root)], 16).remove()
    assert len(cache_files(cache)) == 2 and len(list((cache / "digests").iterdir())) == 1


def test_an_entry_that_was_begun_and_never_finished_is_removed(root, cache, blocks):
    with largest_file(HEADER + 4 * IMAGE_BYTES), pytest.raises(InputError, match="what is finished is kept"):
        load_images(art(root), 16)
    assert any(name.endswith(".part") for name in cache_files(cache))
    edit(root)
    load_images(art(root), 16)
    left_behind([art(root)], 16).remove()
    assert len(cache_files(cache)) == 2 and len(npy(cache)) == 1


def test_nothing_else_is_removed(root, cache, tmp_path):
    """A record that names other files, and files in the cache that are none of an entry."""
    load_images(art(root), 16)
    outside, link = tmp_path / "outside.npy", cache / "pixels" / f"{'a' * 32}.npy"
    inside = [cache / "pixels" / name for name in ("notes.npy", f"{'b' * 32}.txt", f"{'c' * 33}.npy")]
    for file in (outside, *inside):
        file.write_bytes(b"precious")
    link.symlink_to(outside)
    (record,) = (cache / "digests").iterdir()
    tensors, meta = read_tensors(record)
    names = ["../../outside", str(outside.with_suffix("")), "notes", "c" * 33, "b" * 32, "a" * 32, ""]
    write_tensors(record, tensors, meta | {"older": names})
    left_behind([art(root)], 16).remove()
    assert all(file.read_bytes() == b"precious" for file in (outside, *inside))
    assert not link.is_symlink() and len(load_images(art(root), 16)[1]) == 6


def test_a_record_without_these_names_is_read_and_completed(root, cache, monkeypatch):
    """As a version has written it that kept the newest entries alone: no file is read again."""
    old = 1_600_000_000
    for file in root.rglob("*.png"):
        os.utime(file, (old, old))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    load_images(art(root), 16)
    (record,) = (cache / "digests").iterdir()
    tensors, meta = read_tensors(record)
    write_tensors(record, tensors, {"built": meta["built"]})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} is read"))
        load_images(art(root), 16)
    assert read_tensors(record)[1] == meta and meta["folder"]


def test_names_that_are_no_utf_8(root, cache, tmp_path):
    odd = tmp_path / os.fsdecode(b"\xe9t\xe9 %41")
    root.rename(odd)
    load_images(art(odd), 16)
    old = pixel_file(cache)
    edit(odd)
    load_images(art(odd), 16)
    (new,) = npy(cache) - {old.name}
    assert left_behind([art(odd)], 16).described() == f"{size(cache, Path(new))} of earlier pictures"
    left_behind([art(odd)], 16).remove()
    shutil.copytree(odd, root)
    load_images(art(root), 12)
    assert left_behind([art(root)], 12).described() == ""
    shutil.rmtree(odd)
    assert left_behind([art(root)], 12).described().endswith("B of folders that are gone")


def test_two_processes_name_their_entries_in_one_record(root, cache):
    """Each has read the record before the other writes it."""
    load_images(art(root), 16)
    first, second = Record(art(root)), Record(art(root))
    first.use("one", "1" * 32)
    second.use("other", "2" * 32)
    first.use("one", "3" * 32)
    held = Record(art(root)).held
    found = {name.partition("/")[0]: key for name, key in held.built.items()}
    assert found["one"] == "3" * 32 and found["other"] == "2" * 32 and held.older == ["1" * 32]


def test_a_file_that_is_being_removed_cannot_be_opened(root, cache):
    load_images(art(root), 16)
    file = pixel_file(cache)
    with unread(file) as free:
        assert free
        with pytest.raises(InputError, match=r"cannot read .*npy"):
            RowFile(file, 0, (1,), torch.zeros(1).numpy())
    images = load_images(art(root), 16)[1]
    with unread(file) as free:
        assert not free and len(images) == 6
    with unread(cache / "absent") as free:
        assert not free
