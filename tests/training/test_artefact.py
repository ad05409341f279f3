"""The trained artefact: what it says when it cannot be used, and a finished run that goes on to itself."""

import json
import shutil
from dataclasses import asdict

import pytest
import torch
from pictures import patterned
from safetensors.torch import load_file, save_file
from training.smallest import Pull, PullConfig, small_backbone

from tpsnet.backbone import load_backbone
from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors
from tpsnet.methods import Frozen, FrozenConfig
from tpsnet.training import fit, load_trained
from tpsnet.types import Images, Resize

MODEL = "model.safetensors"


@pytest.fixture
def trained(pair, tmp_path) -> Pull:
    """A method whose artefact lies in ``tmp_path / "run"``."""
    method = Pull(small_backbone(), PullConfig(), seed=3)
    fit(method, pair, folder=tmp_path / "run")
    return method


def test_it_embeds_what_training_never_saw(trained, pair, tmp_path, rng):
    loaded = load_trained(str(tmp_path / "run"), backbone=small_backbone())
    new = Images("holiday", torch.randint(256, (5, 3, 2, 2), generator=rng, dtype=torch.uint8))
    for domain in ("a", "b"):
        assert torch.equal(loaded.embed(new, domain=domain), trained.embed(new, domain=domain))
    assert torch.equal(loaded.embed(pair[0]), trained.embed(pair[0]))
    assert not torch.equal(loaded.embed(new, domain="a"), loaded.embed(new, domain="b"))
    untrained = Pull(small_backbone(), PullConfig())
    untrained.prepare(pair)
    assert not torch.allclose(untrained.embed(pair[0]), loaded.embed(pair[0]), atol=1e-3)
    with pytest.raises(InputError, match=r"'holiday' is not one of the trained pair \['a', 'b'\]"):
        loaded.embed(new)


def test_it_comes_back_without_what_only_training_needs(trained, tmp_path):
    loaded = load_trained(tmp_path / "run", backbone=small_backbone())
    assert loaded.images is None and loaded.targets is None and not loaded.training
    assert (loaded.cfg, loaded.seed, loaded.domains) == (trained.cfg, 3, ("a", "b"))
    tensors, meta = read_tensors(tmp_path / "run" / MODEL)
    tower = {f"backbone.tower.fc.{i}.{part}" for i in (0, 2) for part in ("weight", "bias")}
    assert set(tensors) == tower | {"number", "brightness"}
    assert meta["config"] == json.loads(json.dumps(asdict(trained.cfg))) and len(meta["rows"]) == 5


def test_the_backbone_that_is_given_stays_as_it_is(trained, tmp_path):
    backbone = small_backbone()
    load_trained(tmp_path / "run", backbone=backbone)
    expected = small_backbone().state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in backbone.state_dict().items())


def test_a_finished_run_resumes_to_itself(trained, pair, tmp_path):
    run = tmp_path / "run"
    rows, before = read_tensors(run / MODEL)[1]["rows"], (run / MODEL).read_bytes()
    method = Pull(small_backbone(), PullConfig(), seed=3)
    assert fit(method, pair, folder=run, resume=True) == rows
    assert method.calls == ["prepare"] and not method.training
    assert torch.equal(method.embed(pair[1]), trained.embed(pair[1]))
    assert (run / MODEL).read_bytes() == before
    assert [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] == rows


def test_a_method_without_stages_has_an_artefact_too(small_clip, tmp_path, rng):
    images = patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]
    method = Frozen(load_backbone(small_clip), FrozenConfig(centred=True))
    assert fit(method, images, folder=tmp_path) == []
    assert set(read_tensors(tmp_path / MODEL)[0]) == {"offsets"}
    new = patterned("new", rng)[0]
    assert torch.equal(load_trained(tmp_path).embed(new, "shaded"), method.embed(new, "shaded"))


def refused(run, reason: str, **kwargs) -> None:
    """One line that says this, whatever else."""
    with pytest.raises(InputError, match=reason) as caught:
        load_trained(run, **({"backbone": small_backbone()} | kwargs))
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_told_from_an_unfinished_run(pair, tmp_path):
    refused(tmp_path / "nowhere", r"^no run folder .*nowhere; name one that tpsnet train has written$")
    refused(tmp_path, r"holds no model\.safetensors; name the folder of a finished training$")
    method = Pull(small_backbone(), PullConfig())
    method.stop = 9
    with pytest.raises(KeyboardInterrupt):
        fit(method, pair, folder=tmp_path)
    refused(tmp_path, r"has not finished its training; go on with --resume$")


def test_a_truncated_file_is_named(trained, tmp_path):
    file = tmp_path / "run" / MODEL
    file.write_bytes(file.read_bytes()[:-3])
    refused(tmp_path / "run", r"^cannot read .*model\.safetensors .*; train again, or restore the file$")
    file.write_bytes(b"")
    refused(tmp_path / "run", r"^cannot read .*model\.safetensors .*; train again, or restore the file$")


