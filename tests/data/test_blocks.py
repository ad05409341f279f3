"""A build that is killed, or meets a full disk or another builder: it has the bytes of an unbroken one."""

import errno
import logging
import os
import shutil
import signal
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from caches import HEADER, IMAGE_BYTES, cache_files, contents, largest_file, pixel_file

from tpsnet.data import blocks as blocks_module
from tpsnet.data import disk_need, image_folder, load_images
from tpsnet.errors import InputError


@pytest.fixture
def domain(tree):
    return image_folder(tree({"art/ant": 3, "art/bee": 3}))["art"]


@pytest.fixture
def undisturbed(domain, cache):
    """The bytes of both files of the domain, as one build writes them."""
    load_images(domain, 16)
    found = contents(cache)
    shutil.rmtree(cache)
    return found


@pytest.mark.parametrize("limit", [100, 1000, HEADER + 2 * IMAGE_BYTES - 1])
def test_a_disk_that_fills_in_the_first_block_is_one_line_and_leaves_nothing(
    domain, cache, blocks, undisturbed, limit
):
    with largest_file(limit), pytest.raises(InputError, match="TPSNET_CACHE") as error:
        load_images(domain, 16)
    assert "\n" not in str(error.value) and cache_files(cache) == []
    load_images(domain, 16)
    assert contents(cache) == undisturbed


@pytest.mark.parametrize("images", [2, 3, 4, 5.9])
def test_a_disk_that_fills_keeps_finished_blocks(domain, cache, blocks, undisturbed, count_decoded, images):
    with (
        largest_file(HEADER + int(images * IMAGE_BYTES)),
        pytest.raises(InputError, match="what is finished"),
    ):
        load_images(domain, 16)
    kept = int(images) // 2 * 2
    (part,) = (cache / "pixels").glob("*.part")
    assert part.stat().st_size == HEADER + kept * IMAGE_BYTES, "half a block is removed"
    count_decoded.clear()
    load_images(domain, 16)
    assert len(count_decoded) == 6 - kept and contents(cache) == undisturbed


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(domain, cache, monkeypatch):
    need = HEADER + 6 * IMAGE_BYTES
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, need - 1))
        told = r"^domain art needs 4\.7 kB in .*cache, 4\.7 kB are free; free some space or set TPSNET_CACHE"
        with pytest.raises(InputError, match=told):
            load_images(domain, 16)
        assert not (cache / "pixels").exists() and disk_need(domain, 16) == need
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, need))
        load_images(domain, 16)
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, 0))
        load_images(domain, 16)
    assert disk_need(domain, 16) == 0


def test_a_build_that_goes_on_needs_room_for_the_rest_alone(domain, cache, blocks, monkeypatch):
    with largest_file(HEADER + 4 * IMAGE_BYTES), pytest.raises(InputError):
        load_images(domain, 16)
    need = 2 * IMAGE_BYTES
    assert disk_need(domain, 16) == need
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**6, 0, need))
    assert len(load_images(domain, 16)[1]) == 6


def killed_at(monkeypatch, target, name, calls):
    """Kill a child process that builds, when a function is called for the time ``calls``."""

    def run(domain):
        child = os.fork()
        if not child:
            signal.alarm(60)
            original, seen = getattr(target, name), []

            def killed(*arguments):
                seen.append(arguments)
                if len(seen) == calls:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments)

            monkeypatch.setattr(target, name, killed)
            load_images(domain, 16)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL

    return run


KILLED = {  # the function, the call of it, and how many blocks are finished by then
    "in the first block": ("zlib.crc32", 2, 0),
    "before the first line": ("Block.line", 1, 0),
    "before the second line": ("Block.line", 2, 1),
    "before the last line": ("Block.line", 3, 2),
    "before the disk has all": ("os.fsync", 1, 3),
    "before it has its name": ("Path.replace", 3, 3),
}


