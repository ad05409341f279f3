"""What is read again, what is decoded again, and what a check alone can tell."""

import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from caches import HEADER, IMAGE_BYTES, pixel_file
from PIL import Image

from tpsnet.data import image_folder, load_images


@pytest.fixture
def domain(tree):
    return image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]


@pytest.fixture
def later(monkeypatch):
    """Files are no longer fresh: their times tell whether they have changed."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)


@pytest.fixture
def files_read(monkeypatch):
    """Names of the image files that are read."""
    found, read = [], Path.read_bytes

    def counted(path):
        found.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    return found


def test_files_of_the_same_size_and_times_are_not_read(domain, later, files_read):
    pixels = load_images(domain, 16)[1].pixels
    files_read.clear()
    assert torch.equal(load_images(domain, 16)[1].pixels, pixels) and files_read == []
    load_images(domain, 12)  # another size decodes, and needs no hash
    assert len(files_read) == 6


def test_fresh_files_are_read_again(domain, files_read):
    """Within a tick of the clock, a file can change without another time."""
    load_images(domain, 16)
    files_read.clear()
    load_images(domain, 16)
    assert len(files_read) == 6


def edit(path, colour="red"):
    Image.new("RGB", (30, 20), colour).save(path)


def replace_with_the_same_size(path):
    """Another file of this size and time takes its name: the entry's own time tells."""
    stat, other = path.stat(), path.with_name("other.png")
    Image.new("RGB", (20, 24), "red").save(other)
    other.write_bytes(other.read_bytes().ljust(stat.st_size, b"\0"))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_mtime_ns == stat.st_mtime_ns and path.stat().st_size == stat.st_size


CHANGES = {"edited": edit, "replaced": replace_with_the_same_size, "removed": Path.unlink}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changed_is_seen_by_size_or_times(domain, later, files_read, count_decoded, change, monkeypatch):
    before = load_images(domain, 16)[1].pixels
    files_read.clear(), count_decoded.clear()
    change(domain.paths[1])
    files_read.clear()
    found = image_folder(domain.paths[0].parents[2])["art"]
    after = load_images(found, 16)[1].pixels
    assert count_decoded == ([] if change is Path.unlink else ["001.png"]), "the others are copied"
    assert set(files_read) == set(count_decoded)
    monkeypatch.setenv("TPSNET_CACHE", f"{found.paths[0].parent}-elsewhere")
    assert torch.equal(after, load_images(found, 16)[1].pixels)
    assert torch.equal(after[-3:], before[-3:])


def test_a_change_of_times_alone_reads_and_decodes_nothing(domain, later, files_read, count_decoded):
    load_images(domain, 16)
    domain.paths[1].touch()
    os.chmod(domain.paths[2], 0o600)  # noqa: PTH101
    files_read.clear(), count_decoded.clear()
    load_images(domain, 16)
    assert sorted(files_read) == ["001.png", "002.png"] and count_decoded == []
    files_read.clear()
    load_images(domain, 16)
    assert files_read == []


def test_a_moved_tree_is_read_once_and_not_decoded_again(domain, tmp_path, later, files_read, count_decoded):
    load_images(domain, 16)
    (tmp_path / "root").rename(tmp_path / "moved")
    moved = image_folder(tmp_path / "moved")["art"]
    files_read.clear(), count_decoded.clear()
    load_images(moved, 16)
    assert len(files_read) == 6
    load_images(moved, 16)
    assert len(files_read) == 6 and count_decoded == []


def test_added_images_are_decoded_alone(domain, cache, tmp_path, later, count_decoded, monkeypatch):
    load_images(domain, 16)
    for name, colour in (("ant/000a.png", "red"), ("bee/003.png", "blue")):
        edit(domain.paths[0].parent.parent / name, colour)
    more = image_folder(tmp_path / "root")["art"]
    count_decoded.clear()
    pixels = load_images(more, 16)[1].pixels
    assert sorted(count_decoded) == ["000a.png", "003.png"]
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "other"))
    assert torch.equal(load_images(more, 16)[1].pixels, pixels)


def test_a_damaged_pixel_is_not_copied(domain, cache, blocks, tmp_path, later, count_decoded):
    """The block in the midst is not looked at when the older cache is opened."""
    load_images(domain, 16)
    damage_a_pixel(pixel_file(cache), 3)
    edit(domain.paths[0].parent / "added.png")
    count_decoded.clear()
    load_images(image_folder(tmp_path / "root")["art"], 16)
    assert sorted(count_decoded) == ["000.png", "added.png"]


def damage_a_pixel(file, image):
    content = bytearray(file.read_bytes())
    content[HEADER + image * IMAGE_BYTES] ^= 1
    file.write_bytes(content)


def test_a_check_names_what_no_time_tells_and_decodes_it_anew(
    domain, later, count_decoded, monkeypatch, caplog
):
    """Bytes change, and size and times do not: as on a disk that has lost a bit."""
    load_images(domain, 16)
    stat, facts = os.stat, domain.paths[1].stat()
    edit(domain.paths[1])
    monkeypatch.setattr(os, "stat", lambda p, **how: facts if p == domain.paths[1] else stat(p, **how))
    count_decoded.clear()
    load_images(domain, 16)
    assert count_decoded == [] and not caplog.records
    _, images = load_images(domain, 16, check=True)
    (record,) = caplog.records
    assert "ant/001.png: its bytes are not those" in record.getMessage() and count_decoded == ["001.png"]
    assert (images[1].flatten(1).max(1).values - torch.tensor([255, 0, 0])).abs().max() < 3
    caplog.clear()
    load_images(domain, 16, check=True)
    assert not caplog.records


def test_a_check_reads_every_block_of_pixels(domain, cache, blocks, later, count_decoded, caplog):
    pixels = load_images(domain, 16)[1].pixels
    damage_a_pixel(pixel_file(cache), 3)
    count_decoded.clear()
    load_images(domain, 16)
    assert count_decoded == [], "at a start, the first and the last block are looked at"
    _, images = load_images(domain, 16, check=True)
    assert torch.equal(images.pixels, pixels) and len(count_decoded) == 6
    assert [r.getMessage() for r in caplog.records] == [
        f"{pixel_file(cache)}: its pixels are damaged; decoding anew"
    ]


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-9], lambda b: b[:100] + b"x" + b[101:]])
def test_without_its_record_files_are_read_again(domain, cache, later, count_decoded, damage):
    load_images(domain, 16)
    (file,) = (cache / "digests").iterdir()
    file.write_bytes(damage(file.read_bytes()))
    count_decoded.clear()
    load_images(domain, 16)
    assert count_decoded == []


def test_a_cache_that_cannot_be_written_is_read(domain, cache, later, monkeypatch):
    pixels = load_images(domain, 16)[1].pixels
    shutil.rmtree(cache / "digests")
    (cache / "digests").touch()
    assert torch.equal(load_images(domain, 16)[1].pixels, pixels)
