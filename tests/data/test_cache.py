import errno
import logging
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from caches import IMAGE_BYTES, cache_files, pixel_file
from PIL import Image

from tpsnet.data import cache as cache_module
from tpsnet.data import cache_home, image_folder, load_images, single_image, unlabelled_folder
from tpsnet.errors import InputError


@pytest.fixture
def domain(tree):
    return image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*_):
        pytest.fail("decoded although cached")

    monkeypatch.setattr(Image, "open", refuse)


def test_cache_home(monkeypatch, cache):
    assert cache_home() == cache
    monkeypatch.setenv("TPSNET_CACHE", "~/elsewhere")
    assert cache_home() == Path.home() / "elsewhere"
    monkeypatch.delenv("TPSNET_CACHE")
    assert cache_home() == Path.home() / ".cache/tpsnet"


def test_the_second_time_nothing_is_decoded(domain, cache, request):
    first = load_images(domain, 16)
    request.getfixturevalue("no_decoding")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = load_images(domain, 16)
    assert torch.equal(first[1].pixels, second[1].pixels)
    assert second[0] is domain and second[1].name == "art"
    assert len(cache_files(cache)) == 2


def test_writing_into_the_pixels_does_not_reach_the_cache(domain, cache):
    images = load_images(domain, 16)[1]
    file = pixel_file(cache)
    before = file.read_bytes()
    images.pixels.zero_()
    images[[1, 2]].zero_()
    assert file.read_bytes() == before and images.pixels.any()


def test_a_copied_tree_shares_the_cache(domain, tmp_path, cache):
    load_images(domain, 16)
    copy = shutil.copytree(tmp_path / "root", tmp_path / "copy")
    load_images(image_folder(copy)["art"], 16)
    assert len(cache_files(cache)) == 2


