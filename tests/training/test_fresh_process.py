"""Every method comes back in a process of its own, from its artefact and the backbone's file alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pictures import CLASSES, patterned

import tpsnet
from tpsnet.backbone import load_backbone
from tpsnet.io import read_tensors, write_tensors
from tpsnet.methods import (
    CLAIR,
    UEM,
    CLAIRConfig,
    Method,
    TPSNet,
    TPSNetConfig,
    TPSNetPrinted,
    TPSNetPrintedConfig,
    UEMConfig,
    UEMPrinted,
    UEMPrintedConfig,
)
from tpsnet.training import fit, load_trained
from tpsnet.types import Images

DOMAINS = ("line", "shaded")
NAMES = ("ant", "bee", "cat", "dog")
SMALL = {"batch_size": 16}
# High rates, so that a weight that was not brought back shows.
PROMPTS = {"clusters": CLASSES, "prompt_epochs": 2, "prompt_warmup": 1}
TPSNET = TPSNetConfig(**PROMPTS, epochs=2, map_lr=1e-1, **SMALL)
PRINTED = TPSNetPrintedConfig(**PROMPTS, epochs=2, encoder_lr=1e-2, **SMALL)
CLUSTERS = {"clusters": CLASSES, "idse_epochs": 2, "cdsm_epochs": 1, "lr": 1e-2}
UEM_SMALL = UEMConfig(**CLUSTERS, **SMALL)
UEM_PRINTED = UEMPrintedConfig(**CLUSTERS, **SMALL)
CLAIR_SMALL = CLAIRConfig(NAMES, text_epochs=2, epochs=1, map_lr=1e-2, **SMALL)
METHODS: dict[str, Callable] = {
    "TPSNet": lambda clip: TPSNet(clip, TPSNET, 1),
    "TPSNetPrinted": lambda clip: TPSNetPrinted(clip, PRINTED, 1),
    "UEM": lambda clip: UEM(clip, UEM_SMALL, 1),
    "UEMPrinted": lambda clip: UEMPrinted(clip, UEM_PRINTED, 1),
    "CLAIR": lambda clip: CLAIR(clip, CLAIR_SMALL, 1),
}

# ``python -c CHILD folder method method …`` embeds the images of a folder with the artefacts in it.
CHILD = """
import sys
from pathlib import Path

from tpsnet.io import read_tensors, write_tensors
from tpsnet.methods import METHODS
from tpsnet.targets import kmeans
from tpsnet.training import load_trained
from tpsnet.types import Images

def refuse(*args, **kwargs):
    raise AssertionError("only training prepares and clusters")

for entry in METHODS.values():
    entry.method.prepare = refuse
for name, module in list(sys.modules.items()):
    if name.startswith("tpsnet") and vars(module).get("kmeans") is kmeans:
        module.kmeans = refuse

folder = Path(sys.argv[1])
for name in sys.argv[2:]:
    method = load_trained(folder / name)
    found = {}
    for key, pixels in read_tensors(folder / "images.safetensors")[0].items():
        found[key] = method.embed(Images("holiday", pixels), domain=key.split()[1])
        if key.startswith("seen"):
            found[f"named {key}"] = method.embed(Images(key.split()[1], pixels))
    for domain in method.domains:
        found[f"texts {domain}"] = method.embed_texts(["bee", "teapot"], domain)
    write_tensors(folder / f"{name}.safetensors", found, {})
"""


@pytest.fixture(scope="module")
def trained(small_clip: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Method]]:
    """A folder with the artefacts and what a process of its own embedded with them; the methods by name."""
    folder, clip = tmp_path_factory.mktemp("trained"), load_backbone(small_clip)
    rng = torch.Generator().manual_seed(0)
    seen = patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]
    images = {f"seen {x.name}": x.pixels for x in seen}
    images |= {f"unseen {domain}": patterned("holiday", rng, n=9)[0].pixels for domain in DOMAINS}
    write_tensors(folder / "images.safetensors", images, {})
    methods = {name: make(clip) for name, make in METHODS.items()}
    for name, method in methods.items():
        fit(method, seen, folder=folder / name)
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    env = os.environ | threads | {"PYTHONPATH": str(Path(tpsnet.__file__).parents[1])}
    child = [sys.executable, "-c", CHILD, str(folder), *methods]
    done = subprocess.run(child, env=env, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, methods


@pytest.mark.parametrize("name", METHODS)
def test_embeddings_are_those_of_the_process_that_trained(trained, name):
    folder, methods = trained
    found, method = read_tensors(folder / f"{name}.safetensors")[0], methods[name]
    for key, pixels in read_tensors(folder / "images.safetensors")[0].items():
        domain = key.split()[1]
        expected = method.embed(Images("holiday", pixels), domain=domain)
        torch.testing.assert_close(found[key], expected, atol=1e-5, rtol=0)
        if key.startswith("seen"):
            torch.testing.assert_close(found[f"named {key}"], expected, atol=1e-5, rtol=0)
    for domain in DOMAINS:
        expected = method.embed_texts(["bee", "teapot"], domain)
        torch.testing.assert_close(found[f"texts {domain}"], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", METHODS)
def test_training_is_what_comes_back(trained, name):
    """The embeddings of the process differ from those of a method that was only prepared."""
    folder, methods = trained
    untrained = METHODS[name](methods[name].given)
    untrained.prepare(methods[name].images)
    start = untrained.embed(untrained.images[0])
    assert (read_tensors(folder / f"{name}.safetensors")[0]["seen line"] - start).abs().max() > 1e-2


@pytest.mark.parametrize("name", METHODS)
def test_the_artefact_holds_what_training_changed_and_no_more(trained, name):
    folder, methods = trained
    tensors, _ = read_tensors(folder / name / "model.safetensors")
    given = methods[name].given.state_dict()
    tower = [key for key in tensors if key.startswith("backbone.")]
    assert bool(tower) == name.endswith("Printed")  # the others train no tower
    assert all(key.startswith("backbone.clip.visual.") for key in tower)  # no text tower
    assert not [key for key in tower if torch.equal(tensors[key], given[key.removeprefix("backbone.")])]
    assert not [key for key in tensors if key.startswith("targets.") or "features" in key]
    image_tower = sum(t.nbytes for key, t in given.items() if key.startswith("clip.visual."))
    assert sum(tensors[key].nbytes for key in tower) <= image_tower


@pytest.mark.parametrize("name", ["UEM", "UEMPrinted"])
def test_uem_counts_the_clusters_that_training_found(trained, name):
    folder, methods = trained
    method = methods[name]
    loaded = load_trained(folder / name, backbone=method.given)
    query, gallery = (method.embed(images) for images in method.images)
    found, expected = (m.reject(query, gallery, seed=0) for m in (loaded, method))
    assert loaded.n_clusters.tolist() == [CLASSES, CLASSES]
    assert torch.equal(found.rejected, expected.rejected)
