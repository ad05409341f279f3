from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from tpsnet.data import embedded, embedded_root, embedded_unseen, image_folder, load_images
from tpsnet.errors import InputError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package folder with a small archive of two domains in its assets."""
    assets = tmp_path / "package" / "assets"
    assets.mkdir(parents=True)
    image = tmp_path / "image.webp"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(image)
    with ZipFile(assets / "emoji.zip", "w") as archive:
        for name in ("line/dog/a.webp", "line/cat/b.webp", "flat/dog/c.webp", "../../outside/dog/d.webp"):
            archive.write(image, name)
        archive.write(image, "/absolute/dog/e.webp")
    monkeypatch.setattr(embedded.resources, "files", lambda name: tmp_path / "package")
    return assets


@pytest.fixture
def further(package):
    """A second small archive with another class."""
    with ZipFile(package / "further.zip", "w") as archive:
        for domain in ("line", "flat"):
            archive.write(package.parents[1] / "image.webp", f"{domain}/fox/a.webp")
    return package


def test_further_objects_lie_beside_the_benchmark_in_a_folder_of_their_own(further, cache):
    plain, root = embedded_root(), embedded_root(further=True)
    assert root.parent == cache and root.name.startswith("zero-shot-") and root != plain
    assert image_folder(root, ["line", "flat"])["flat"].class_names == ("cat", "dog", "fox")
    assert image_folder(plain, ["line", "flat"])["flat"].class_names == ("cat", "dog")


@pytest.mark.parametrize("content, words", [(None, "missing"), (b"PK no zip", "damaged")])
def test_a_bad_second_archive_leaves_nothing(further, cache, content, words):
    (further / "further.zip").unlink() if content is None else (further / "further.zip").write_bytes(content)
    with pytest.raises(InputError, match=words):
        embedded_root(further=True)
    assert not cache.exists() or list(cache.iterdir()) == []


def test_the_unseen_objects_are_named(package):
    (package / "unseen.txt").write_text("cat\ndog\n")
    assert embedded_unseen() == ("cat", "dog")
    (package / "unseen.txt").unlink()
    with pytest.raises(InputError, match="missing"):
        embedded_unseen()


def test_an_ordinary_folder_inside_the_cache(package, cache):
    root = embedded_root()
    assert root.parent == cache and root.name.startswith("emoji-")
    domains = image_folder(root, ["line", "flat"])
    assert domains["line"].class_names == ("cat", "dog")
    assert load_images(domains["line"], 16)[1].pixels.shape == (2, 3, 16, 16)


def test_no_name_leads_outside(package, cache, tmp_path):
    root = embedded_root()
    assert (root / "outside/dog/d.webp").is_file() and (root / "absolute/dog/e.webp").is_file()
    written = {p for p in tmp_path.rglob("*.webp") if p.name != "image.webp"}
    assert all(p.is_relative_to(root) for p in written)


def test_unpacked_once(package):
    root = embedded_root()
    (root / "mark").touch()
    assert embedded_root() == root and (root / "mark").exists()


def test_another_archive_gets_another_folder(package):
    first = embedded_root()
    with ZipFile(package / "emoji.zip", "a") as archive:
        archive.writestr("line/owl/x.webp", b"")
    second = embedded_root()
    assert second != first and (second / "line/owl").is_dir() and not (first / "line/owl").exists()


def test_a_half_extraction_does_not_count(package, cache, monkeypatch):
    def interrupted(self, path):
        self.extract(self.namelist()[0], path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ZipFile, "extractall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            embedded_root()
    assert list(cache.iterdir()) == []
    assert (embedded_root() / "flat/dog/c.webp").is_file()


def test_complete_but_without_its_name_it_does_not_count_either(package, cache, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            embedded_root()
    assert list(cache.iterdir()) == []


def test_many_at_once(package, cache):
    with ThreadPoolExecutor(8) as pool:
        roots = set(pool.map(lambda _: embedded_root(), range(8)))
    assert list(cache.iterdir()) == list(roots)
    assert len(list(cache.rglob("*.webp"))) == 5


@pytest.mark.parametrize("content, words", [(None, "missing"), (b"PK no zip", "damaged")])
def test_a_bad_archive_is_one_line(package, cache, content, words):
    (package / "emoji.zip").unlink() if content is None else (package / "emoji.zip").write_bytes(content)
    with pytest.raises(InputError, match=words):
        embedded_root()
    assert not cache.exists() or list(cache.iterdir()) == []


def test_a_bad_image_inside_is_damage(package, cache):
    content = bytearray((package / "emoji.zip").read_bytes())
    content[60] ^= 255
    (package / "emoji.zip").write_bytes(bytes(content))
    with pytest.raises(InputError, match="damaged"):
        embedded_root()
    assert list(cache.iterdir()) == []


def test_a_cache_that_is_a_file(package, cache):
    cache.touch()
    with pytest.raises(InputError, match=r"cannot write .*TPSNET_CACHE"):
        embedded_root()
