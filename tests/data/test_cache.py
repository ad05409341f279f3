import logging
import os
import resource
import shutil
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tpsnet.data import cache as cache_module
from tpsnet.data import cache_home, image_folder, load_images, single_image, unlabelled_folder
from tpsnet.errors import InputError


@pytest.fixture
def domain(tree):
    return image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]


def cache_files(cache):
    """Names of what lies in the cache; two files an entry."""
    return sorted(p.name for p in (cache / "pixels").iterdir())


def pixel_file(cache):
    (file,) = (cache / "pixels").glob("*.npy")
    return file


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
    pixels = load_images(domain, 16)[1].pixels
    file = pixel_file(cache)
    before = file.read_bytes()
    pixels.zero_()
    assert file.read_bytes() == before


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


IMAGE_BYTES = 3 * 16 * 16
DAMAGE = {  # of the file with this ending
    "a byte less": (".npy", lambda b: b[:-1]),
    "half": (".npy", lambda b: b[: len(b) // 2]),
    "empty": (".npy", lambda b: b""),
    "noise": (".npy", lambda b: b"\xff" * 40),
    "a flipped bit of a pixel": (".npy", lambda b: b[:500] + bytes([b[500] ^ 1]) + b[501:]),
    "a shifted start": (".npy", lambda b: b[3:]),
    "an image less": (".npy", lambda b: b[: 5 * IMAGE_BYTES] + b[6 * IMAGE_BYTES :]),
    "an open bracket in the header": (".npy", lambda b: b.replace(b"}", b"(")),
    "another shape": (".npy", lambda b: b.replace(b"(6, 3, 16, 16)", b"(3, 6, 16, 16)")),
    "a number without an end": (
        ".npy",
        lambda b: b.replace(b"(6, 3, 16, 16)", b"(6, 3, 16, 9" + b"9" * 30 + b")"),
    ),
    "signed pixels": (".npy", lambda b: b.replace(b"|u1", b"|i1")),
    "no JSON": (".json", lambda b: b[:-1]),
    "empty JSON": (".json", lambda b: b""),
    "a list": (".json", lambda b: b"[]"),
    "no facts": (".json", lambda b: b"{}"),
    "no skipped images": (".json", lambda b: b.replace(b"{}", b"3")),
    "a skipped image too many": (".json", lambda b: b.replace(b"{}", b'{"0": ""}')),
    "another checksum": (".json", lambda b: b.replace(b'"crc": ', b'"crc": 1')),
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


@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_one_of_the_files_alone_does_not_count(domain, cache, ending):
    pixels = load_images(domain, 16)[1].pixels.clone()
    pixel_file(cache).with_suffix(ending).unlink()
    assert torch.equal(load_images(domain, 16)[1].pixels, pixels)
    assert len(cache_files(cache)) == 2


def test_the_pixels_are_an_ordinary_array_of_the_kept_images(domain, cache):
    domain.paths[2].write_bytes(b"")
    _, images = load_images(domain, 16)
    assert np.array_equal(np.load(pixel_file(cache)), images.pixels.numpy()) and len(images) == 5


@pytest.mark.parametrize("limit", [100, 1000, 128 + 6 * IMAGE_BYTES - 1])
def test_a_full_disk_is_one_line_and_leaves_nothing(domain, cache, limit):
    """A limit on the size of files makes the write itself fail, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(InputError, match="TPSNET_CACHE") as error:
            load_images(domain, 16)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(error.value)
    assert cache_files(cache) == []
    assert len(load_images(domain, 16)[1]) == 6


def test_a_cache_that_is_a_file(domain, cache):
    cache.touch()
    with pytest.raises(InputError, match=r"cannot write .*TPSNET_CACHE"):
        load_images(domain, 16)


@pytest.mark.parametrize("named", [0, 1])
def test_a_killed_build_does_not_count_and_is_swept_later(domain, cache, monkeypatch, named):
    """A child process is killed when all is written and ``named`` of the two files have their names."""
    child = os.fork()
    if not child:
        signal.alarm(60)
        rename, calls = Path.replace, []

        def killed(path, target):
            calls.append(path)
            if len(calls) > named:
                os.kill(os.getpid(), signal.SIGKILL)
            return rename(path, target)

        monkeypatch.setattr(Path, "replace", killed)
        load_images(domain, 16)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = [name for name in cache_files(cache) if name.endswith(".partial")]
    assert len(cache_files(cache)) == 2 and len(left) == 2 - named
    assert len(load_images(domain, 16)[1]) == 6
    assert set(left) < set(cache_files(cache)), "a young partial file may belong to a live build"
    for name in left:
        os.utime(cache / "pixels" / name, (0, 0))
    load_images(domain, 12)
    assert len(cache_files(cache)) == 4 and not any(n.endswith(".partial") for n in cache_files(cache))


def test_many_build_at_once(domain, cache, monkeypatch):
    """All find no cache file before the first has written one."""
    together, replacing = threading.Barrier(4), cache_module.replacing

    def replacing_together(*arguments):
        together.wait(timeout=60)
        return replacing(*arguments)

    with monkeypatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(cache_module, "replacing", replacing_together)
        results = [r[1].pixels for r in pool.map(load_images, [domain] * 4, [16] * 4)]
    assert len(cache_files(cache)) == 2
    assert all(torch.equal(pixels, load_images(domain, 16)[1].pixels) for pixels in results)
