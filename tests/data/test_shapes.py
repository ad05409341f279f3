"""The same images in other shapes: what is kept, where the links lead, and what is refused."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest
import torch
from pictures import write_tree
from processes import partial_of

from tpsnet.cli import main
from tpsnet.data import embedded_root, image_folder, load_pair, write_shape
from tpsnet.errors import InputError


@pytest.fixture
def domains(tmp_path):
    classes = ("ant", "bee", "cat", "dog")
    return image_folder(write_tree(tmp_path / "images", {"flat": classes, "line": classes}, each=12))


def sizes(root) -> dict[str, list[int]]:
    return {name: domain.labels.bincount().tolist() for name, domain in image_folder(root).items()}


def test_few_images_of_each_class(domains, tmp_path):
    assert write_shape(domains, tmp_path / "few", "few") == {"flat": 20, "line": 20}
    assert sizes(tmp_path / "few") == {"flat": [5] * 4, "line": [5] * 4}
    for domain in image_folder(tmp_path / "few").values():
        for path, label in zip(domain.paths, domain.labels.tolist(), strict=True):
            assert f"images/{domain.name}/{domain.class_names[label]}/" in str(path.resolve())


def test_uneven_classes_have_the_same_share_in_every_domain(domains, tmp_path):
    write_shape(domains, tmp_path / "uneven", "uneven", seed=1)
    found = sizes(tmp_path / "uneven")
    assert found["flat"] == found["line"] and len(set(found["flat"])) > 1
    assert min(found["flat"]) >= 2 and max(found["flat"]) <= 12
    write_shape(domains, tmp_path / "again", "uneven", seed=1)
    names = [sorted(p.name for p in (tmp_path / run).rglob("*.png")) for run in ("uneven", "again")]
    assert names[0] == names[1]
    write_shape(domains, tmp_path / "other", "uneven", seed=2)
    assert sizes(tmp_path / "other") != found


def test_coarse_classes_hold_every_embedded_image_once(tmp_path, capsys):
    assert main(["shape", "coarse", str(tmp_path / "coarse")]) == 0
    assert "line: 1600 images\n" in capsys.readouterr().out
    before, after = image_folder(embedded_root()), image_folder(tmp_path / "coarse")
    assert list(after) == list(before) and len(after["line"].class_names) == 9
    for name, domain in after.items():
        assert Counter(p.resolve() for p in domain.paths) == Counter(p.resolve() for p in before[name].paths)
        animals = [p.name for p, y in zip(domain.paths, domain.labels.tolist(), strict=True) if y == 1]
        assert domain.class_names[1] == "animals" and any(name.startswith("cat-") for name in animals)


def test_the_tree_is_read_like_any_other(domains, tmp_path):
    write_shape(domains, tmp_path / "few", "few")
    pair = load_pair(tmp_path / "few", ("line", "flat"), 16)
    assert pair.n_classes == 4 and tuple(pair.images[0].pixels.shape) == (20, 3, 16, 16)
    assert bool((torch.stack([d.labels.bincount() for d in pair.domains]) == 5).all())


KILLED = """
import os, signal, sys
from pathlib import Path
from tpsnet.data import image_folder, write_shape
Path.symlink_to = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
write_shape(image_folder(Path(sys.argv[1])), Path(sys.argv[2]), "few")
"""


@pytest.mark.parametrize("linked", [False, True])
def test_what_a_killed_call_left_is_removed_by_the_next(domains, tmp_path, linked):
    given = tmp_path / "link" if linked else tmp_path / "new" / "few"
    if linked:
        given.symlink_to("new/few")
    call = [sys.executable, "-c", KILLED, str(tmp_path / "images"), str(given)]
    assert subprocess.run(call, check=False).returncode == -signal.SIGKILL
    (left,) = (tmp_path / "new").iterdir()
    living = partial_of(os.getppid(), tmp_path / "new" / "few")
    write_shape(domains, given, "few")
    assert {*(tmp_path / "new").iterdir()} == {tmp_path / "new" / "few", living} and not left.exists()


def test_bad_input_is_one_line(domains, tmp_path, capsys):
    with pytest.raises(InputError, match="no group for class 'ant'; the coarse shape is made of"):
        write_shape(domains, tmp_path / "coarse", "coarse")
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match="there is there already"):
        write_shape(domains, tmp_path / "there", "few")
    assert main(["shape", "few", str(tmp_path / "new"), "--root", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "new").exists()


def test_a_name_that_is_too_long_for_its_link_is_one_line(tmp_path):
    root = write_tree(tmp_path / "images", {"line": ["ant"]})
    (root / "line/ant/0.png").rename(root / "line/ant" / f"{'x' * 251}.png")
    with pytest.raises(InputError, match=r"cannot write .*few .*name too long") as error:
        write_shape(image_folder(root), tmp_path / "few", "few")
    assert "\n" not in str(error.value) and not (tmp_path / "few").exists()
