"""The embedded CLIP: what it was trained on, and that the trainer does what it says."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from safetensors import safe_open

from tools.assets.clip_corpus import (
    CHOICES,
    MONO_STYLES,
    RELATED_TWIN,
    Corpus,
    allowed,
    captions,
    closest,
    is_hidden,
)
from tools.assets.clip_views import pose, recolour
from tools.assets.drawings import Drawing, render
from tools.assets.emoji_names import Emoji
from tools.assets.families import FAMILIES, TEACHERS, Family, share_geometry
from tools.assets.likeness import TWIN, likeness
from tools.assets.objects import Objects
from tools.assets.sources import sources_root
from tools.assets.train_tiny_clip import FOLDER, Recipe, contrast, save, train

MANIFEST = json.loads((FOLDER / "corpus.json").read_text())
SEEN = {(family, code) for family, codes in MANIFEST["pictures"].items() for code in codes.split()}
ROWS = json.loads((FOLDER.parent / "emoji.json").read_text())["classes"]
SHOWN = {(family, code or name) for row in ROWS for family, name, code in row["hands"]}
HIDDEN = {code for row in ROWS for _, _, code in row["hands"] if code} | Objects.load().hexcodes()


def test_no_benchmark_drawing_was_seen():
    assert len(SHOWN) > 500 and len(SEEN) > 10_000
    assert not SEEN & SHOWN


def test_no_twin_of_a_benchmark_drawing_was_seen():
    """A twin: the same emoji in a family that shares the outlines, such as fluent-flat of fluent-3d."""
    shown = {}
    for family, code in SHOWN:
        shown.setdefault(code, set()).add(family)
    for family, code in SEEN - {pair for pair in SEEN if pair[0] in TEACHERS}:
        assert not any(share_geometry(family, other) for other in shown.get(code, ())), (family, code)


def test_only_teachers_showed_the_objects():
    hidden = frozenset(HIDDEN)
    assert {family for family, code in SEEN if is_hidden(code, hidden)} <= set(TEACHERS)
    assert not {row[0] for row in SHOWN} & set(TEACHERS)


def test_nothing_seen_looks_like_a_benchmark_drawing():
    assert MANIFEST["closest"] <= TWIN and MANIFEST["closest_related"] <= RELATED_TWIN


@pytest.mark.skipif(not sources_root().is_dir(), reason="the emoji families are not fetched")
def test_teachers_drawings_are_no_redrawings():
    """Measured afresh: noto-v1 partly lives on in noto."""
    ours = {d.hexcode: d for d in FAMILIES["noto-v1"].drawings()}
    theirs = FAMILIES["noto"].by_hexcode()
    both = sorted(
        {code for family, code in SEEN if family == "noto-v1"} & {c for f, c in SHOWN if f == "noto"}
    )
    assert len(both) > 20
    for code in both[::3]:
        assert likeness(render(ours[code], 96), render(theirs[code], 96)) <= RELATED_TWIN, code


def test_closest_tells_relatives_from_strangers():
    """A mirrored copy is found in any family, but counts as related only where geometry is shared."""
    disc = np.zeros((1, 96, 96, 4), np.uint8)
    disc[0, 20:70, 10:40] = 255
    disc[0, 20:70, 10:40, :3] = 0
    disc[0, 60:70, 40:80] = (200, 0, 0, 255)
    ours = [Drawing("noto-v1", "l", "1"), Drawing("streamline", "l", "1")]
    theirs = [Drawing("noto", "l", "2")]
    likes, related = closest(ours, np.repeat(disc, 2, 0), theirs, disc[:, :, ::-1])
    assert likes == pytest.approx([1, 1], abs=1e-3) and related == pytest.approx([1, 0], abs=1e-3)


def test_share_of_line_and_solid_drawings():
    count = {family: len(codes.split()) for family, codes in MANIFEST["pictures"].items()}
    mono = sum(n for family, n in count.items() if FAMILIES[family].style in MONO_STYLES)
    assert mono / sum(count.values()) == pytest.approx(Recipe().mono_share, abs=0.01)


def test_an_emoji_joined_from_an_object_is_hidden():
    hidden = frozenset({"1f415", "2764"})
    assert is_hidden("1f415", hidden) and is_hidden("1f415-200d-1f9ba", hidden)
    assert not is_hidden("1f416", hidden) and not is_hidden("1f4152", hidden)


def test_rule_on_three_families(monkeypatch):
    """Objects by teachers only, line drawings in their share, icon sets not at all."""

    def drawings(self: Family) -> list[Drawing]:
        return [Drawing(self.key, code, code) for code in ("1", "2", "3", "4", "5", "6", "7")]

    chosen = {key: FAMILIES[key] for key in ("noto", "noto-v1", "openmoji-black", "ph")}
    monkeypatch.setattr("tools.assets.clip_corpus.FAMILIES", chosen)
    monkeypatch.setattr(Family, "drawings", drawings)
    found = allowed({"1", "2"}, mono_share=0.2, seed=0)
    codes = {key: sorted(d.hexcode for d in found if d.family == key) for key in chosen}
    assert codes["noto"] == list("34567") and codes["noto-v1"] == list("1234567") and codes["ph"] == []
    assert len(codes["openmoji-black"]) == 3 and set(codes["openmoji-black"]) <= set("34567")
    assert found == allowed({"1", "2"}, mono_share=0.2, seed=0)


def test_captions_name_the_thing_and_the_style():
    emoji = Emoji("1f418", "elephant", ("animal", "trunk"), "animals-nature", "animal-mammal")
    found = captions(emoji, "3D render")
    assert len(found) == CHOICES
    assert {"elephant", "a 3D render of an elephant", "an image of an elephant"} <= set(found)
    assert len(captions(replace(emoji, tags=()), "flat icon")) == CHOICES


def test_contrast_with_one_positive_is_the_clip_loss(unit):
    z, t, scale = unit(6, 4).float(), unit(6, 4).float(), torch.tensor(7.0)
    ours = contrast(z, t, torch.eye(6, dtype=torch.bool), scale)
    torch.testing.assert_close(ours, ClipLoss()(z, t, scale))


def test_contrast_with_several_positives_loop(unit, rng):
    z, t, scale = unit(5, 3).float(), unit(5, 3).float(), torch.tensor(3.0)
    same = (torch.rand(5, 5, generator=rng) < 0.4) | torch.eye(5, dtype=torch.bool)
    slow = 0.0
    for rows, columns, positive in ((z, t, same), (t, z, same.T)):
        for i in range(5):
            exps = [torch.exp(scale * rows[i] @ columns[j]) for j in range(5)]
            logs = [torch.log(exps[j] / sum(exps)) for j in range(5) if positive[i, j]]
            slow -= sum(logs) / len(logs) / 10
    torch.testing.assert_close(contrast(z, t, same, scale), slow)


def test_pose_lays_drawings_on_light_paper(rng):
    images = torch.zeros(64, 4, 20, 20, dtype=torch.uint8)
    paper = pose(images, 16, rng)  # nothing drawn: paper only, 0.75 to 1, one colour an image
    assert paper.min() >= 0.75 and paper.max() <= 1 and paper.amin((0, 2, 3)).max() < 0.95
    assert (paper.amax((2, 3)) - paper.amin((2, 3))).max() < 1e-5
    images[:, 3, 6:14, 6:14] = 255
    posed = pose(images, 16, rng)
    assert (posed[:, :, 5:11, 5:11].amin((1, 2, 3)) < 0.05).all()  # the black square stays in view
    assert not torch.equal(posed[0], posed[1])


def test_recolour_takes_colour_from_the_share_it_is_told(rng):
    images = torch.rand(400, 3, 6, 6, generator=rng)
    greyed = recolour(images.clone(), rng, grey=0.3, edge=0.0)
    without = (greyed.amax(1) - greyed.amin(1)).flatten(1).amax(1) < 1e-6
    assert without.float().mean().item() == pytest.approx(0.3, abs=0.08)
    assert greyed.min() >= 0 and greyed.max() <= 1


@pytest.fixture(scope="module")
def toy() -> Corpus:
    """Squares of six colours, eight of each; a caption names the colour."""
    names = ("red", "lime", "blue", "yellow", "cyan", "black")
    rgb = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [0, 0, 0]])
    emoji = torch.arange(48) // 8
    pixels = torch.zeros(48, 4, 24, 24, dtype=torch.uint8)
    pixels[:, 3, 4:20, 4:20] = 255
    pixels[:, :3] = rgb[emoji, :, None, None]
    drawings = tuple(Drawing("noto", str(i), str(i)) for i in emoji.tolist())
    return Corpus(drawings, pixels, emoji, names, emoji[:, None].repeat(1, 2), 0.5, 0.5)


def test_training_learns_repeats_itself_and_survives_saving(toy, tmp_path):
    recipe = Recipe(
        trunk="test_resnet",
        image_size=32,
        early=0.0,
        dim=16,
        text_width=16,
        epochs=40,
        batch_size=48,
        lr=5e-3,
        grey=0.0,
        edge=0.0,
        output=tmp_path,
    )
    first, second = train(recipe, toy), train(recipe, toy)
    state = second.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in first.state_dict().items())
    said = open_clip.SimpleTokenizer(context_length=24)(list(toy.captions)).unique()
    assert torch.equal(first.token_embedding.weight.any(dim=1).nonzero().flatten(), said)
    assert first.positional_embedding.any(dim=1).nonzero().flatten().tolist() == [0, 1, 2, 3]
    save(first, recipe, toy)
    loaded, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(list(toy.captions))
    images = pose(toy.pixels, 32, torch.Generator().manual_seed(3))
    with torch.no_grad():
        z, t = loaded.eval().encode_image(images * 2 - 1), loaded.encode_text(tokens)
        kept = F.cosine_similarity(t, first.encode_text(tokens))
    assert kept.min().item() > 0.999
    guess = (F.normalize(z, dim=1) @ F.normalize(t, dim=1).T).argmax(dim=1)
    assert (guess == toy.emoji).float().mean() > 0.7  # chance is 0.17
    assert json.loads((tmp_path / "corpus.json").read_text())["pictures"]["noto"].startswith("0 0 0 0")
    assert {p.name for p in tmp_path.iterdir()} == {
        "corpus.json",
        "open_clip_config.json",
        "open_clip_model.safetensors",
    }


def test_the_shipped_model():
    weights = FOLDER / "open_clip_model.safetensors"
    assert sum(p.stat().st_size for p in FOLDER.iterdir()) < 20e6
    with safe_open(weights, "pt") as file:
        assert {file.get_tensor(k).dtype for k in file.keys()} <= {torch.float16, torch.int64}  # noqa: SIM118
        table = file.get_tensor("token_embedding.weight")
    used = (table != 0).any(dim=1)
    assert 1000 < used.sum() < 10_000  # words of the captions; the others say nothing
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{FOLDER}")
    size = model.visual.image_size[0]
    with torch.no_grad():
        out = model.eval().forward_intermediates(
            torch.zeros(2, 3, size, size), image_indices=1, normalize=True
        )
    assert out["image_features"].shape == (2, Recipe().dim)
    assert min(out["image_intermediates"][-1].shape[2:]) >= 3


def test_the_model_card_is_there():
    card = Path(FOLDER / "README.md").read_text()
    assert all(words in card for words in ("Licence", "zero-shot", "train_tiny_clip", "corpus.json"))
