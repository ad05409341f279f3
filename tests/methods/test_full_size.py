"""A ViT-B/16 of full size at 224 px, with random weights: open_clip's vectors, and a step of every method.

The text tower is small, and the methods that train the image tower have the first four of its layers: with
the moments of the optimiser and their copies of the network, the whole one takes almost 4 GB.
"""

import copy
import gc

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from photographs import open_clips_own, write_folder, write_photographs

from tpsnet.backbone import load_backbone
from tpsnet.data import load_images, unlabelled_folder
from tpsnet.methods import (
    METHODS,
    CLAIRConfig,
    FrozenConfig,
    TPSNetConfig,
    TPSNetPrintedConfig,
    UEMConfig,
    UEMPrintedConfig,
)
from tpsnet.training import fit
from tpsnet.types import Images

ONE = {"clusters": 2, "batch_size": 2}
PROMPTS = ONE | {"prompt_epochs": 1, "prompt_warmup": 0, "epochs": 1}
CONFIGS = {
    "TPSNet": TPSNetConfig(**PROMPTS),
    "TPSNetPrinted": TPSNetPrintedConfig(**PROMPTS),
    "UEM": UEMConfig(**ONE, idse_epochs=1, cdsm_epochs=1),
    "UEMPrinted": UEMPrintedConfig(**ONE, idse_epochs=1, cdsm_epochs=1),
    "CLAIR": CLAIRConfig(("ant", "bee"), batch_size=2, text_epochs=1, epochs=1),
    "Frozen": FrozenConfig(centred=True),
}
TRAIN_THE_TOWER = ("TPSNetPrinted", "UEMPrinted")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    """The backbone, some photographs, and open_clip's vectors of these; the network is made once."""
    folder = tmp_path_factory.mktemp("full")
    config = open_clip.get_model_config("ViT-B-16-quickgelu")
    config["text_cfg"] |= {"width": 128, "heads": 2, "layers": 2}
    preprocessing = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
    address = write_folder(folder / "clip", config, preprocessing)
    files = write_photographs(folder / "pictures" / "a")
    theirs = open_clips_own(address, files)
    backbone = load_backbone(address)
    (folder / "clip" / "open_clip_model.safetensors").unlink()  # it is large, and read already
    return backbone, load_images(unlabelled_folder(folder / "pictures"), backbone.resize)[1], theirs


def test_vectors_are_those_of_open_clips_own_pipeline(made):
    backbone, images, theirs = made
    with torch.no_grad():
        ours, shared = backbone.encode_image(images.pixels.float() / 255), theirs.mean(dim=0)
    assert ours.shape == (6, 512) and images.pixels.shape[1:] == (3, 224, 224) and backbone.quick_gelu
    assert (ours * theirs).sum(dim=1).min() >= 0.9999
    assert F.cosine_similarity(ours - shared, theirs - shared).min() >= 0.9999


@pytest.mark.parametrize("name", METHODS)
def test_a_step_of_each_method(made, name):
    """One batch a stage, and what it leaves is finite; a method that trains has moved."""
    backbone, images, _ = made
    if name in TRAIN_THE_TOWER:
        backbone = copy.deepcopy(backbone)
        del backbone.tower.transformer.resblocks[4:]
    pair = Images("line", images.pixels[:2]), Images("photo", images.pixels[2:4])
    method = METHODS[name].method(backbone, CONFIGS[name], 0)
    rows = fit(method, pair)
    assert len(rows) == sum(stage.epochs for stage in method.stages())
    assert all(torch.tensor(list(row["losses"].values())).isfinite().all() for row in rows)
    for domain in pair:
        vectors = method.embed(domain)
        assert vectors.isfinite().all() and len(vectors) == 2
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    del method, backbone
    gc.collect()  # methods hold cycles, and each a copy of the tower
