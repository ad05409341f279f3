"""The nouns: what embeddings are made of and refuse, in memory and as a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tpsnet.errors import InputError
from tpsnet.io import write_tensors
from tpsnet.types import Embeddings, Resize

pytestmark = pytest.mark.usefixtures("unchecked")

ROWS = torch.nn.functional.normalize(torch.randn(3, 512, generator=torch.Generator().manual_seed(0)), dim=1)
LABELS = torch.tensor([0, 1, 1])
PATHS = tuple(Path(f"{i}.png") for i in range(3))


def embeddings(vectors=ROWS, labels=LABELS, **other) -> Embeddings:
    return Embeddings("line", vectors, labels, ("ant", "bee"), PATHS, **other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_becomes_unit_rows_of_float32(dtype):
    even = torch.full((3, 3), 3**-0.5)  # each number is rounded up, by 1.3e-3 in bfloat16
    for rows in (ROWS, even):
        found = embeddings(rows.to(dtype)).vectors
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.norm(dim=1), torch.ones(3), rtol=0, atol=1e-6)
        assert (found * rows).sum(dim=1).min() > 0.9999
    with pytest.raises(InputError, match=r"row 0 has norm 0\.98, not 1"):
        embeddings((ROWS * torch.tensor([[0.98], [1.0], [1.0]])).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_other_rows_stay_as_they_are(dtype):
    assert embeddings(ROWS.to(dtype)).vectors.dtype == dtype
    with pytest.raises(InputError, match=r"row 1 has norm 1\.002, not 1"):
        embeddings((ROWS * torch.tensor([[1.0], [1.002], [1.0]])).to(dtype))


def test_arrays_become_tensors_and_gradients_stay_behind():
    rejected = np.array([True, False, True])
    found = embeddings(ROWS.numpy(), LABELS.numpy(), rejected=rejected)
    assert torch.equal(found.vectors, ROWS) and torch.equal(found.labels, LABELS)
    assert found.rejected.tolist() == rejected.tolist()
    assert not embeddings(ROWS.clone().requires_grad_()).vectors.requires_grad


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"vectors": ROWS[0]},
            r"vectors are torch\.float32 \(512,\); give a tensor of floating.* with 2 axes",
        ),
        ({"vectors": LABELS[:, None]}, r"vectors are torch\.int64 \(3, 1\)"),
        ({"vectors": ROWS.tolist()}, r"vectors are <class 'list'>"),
        (
            {"labels": LABELS.float()},
            r"labels are torch\.float32 \(3,\); give a tensor of integers with 1 axis",
        ),
        ({"labels": LABELS == 1}, r"labels are torch\.bool"),
        ({"labels": None}, r"labels are <class 'NoneType'>"),
        ({"rejected": LABELS}, r"rejected are torch\.int64"),
    ],
)
def test_what_embeddings_cannot_be_made_of_is_one_line(changes, reason):
    with pytest.raises(InputError, match=rf"^embeddings of 'line': {reason}") as caught:
        embeddings(**changes)
    assert "\n" not in str(caught.value)


def test_a_file_comes_back(tmp_path):
    there = embeddings(rejected=torch.tensor([True, False, False]))
    there.save(tmp_path / "e.safetensors")
    found = Embeddings.load(tmp_path / "e.safetensors")
    assert torch.equal(found.vectors, ROWS) and torch.equal(found.labels, LABELS) and found.paths == PATHS
    assert (found.domain, found.class_names) == ("line", ("ant", "bee"))
    assert torch.equal(found.rejected, there.rejected)


def test_a_file_of_before_is_read(tmp_path):
    """It has neither a checksum nor the number of its format."""
    head = '{"domain": "line", "class_names": ["ant", "bee"], "paths": ["0.png", "1.png", "2.png"]}'
    save_file({"vectors": ROWS, "labels": LABELS}, tmp_path / "e.safetensors", {"meta": head})
    assert torch.equal(Embeddings.load(tmp_path / "e.safetensors").vectors, ROWS)


HEAD = {"domain": "line", "class_names": ["ant", "bee"], "paths": ["0.png", "1.png", "2.png"]}


@pytest.mark.parametrize(
    ("tensors", "head", "reason"),
    [
        ({}, {"paths": None}, "paths: .*valid tuple, not None"),
        ({}, {"paths": [1, 2, 3]}, r"paths\.0: .*valid string, not 1"),
        ({}, {"domain": 3}, "domain: .*valid string, not 3"),
        ({}, {"class_names": "ant"}, "class_names: .*valid tuple"),
        ({}, {"format": 2}, "format: .*not 2"),
        ({}, {"further": 2}, r"no field \.?further"),
        ({"labels": LABELS.float()}, {}, r"labels are torch\.float32"),
        ({"labels": LABELS + 1}, {}, "a label outside the class table"),
        ({"vectors": ROWS * 2}, {}, "row 0 has norm 2"),
        ({"vectors": ROWS[:2]}, {}, "2 vectors, 3 labels"),
        ({"rejected": LABELS}, {}, r"rejected are torch\.int64"),
    ],
)
def test_a_file_of_another_form_is_one_line(tmp_path, tensors, head, reason):
    file = tmp_path / "e.safetensors"
    values = {name: value for name, value in (HEAD | head).items() if value is not None}
    write_tensors(file, {"vectors": ROWS, "labels": LABELS} | tensors, values)
    reason = reason if head.get("paths", 0) is not None else "paths: Field required"
    with pytest.raises(InputError, match=reason) as caught:
        Embeddings.load(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["vectors", "labels"])
def test_a_file_without_its_tensors_is_one_line(tmp_path, name):
    tensors = {"vectors": ROWS, "labels": LABELS}
    del tensors[name]
    write_tensors(tmp_path / "e", tensors, HEAD)
    with pytest.raises(InputError, match=f"is not a saved Embeddings file .no '{name}'"):
        Embeddings.load(tmp_path / "e")


def test_a_resize_says_what_is_not_plain():
    assert str(Resize(72)) == "72" and Resize(72).plain and Resize(72, fill=9).plain
    assert Resize((72, 72)) == Resize(72) and Resize(72).sides == (72, 72)
    assert str(Resize((72, 144))) == "72x144 shortest bicubic" and Resize((72, 144)).sides == (72, 144)
    texts = {
        str(Resize(72, mode, kind, 9)) for mode in ("longest", "squash") for kind in ("bicubic", "bilinear")
    }
    assert texts == {
        "72 longest bicubic 9",
        "72 longest bilinear 9",
        "72 squash bicubic",
        "72 squash bilinear",
    }