CONFIG = json.loads(json.dumps(asdict(PullConfig())))
FOREIGN = {
    "newer format": ({"format": 2}, r"has format 2, this tpsnet reads 1; update tpsnet$"),
    "unknown method": (
        {"method": "Nope"},
        r"holds method 'Nope'; this tpsnet has TPSNet, TPSNetPr",
    ),
    "unknown field": (
        {"config": CONFIG | {"depth": 3}},
        r"depth.*; it belongs to another version of tpsnet$",
    ),
    "type": (
        {"config": CONFIG | {"weight": "much"}},
        r": config\.weight: .*valid number.*another version of tpsnet$",
    ),
    "refused by the config": ({"config": CONFIG | {"size": 0}}, r": config: .*size is 0; give at least 1"),
    "another size": ({"config": CONFIG | {"size": 2}}, r"does not fit .*number"),
    "a list as method": ({"method": ["Pull"]}, r": method: .*valid string"),
    "a text as seed": ({"seed": "three"}, r": seed: .*valid integer.*; train again, or restore the file$"),
    "numbers as domains": ({"domains": [1, 2]}, r": domains\.0: .*valid string, not 1"),
    "a text as backbone": ({"backbone": "embedded"}, r": backbone: .*not 'embedded'"),
    "no checksum of weights": ({"backbone": {"model": "x", "pretrained": None}}, "identity: Field required"),
    "a text as log": ({"rows": "many"}, r": rows: .*valid list"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_an_artefact_of_another_version_is_one_line(trained, tmp_path, case):
    changes, reason = FOREIGN[case]
    file = tmp_path / "run" / MODEL
    tensors, meta = read_tensors(file)
    write_tensors(file, tensors, meta | changes)
    refused(tmp_path / "run", reason)


def test_other_weights_are_refused_by_their_checksum(trained, tmp_path):
    checksums = [small_backbone(seed).identity for seed in (0, 1)]
    reason = "trained on 'small 0' with checksum {}, this one has {}; give the weights".format(*checksums)
    refused(tmp_path / "run", reason, backbone=small_backbone(1))


def test_another_preprocessing_is_refused(trained, tmp_path):
    other = small_backbone()
    other.preprocessing = "resize 2, mean 0.1 0.1 0.1, std 1 1 1"
    refused(
        tmp_path / "run",
        r"was trained with resize 224, mean 0\.485 .*'small 0' has resize 2, mean",
        backbone=other,
    )


def test_another_activation_is_refused(trained, tmp_path):
    """Artefacts of before do not say it."""
    other = small_backbone()
    other.quick_gelu = True
    refused(tmp_path / "run", r"trained without QuickGELU, unlike 'small 0'; give the activ", backbone=other)
    file = tmp_path / "run" / MODEL
    tensors, meta = read_tensors(file)
    assert meta["backbone"].pop("quick_gelu") is False
    write_tensors(file, tensors, meta)
    assert load_trained(tmp_path / "run", backbone=other).domains == ("a", "b")


def test_an_artefact_of_before_was_trained_on_plainly_resized_images(trained, tmp_path):
    file = tmp_path / "run" / MODEL
    tensors, meta = read_tensors(file)
    del meta["backbone"]["preprocessing"]
    write_tensors(file, tensors, meta)
    assert load_trained(tmp_path / "run", backbone=small_backbone()).domains == ("a", "b")
    squashing = small_backbone()
    squashing.resize = Resize(224, "squash")
    refused(
        tmp_path / "run", r"trained on images of another resize than 224 squash bicubic", backbone=squashing
    )


def test_weights_that_changed_or_left_their_address_are_one_line(small_clip, tmp_path, rng):
    folder = shutil.copytree(small_clip.removeprefix("local-dir:"), tmp_path / "clip")
    images = patterned("line", rng)[0], patterned("shaded", rng, n=20)[0]
    fit(Frozen(load_backbone(f"local-dir:{folder}"), FrozenConfig()), images, folder=tmp_path / "run")
    assert load_trained(tmp_path / "run").domains == ("line", "shaded")
    tensors, meta = read_tensors(tmp_path / "run" / MODEL)
    meta["backbone"]["pretrained"] = "openai"  # files of before named what was not used
    write_tensors(tmp_path / "run" / MODEL, tensors, meta)
    assert load_trained(tmp_path / "run").domains == ("line", "shaded")
    weights = load_file(folder / "open_clip_model.safetensors")
    weights["text_projection"][0, 0] += 1
    save_file(weights, folder / "open_clip_model.safetensors")
    refused(tmp_path / "run", r"with checksum [0-9a-f]{8}, this one has", backbone=None)
    shutil.rmtree(folder)
    refused(tmp_path / "run", r"^no folder .*clip", backbone=None)