def test_an_edit_is_seen_even_if_time_and_length_stay(domain):
    pixels = load_images(domain, 16)[1].pixels
    short, long = sorted((1, 2), key=lambda i: domain.paths[i].stat().st_size)
    stat = domain.paths[long].stat()
    domain.paths[long].write_bytes(domain.paths[short].read_bytes().ljust(stat.st_size, b"\0"))
    os.utime(domain.paths[long], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert domain.paths[long].stat().st_size == stat.st_size
    changed = load_images(domain, 16)[1].pixels
    assert torch.equal(changed[long], pixels[short]) and torch.equal(changed[0], pixels[0])


def test_order_and_size_have_their_own_files(domain, cache):
    pixels = load_images(domain, 16)[1].pixels
    turned = load_images(domain.subset([5, 4, 3, 2, 1, 0]), 16)[1].pixels
    assert torch.equal(turned, pixels.flip(0))
    assert load_images(domain, 12)[1].pixels.shape == (6, 3, 12, 12)
    assert len(cache_files(cache)) == 6


def spoil(domain):
    """Four bad images of class ant beside its three good ones of 20×24 px."""
    good = domain.paths[0].read_bytes()
    folder = domain.paths[0].parent
    (folder / "broken.png").write_bytes(b"this is no image")
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").touch()
    Image.new("RGB", (40, 7)).save(folder / "tiny.png")
    return image_folder(folder.parent.parent)["art"]


def test_bad_images_are_named_counted_and_skipped(domain, caplog, request):
    spoiled = spoil(domain)
    assert len(spoiled) == 10
    with caplog.at_level(logging.WARNING, "tpsnet"):
        kept, images = load_images(spoiled, 16)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5 and not any("\n" in line for line in lines)
    for name, reason in [("broken", "not an image"), ("cut", ""), ("empty", "empty"), ("tiny", "40×7 px")]:
        assert sum(f"{name}." in line and reason in line for line in lines) == 1
    assert "4 of 10" in lines[-1]
    assert kept.paths == domain.paths and kept.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(images.pixels, load_images(domain, 16)[1].pixels)

    caplog.clear()
    request.getfixturevalue("no_decoding")
    again, cached = load_images(spoiled, 16)
    assert [record.getMessage() for record in caplog.records] == lines
    assert again.paths == kept.paths and torch.equal(cached.pixels, images.pixels)


def test_an_unreadable_file_is_skipped_until_it_can_be_read(domain, tmp_path):
    content = domain.paths[0].read_bytes()
    domain.paths[0].unlink()
    assert len(load_images(domain, 16)[1]) == 5
    domain.paths[0].write_bytes(content)
    assert len(load_images(domain, 16)[1]) == 6


@pytest.mark.parametrize("gone", [[3, 4, 5], [0, 1, 2, 3, 4, 5]])
def test_a_class_without_a_readable_image_is_an_error(domain, gone):
    for i in gone:
        domain.paths[i].write_bytes(b"")
    for _ in range(2):  # decoding, then from the cache
        with pytest.raises(InputError, match="art/ant" if 0 in gone else "art/bee"):
            load_images(domain, 16)


def test_images_without_a_class_are_named_by_their_folder(tmp_path):
    (tmp_path / "scans").mkdir()
    file = tmp_path / "scans" / "x.png"
    file.write_bytes(b"this is no image")
    for domain in (unlabelled_folder(tmp_path / "scans"), single_image(file)):
        with pytest.raises(InputError, match=r"^scans: no readable image left .*x\.png: not an image"):
            load_images(domain, 16)


def test_a_file_that_changes_meanwhile_is_not_kept(domain, cache, monkeypatch):
    read, seen = Path.read_bytes, set()

    def changing(path):
        again = path in seen
        seen.add(path)
        return read(path) + (b"x" if again else b"")

    monkeypatch.setattr(Path, "read_bytes", changing)
    with pytest.raises(InputError, match="changed"):
        load_images(domain, 16)
    assert cache_files(cache) == []


PASSING = {
    "memory": MemoryError(),
    "the disk": OSError(errno.EIO, "Input/output error"),
    "open files": OSError(errno.EMFILE, "Too many open files"),
    "a stale handle": OSError(errno.ESTALE, "Stale file handle"),
}


@pytest.mark.parametrize("error", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("stage", ["reading", "reading again", "decoding", "resizing"])
def test_a_fault_that_may_pass_ends_the_build_and_is_not_remembered(domain, cache, monkeypatch, error, stage):
    """Nothing is left, as no block was finished."""
    calls, read = [], Path.read_bytes

    def failing(*_, **__):
        raise error

    def failing_read(path):
        calls.append(path)
        fails = path.name == "001.png" and calls.count(path) == (1 if stage == "reading" else 2)
        return failing() if fails else read(path)

    with monkeypatch.context() as patch:
        if stage.startswith("reading"):
            patch.setattr(Path, "read_bytes", failing_read)
        else:
            patch.setattr(
                *{"decoding": (Image.Image, "load"), "resizing": (cache_module, "resized")}[stage], failing
            )
        with pytest.raises(InputError, match=r"\.png: cannot be read now \(.+\)") as caught:
            load_images(domain, 16)
    assert "\n" not in str(caught.value) and (stage == "reading" or cache_files(cache) == [])
    assert len(load_images(domain, 16)[1]) == 6


def test_an_interrupt_ends_the_build_and_leaves_nothing(domain, cache, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "resized", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_images(domain, 16)
    assert cache_files(cache) == [] and len(load_images(domain, 16)[1]) == 6


LIMITED = """
import resource, sys
from pathlib import Path
from PIL import Image
from tpsnet.data import decode, image_folder, load_images
from tpsnet.data.decode import PixelBudget
from tpsnet.errors import InputError
Image.MAX_IMAGE_PIXELS = 20_000_000
domain = image_folder(sys.argv[1])["art"]

def limit(room=None):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = resource.RLIM_INFINITY if room is None else used + room * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

for path in domain.paths:
    limit(200 if path.suffix == ".jp2" else 40)  # room for the pixels, not for what its decoder needs beside
    try:
        decode(path)
    except MemoryError:
        print(path.name, "later")
limit(40)
try:
    load_images(domain, 16)
except InputError as error:
    print(error)
limit()
print(len(load_images(domain, 16)[1]))

def megabytes(kind):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(kind)).split()[1]) // 1024

sys.modules["tpsnet.data.decode"].BUDGET = PixelBudget(1)  # one at a time, in several threads
before = megabytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark
load_images(domain.subset([0] * 6), 16)
print(megabytes("VmHWM") - before)
"""


def test_large_pictures_take_little_memory_and_without_it_none_is_called_broken(tmp_path):
    """Each has 100 MB of pixels, more than Pillow takes without a warning here, and several come in turn.

    Decoders call it by many names: "broken data", "could not create decoder object".
    """
    folder, names = tmp_path / "root/art/ant", ("a.png", "b.jp2", "c.webp")
    folder.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (5000, 5000), "red").save(folder / name)
    program = [sys.executable, "-c", LIMITED, str(tmp_path / "root")]
    done = subprocess.run(program, capture_output=True, text=True)
    *later, told, number, grown = done.stdout.splitlines()
    assert later == [f"{name} later" for name in names], done.stdout + done.stderr
    assert "cannot be read now (" in told and number == "3" and not done.stderr
    assert int(grown) < 250, "memory that was freed is held by each thread"


DAMAGE = {  # of the file with this ending
    "a byte less": (".npy", lambda b: b[:-1]),
    "a byte more": (".npy", lambda b: b + b"x"),
    "half": (".npy", lambda b: b[: len(b) // 2]),
    "empty": (".npy", lambda b: b""),
    "noise": (".npy", lambda b: b"\xff" * 40),
    "a flipped bit of a pixel": (".npy", lambda b: b[:500] + bytes([b[500] ^ 1]) + b[501:]),
    "a shifted start": (".npy", lambda b: b[3:]),
    "an image less": (".npy", lambda b: b[: 5 * IMAGE_BYTES] + b[6 * IMAGE_BYTES :]),
    "an open bracket in the header": (".npy", lambda b: b.replace(b"}", b"(")),
    "another shape": (".npy", lambda b: b.replace(b"(6, 3, 16, 16)", b"(3, 6, 16, 16)")),
    "signed pixels": (".npy", lambda b: b.replace(b"|u1", b"|i1")),
    "a cut line": (".journal", lambda b: b[:-1]),
    "empty journal": (".journal", lambda b: b""),
    "no checksum": (".journal", lambda b: b.partition(b" ")[2]),
    "no UTF-8": (".journal", lambda b: b"\xff" + b[1:]),
    "a skipped image": (".journal", lambda b: b.replace(b'"skipped": {}', b'"skipped": {"0": ""}')),
    "another CRC": (".journal", lambda b: b.replace(b'"crcs": [', b'"crcs": [1')),
    "another file": (".journal", lambda b: b.replace(b'"digests": "', b'"digests": "0')),
}


@pytest.mark.parametrize(("ending", "damage"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_file_is_built_again(domain, cache, ending, damage):
    pixels = load_images(domain, 16)[1].pixels.clone()
    file = pixel_file(cache).with_suffix(ending)
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.write_bytes(damage(whole))
    assert torch.equal(load_images(domain, 16)[1].pixels, pixels)
    assert file.read_bytes() == whole and len(cache_files(cache)) == 2


@pytest.mark.parametrize("ending", [".npy", ".journal"])
def test_one_of_the_files_alone_does_not_count(domain, cache, ending):
    pixels = load_images(domain, 16)[1].pixels.clone()
    pixel_file(cache).with_suffix(ending).unlink()
    assert torch.equal(load_images(domain, 16)[1].pixels, pixels)
    assert len(cache_files(cache)) == 2


def test_the_pixels_are_an_ordinary_array_of_the_kept_images(domain, cache):
    domain.paths[2].write_bytes(b"")
    _, images = load_images(domain, 16)
    assert np.array_equal(np.load(pixel_file(cache)), images.pixels.numpy()) and len(images) == 5


def test_a_cache_that_is_a_file(domain, cache):
    cache.touch()
    with pytest.raises(InputError, match=r"cannot write .*TPSNET_CACHE"):
        load_images(domain, 16)
