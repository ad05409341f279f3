"""One contract for all methods: no labels, the same seed the same weights, resume, embed by domain, texts."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from pictures import CLASSES, patterned

from tpsnet.backbone import class_texts, load_backbone
from tpsnet.data import style_of
from tpsnet.errors import InputError
from tpsnet.methods import (
    METHODS,
    CLAIRConfig,
    FrozenConfig,
    Method,
    TPSNetConfig,
    TPSNetPrintedConfig,
    UEMConfig,
    UEMPrintedConfig,
)
from tpsnet.methods.base import NEUTRAL
from tpsnet.progress import Progress
from tpsnet.targets import reject_unreturned
from tpsnet.training import fit, load_trained
from tpsnet.types import Batch, Images

NAMES = ("ant", "bee", "cat", "dog")
PROMPTS = {"clusters": CLASSES, "prompt_epochs": 3, "prompt_warmup": 1, "prompt_lr": 0.3}
CONFIGS = {
    # At high rates, so that pseudo-labels change in every epoch.
    "TPSNet": TPSNetConfig(**PROMPTS, epochs=3, batch_size=16),
    "TPSNetPrinted": TPSNetPrintedConfig(**PROMPTS, epochs=3, batch_size=16, encoder_lr=1e-3),
    "UEM": UEMConfig(clusters=CLASSES, idse_epochs=3, cdsm_epochs=3, batch_size=16),
    "UEMPrinted": UEMPrintedConfig(clusters=CLASSES, idse_epochs=3, cdsm_epochs=3, batch_size=16),
    "CLAIR": CLAIRConfig(NAMES, text_epochs=3, epochs=3, batch_size=16),
    "Frozen": FrozenConfig(centred=True),
}
SEED = 3
trained_ones = pytest.mark.parametrize(
    "trained", ["TPSNet", "TPSNetPrinted", "UEM", "UEMPrinted", "CLAIR"], indirect=True
)


def make(name: str, backbone, **changes) -> Method:
    return METHODS[name].method(backbone, dataclasses.replace(CONFIGS[name], **changes), SEED)


class Trained(NamedTuple):
    name: str
    method: Method
    rows: list[dict]
    folder: Path


@pytest.fixture(scope="module", params=METHODS)
def trained(request, backbone, pair, tmp_path_factory) -> Trained:
    """Every method, trained once."""
    method, folder = make(request.param, backbone), tmp_path_factory.mktemp("run") / "whole"
    return Trained(request.param, method, fit(method, pair, folder=folder), folder)


def untimed(rows: list[dict]) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def same_state(one: Method, other: Method) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(v, states[1][k]) for k, v in states[0].items()
    )


def test_what_trains_has_no_place_for_a_label():
    assert [field.name for field in dataclasses.fields(Images)] == ["name", "stored", "rows"]
    assert [field.name for field in dataclasses.fields(Batch)] == ["view1", "view2", "index", "domain"]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_stands_under_its_name_with_its_config(name):
    entry = METHODS[name]
    assert entry.method.name == name and isinstance(CONFIGS[name], entry.config)
    with pytest.raises(dataclasses.FrozenInstanceError):
        entry.config().clusters = 3


def test_each_method_is_told_what_the_protocol_allows():
    """TPSNet the number of classes, CLAIR their names, the others nothing; the config goes first."""
    told = {name: METHODS[name].config().told(NAMES) for name in METHODS}
    assert told["TPSNet"] == TPSNetConfig(clusters=4) and told["CLAIR"] == CLAIRConfig(names=NAMES)
    assert told["TPSNetPrinted"] == TPSNetPrintedConfig(clusters=4)
    assert told["UEM"] == UEMConfig() and told["UEMPrinted"] == UEMPrintedConfig()
    assert told["Frozen"] == FrozenConfig()
    assert TPSNetConfig(clusters=7).told(NAMES).clusters == 7
    assert CLAIRConfig(names=("emu",)).told(NAMES).names == ("emu",)


@pytest.mark.parametrize("name", METHODS)
def test_who_needs_a_clip_says_so(name, moco):
    if not METHODS[name].needs_clip:
        assert make(name, moco).given is moco
        return
    with pytest.raises(InputError, match=rf"^{name} needs a CLIP, .*; a MoCo network serves UEM"):
        make(name, moco)


def test_embeddings_are_unit_rows_in_order_and_repeatable(trained, pair):
    method = trained.method
    vectors = method.embed(pair[0])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(24))
    assert vectors.device.type == "cpu" and vectors.dtype == torch.float32 and not vectors.requires_grad
    assert torch.equal(method.train().embed(pair[0]), vectors)
    few = method.embed(pair[0].subset([6, 3]))
    torch.testing.assert_close(few, vectors[[6, 3]], atol=1e-2, rtol=0)
    assert (vectors[6] - vectors[3]).abs().max() > 0.1


def test_the_given_backbone_stays_as_it_was_loaded(trained, small_clip):
    given, fresh = trained.method.given, load_backbone(small_clip).state_dict()
    assert all(torch.equal(v, fresh[k]) for k, v in given.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in given.parameters())


@trained_ones
def test_same_seed_same_weights_whatever_was_prepared_before(trained, backbone, pair, rng, nothing_kept):
    """The images that ``fit`` is given are those that count."""
    again = make(trained.name, backbone)
    again.prepare((patterned("photo", rng)[0], patterned("sketch", rng, n=9)[0]))
    rows = fit(again, pair)
    assert again.images is pair and again.domains == ("line", "shaded")
    assert same_state(trained.method, again) and untimed(rows) == untimed(trained.rows)


@trained_ones
def test_the_log_has_a_row_for_each_epoch_of_both_stages(trained):
    stages = trained.method.stages()
    assert [(row["stage"], row["epoch"]) for row in trained.rows] == [
        (s.name, e) for s in stages for e in range(3)
    ]
    for row, stage in zip(trained.rows, [s for s in stages for _ in range(3)], strict=True):
        assert set(row["losses"]) == {"loss", *stage.weights} and min(row["losses"].values()) > 0
        assert row["shares"] and all(0 <= share <= 1 for share in row["shares"].values())


@trained_ones
def test_another_seed_begins_elsewhere(trained, backbone, pair):
    starts = [METHODS[trained.name].method(backbone, CONFIGS[trained.name], seed) for seed in (SEED, SEED, 4)]
    for method in starts:
        method.prepare(pair)
    assert same_state(*starts[:2]) and not same_state(*starts[1:])


@trained_ones
def test_training_moves_every_trainable_weight_and_no_other(trained, backbone, pair):
    method, start = trained.method, make(trained.name, backbone)
    start.prepare(pair)
    optimised = {id(p) for s in method.stages() for group in s.parameters() for p in group["params"]}
    before = dict(start.named_parameters())
    moved = {name for name, p in method.named_parameters() if not torch.equal(p, before[name])}
    wanted = {name for name, p in method.named_parameters() if id(p) in optimised}
    # UEM keeps a copy of its weights; a key's bias is cancelled by the softmax.
    moved = {name for name in moved if not name.startswith("targets.stage_one.")}
    assert moved <= wanted and all(name.endswith("key.bias") for name in wanted - moved)


@trained_ones
def test_a_resumed_run_ends_with_the_same_bits(trained, backbone, pair, tmp_path, monkeypatch, nothing_kept):
    """Interrupted inside of stage 1, between the stages, and inside of stage 2."""
    step = Progress.step
    for done, stop in ((0, 2), (2, 3), (3, 5)):
        left = [stop - done]

        def interrupt(self, note, left=left):
            step(self, note)
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        method = make(trained.name, backbone)
        method.prepare(pair)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Progress, "step", interrupt)
            fit(method, pair, folder=tmp_path, resume=True, save_every=0.0)
        assert len((tmp_path / "log.jsonl").read_text().splitlines()) == stop
    resumed = make(trained.name, backbone)
    rows = fit(resumed, pair, folder=tmp_path, resume=True)
    assert untimed(rows) == untimed(trained.rows) and len(rows) == 6
    assert same_state(trained.method, resumed)
    assert torch.equal(trained.method.embed(pair[0]), resumed.embed(pair[0]))


def test_it_comes_back_with_the_same_bits_for_any_image(trained, backbone, pair, rng):
    """Without what only training needs, and for images that training never saw."""
    loaded, unseen = load_trained(trained.folder, backbone=backbone), patterned("holiday", rng, n=9)[0]
    assert (loaded.images, loaded.targets, loaded.domains) == (None, None, ("line", "shaded"))
    assert (loaded.cfg, loaded.seed) == (CONFIGS[trained.name], SEED)
    assert {file.name for file in trained.folder.glob("*.safetensors")} == {"model.safetensors"}
    for domain, images in zip(loaded.domains, pair, strict=True):
        assert torch.equal(loaded.embed(unseen, domain), trained.method.embed(unseen, domain))
        assert torch.equal(loaded.embed(images), trained.method.embed(images))
        rows = [method.embed_texts(["bee", "teapot"], domain) for method in (loaded, trained.method)]
        assert torch.equal(*rows)


def test_the_name_of_the_domain_decides(trained, pair):
    """Whatever the images are called; one mean serves both domains of UEM as printed."""
    for images, other in (pair, pair[::-1]):
        expected = trained.method.embed(images)
        unnamed = Images("photo", images.pixels)
        assert torch.equal(trained.method.embed(unnamed, images.name), expected)
        mistaken = trained.method.embed(images, other.name)
        assert torch.equal(mistaken, expected) == (trained.name == "UEMPrinted")


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_the_domains_does_not_matter_before_training(name, backbone, pair):
    """But for CLAIR's map, which leads from the first to the second.

    The weights of three views count neighbours, which rounding moves among near copies.
    """
    changes = {"figure_view": False} if name in ("TPSNet", "UEM", "CLAIR") else {}
    changes |= {"map": "none"} if name == "CLAIR" else {}
    one, swapped = make(name, backbone, **changes), make(name, backbone, **changes)
    one.prepare(pair)
    swapped.prepare(pair[::-1])
    assert swapped.domains == ("shaded", "line")
    for images in pair:
        torch.testing.assert_close(swapped.embed(images), one.embed(images), atol=1e-5, rtol=0)


def test_an_unknown_domain_is_one_line(trained, pair):
    method, photos = trained.method, Images("photo", pair[0].pixels)
    ways = (
        lambda: method.embed(photos),
        lambda: method.embed(pair[0], "photo"),
        lambda: method.embed_texts(["ant"], "photo"),
    )
    for way in ways:
        with pytest.raises(
            InputError, match=r"^domain 'photo' is not one of the trained pair \['line', 'sha"
        ):
            way()


def test_a_text_is_a_query(trained, pair):
    """A row for each text, as long as those of the images, in the words of the domain."""
    method, texts = trained.method, ["teapot", "bee", "moon"]
    rows = method.embed_texts(texts, "line")
    assert rows.shape == (3, method.embed(pair[0]).shape[1])
    assert rows.device.type == "cpu" and not rows.requires_grad
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(method.embed_texts(texts[1:2], "line"), rows[1:2], atol=1e-5, rtol=0)
    assert (rows - method.embed_texts(texts, "shaded")).abs().max() > 1e-3


@pytest.mark.parametrize("trained", ["TPSNetPrinted", "UEMPrinted", "Frozen"], indirect=True)
def test_what_all_texts_of_a_domain_share_is_taken_off(trained, backbone):
    texts, style = ["teapot", "bee"], style_of("shaded")
    neutral = class_texts(backbone, NEUTRAL, style).mean(dim=0)
    expected = F.normalize(class_texts(backbone, texts, style) - neutral, dim=1)
    torch.testing.assert_close(trained.method.embed_texts(texts, "shaded"), expected)


@pytest.mark.parametrize("name", [name for name in METHODS if not METHODS[name].needs_clip])
def test_a_text_query_without_texts_is_one_line(name, moco, pair):
    for changes in [{"centred": True}, {"centred": False}] if name == "Frozen" else [{}]:
        method = make(name, moco, **changes)
        method.prepare(pair)
        with pytest.raises(InputError, match=r"^a text query.* needs a CLIP, with texts[^\n]*$"):
            method.embed_texts(["ant"], "line")


@pytest.mark.parametrize("trained", ["TPSNet", "TPSNetPrinted", "CLAIR", "Frozen"], indirect=True)
def test_queries_are_rejected_by_where_they_come_back(trained, pair):
    query, gallery = (trained.method.embed(images) for images in pair)
    found = trained.method.reject(query, gallery, seed=1)
    expected = reject_unreturned(query, gallery)
    assert torch.equal(found.rejected, expected.rejected)
    torch.testing.assert_close(found.threshold, expected.threshold)