@pytest.mark.parametrize(("name", "calls", "finished"), KILLED.values(), ids=KILLED)
def test_a_killed_build_goes_on_after_its_last_block(
    domain, cache, blocks, undisturbed, count_decoded, monkeypatch, name, calls, finished
):
    """Killed within a block, between its pixels and its line, and when all is written and not yet named."""
    owner, attribute = name.split(".")
    owners = {"zlib": zlib, "Block": blocks_module.Block, "os": os, "Path": Path}
    load = killed_at(monkeypatch, owners[owner], attribute, calls)
    load(domain)
    assert not list((cache / "pixels").glob("*.npy"))
    count_decoded.clear()
    assert len(load_images(domain, 16)[1]) == 6
    assert len(count_decoded) == 6 - 2 * finished and contents(cache) == undisturbed


def test_what_a_power_cut_left_is_not_believed(domain, cache, blocks, undisturbed, count_decoded):
    """The journal is there, and the second block is not as it says: what is behind it is decoded anew."""
    with largest_file(HEADER + 4 * IMAGE_BYTES), pytest.raises(InputError):
        load_images(domain, 16)
    (part,) = (cache / "pixels").glob("*.part")
    with part.open("r+b") as file:
        file.seek(HEADER + 2 * IMAGE_BYTES)
        file.write(bytes(IMAGE_BYTES))
    count_decoded.clear()
    load_images(domain, 16)
    assert len(count_decoded) == 4 and contents(cache) == undisturbed


def test_many_build_at_once(domain, cache, blocks, undisturbed, count_decoded, monkeypatch, caplog):
    """All find no cache before the first has the claim; it builds, and the others wait."""
    together, claimed = threading.Barrier(4), blocks_module.Entry.claimed

    def claimed_together(*arguments):
        together.wait(timeout=60)
        return claimed(*arguments)

    count_decoded.clear()
    with monkeypatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(blocks_module.Entry, "claimed", claimed_together)
        results = [r[1].pixels for r in pool.map(load_images, [domain] * 4, [16] * 4)]
    assert contents(cache) == undisturbed and len(count_decoded) == 6
    assert all(torch.equal(pixels, load_images(domain, 16)[1].pixels) for pixels in results)


def test_one_waits_for_another_process_and_takes_what_it_has_made(domain, cache, blocks, count_decoded):
    """The child holds the claim in the midst of its build until the parent has said that it waits."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(60)
        line = blocks_module.Block.line

        def held(block):
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            return line(block)

        blocks_module.Block.line = held
        load_images(domain, 16)
        os._exit(0)
    os.read(ready[0], 1)
    warned = []

    class Handler(logging.Handler):
        def emit(self, record):
            warned.append(record.getMessage())
            os.write(go[1], b"xxx")

    handler = Handler()
    logging.getLogger("tpsnet").addHandler(handler)
    try:
        assert len(load_images(domain, 16)[1]) == 6
    finally:
        logging.getLogger("tpsnet").removeHandler(handler)
    assert warned == ["another process decodes art; waiting for it"] and not count_decoded
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("ending", ["npy", "journal"])
def test_a_fault_that_may_pass_costs_no_decoded_image(domain, cache, monkeypatch, ending):
    """Too many open files, a network disk that does not answer."""
    load_images(domain, 16)
    before, opened = contents(cache), Path.open

    def faulty(path, *how, **options):
        if path.name.endswith(ending):
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *how, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", faulty)
        with pytest.raises(InputError, match=rf"{ending}: cannot be read now \(Too many open files\)"):
            load_images(domain, 16)
    assert contents(cache) == before


def test_an_open_cache_outlives_its_removal(domain, cache):
    """Another process may find a file damaged, or a user remove it, while it is read."""
    images = load_images(domain, 16)[1]
    pixels = images.pixels
    shutil.rmtree(cache)
    assert torch.equal(images.pixels, pixels)


def test_a_file_that_becomes_shorter_while_it_is_read_is_one_line(domain, cache):
    images = load_images(domain, 16)[1]
    pixel_file(cache).write_bytes(b"")
    with pytest.raises(InputError, match=r"cannot read .*\.npy \(it has become shorter\)"):
        images[[0]]
