"""CLAIR: what stands in an embedding, whose say counts in training, and what is refused."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tpsnet.engine import fit
from tpsnet.methods import CLAIR, CLAIRConfig, Frozen
from tpsnet.methods.clair_texts import centred
from tpsnet.types import Batch, InputError

NAMES = ("ant", "bee", "cat", "dog")
CONFIG = CLAIRConfig(NAMES, text_epochs=2, epochs=2, batch_size=16)


def blocks(method: CLAIR, images) -> tuple[torch.Tensor, torch.Tensor]:
    return method.embed(images).split(method.backbone.dim, dim=1)


def test_the_clip_vector_stays_beside_the_trained_one(backbone, pair):
    """Before and after training, in its share; only the first domain is mapped."""
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, trained_share=0.36))
    floor = Frozen(backbone, pair)
    start = blocks(method, pair[1])[1]
    fit(method, pair)
    clip, trained = blocks(method, pair[1])
    torch.testing.assert_close(clip, 0.8 * floor.embed(pair[1]), atol=2e-3, rtol=0)
    torch.testing.assert_close(trained.norm(dim=1), torch.full((20,), 0.6), atol=1e-3, rtol=0)
    assert (trained - start).norm(dim=1).min() > 1e-3


@pytest.mark.parametrize("kind", ["procrustes", "ridge"])
def test_the_map_takes_the_first_domain_to_the_second(backbone, pair, kind):
    """Both halves of an embedding, and no other domain."""
    cfg = dataclasses.replace(CONFIG, map=kind, map_penalty=0.1)
    method, plain = (CLAIR(backbone, *pair, c) for c in (cfg, dataclasses.replace(cfg, map="none")))
    w = method.texts.cross_domain_map()
    here, there = (centred(method.texts(NAMES, images.name)).double() for images in pair)
    assert (here @ w - there).norm() < (here - there).norm() < (here @ w.T - there).norm()
    for mapped, start, share in zip(blocks(method, pair[0]), blocks(plain, pair[0]), (0.4, 0.6), strict=True):
        expected = share**0.5 * F.normalize(start.double() @ w, dim=1).float()
        torch.testing.assert_close(mapped, expected, atol=3e-3, rtol=0)
    assert torch.equal(method.embed(pair[1]), plain.embed(pair[1]))


def test_without_a_map_both_domains_stay(backbone, pair):
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, map="none", trained_share=0.0))
    floor = Frozen(backbone, pair).embed(pair[0])
    torch.testing.assert_close(blocks(method, pair[0])[0], floor, atol=2e-3, rtol=0)


def test_the_map_is_solved_from_the_vocabulary(backbone, pair):
    wide = dataclasses.replace(CONFIG, vocabulary=("house", "tree", "car", "boat", "moon", "sun"))
    one, other = (CLAIR(backbone, *pair, cfg).texts.cross_domain_map() for cfg in (CONFIG, wide))
    assert not torch.allclose(one, other)


def both(method: CLAIR, pair, n: int = 12) -> list[Batch]:
    index = torch.arange(n)
    views = [images.pixels[index].float() / 255 for images in pair]
    return [Batch(v, v.flip(-1), index, d) for d, v in enumerate(views)]


@pytest.mark.parametrize("term", ["instance", "cluster", "domain"])
def test_every_contrast_weighs_pictures_by_their_confidence(backbone, pair, term):
    """Equal confidences are plain contrast; other ones change it."""
    method = CLAIR(backbone, *pair, CONFIG)
    method._begin_image_epoch(0)
    found = []
    for weights in (torch.ones(24), torch.full((24,), 0.3), torch.linspace(0, 1, 24)):
        n = [len(images) for images in pair]
        method.pseudo = [
            dataclasses.replace(p, confidence=weights[:k]) for p, k in zip(method.pseudo, n, strict=True)
        ]
        found.append(float(method._image_losses(*both(method, pair))[term].detach()))
    assert found[0] == pytest.approx(found[1], rel=1e-5) and abs(found[0] - found[2]) > 1e-4


def test_confidence_weighs_the_texts_too(backbone, pair):
    method = CLAIR(backbone, *pair, CONFIG)
    method._begin_text_epoch(0)
    before = float(method._text_losses(*both(method, pair))["i2t"].detach())
    method.pseudo = [
        dataclasses.replace(p, confidence=torch.linspace(0, 1, len(p.labels))) for p in method.pseudo
    ]
    assert abs(float(method._text_losses(*both(method, pair))["i2t"].detach()) - before) > 1e-5


def test_prototypes_are_weighted_means_over_both_domains(backbone, pair):
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, map="none"))
    method._begin_image_epoch(0)
    rows = torch.cat([blocks(method, images)[1] for images in pair])
    labels = torch.cat([p.labels for p in method.pseudo])
    weight = torch.cat([p.confidence for p in method.pseudo])
    for c in range(len(NAMES)):
        mine = labels == c
        expected = F.normalize((rows[mine] * weight[mine, None]).sum(dim=0), dim=0)
        torch.testing.assert_close(method.prototypes[c], expected, atol=3e-3, rtol=0)


def test_prototypes_follow_the_pictures_of_each_step(backbone, pair):
    """Those of classes in the batch, by confidence; the others stay."""
    method = CLAIR(backbone, *pair, CONFIG)
    before = F.normalize(
        torch.randn(method.prototypes.shape, generator=torch.Generator().manual_seed(0)), dim=1
    )
    method.prototypes.copy_(before)
    rows, weights = torch.eye(backbone.dim)[:3], torch.tensor([1.0, 3.0, 1.0])
    method._latest = rows * weights[:, None], torch.tensor([1, 1, 0])
    method._follow()
    m = method.cfg.prototype_momentum
    mean = (rows[0] + 3 * rows[1]) / 10**0.5
    assert torch.equal(method.prototypes[2:], before[2:])
    torch.testing.assert_close(method.prototypes[1], F.normalize(m * before[1] + (1 - m) * mean, dim=0))
    torch.testing.assert_close(method.prototypes[0], F.normalize(m * before[0] + (1 - m) * rows[2], dim=0))


def test_each_step_is_followed(backbone, pair):
    method = CLAIR(backbone, *pair, CONFIG)
    stage = method.stages()[-1]
    stage.refresh(0)
    before = method.prototypes.clone()
    stage.refresh(1)
    assert torch.equal(method.prototypes, before)
    batches = both(method, pair)
    stage.losses(*batches)
    rows, labels = method._latest
    kept = [(method.pseudo[b.domain], b.index.repeat(2)) for b in batches]
    torch.testing.assert_close(rows.norm(dim=1), torch.cat([p.confidence[i] for p, i in kept]))
    assert torch.equal(labels, torch.cat([p.labels[i] for p, i in kept]))
    stage.after_step()
    assert not torch.equal(method.prototypes, before) and not method.prototypes.requires_grad


def test_refinement_can_be_left_out(backbone, pair):
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, refined=False))
    for d, found in enumerate(method.pseudo):
        texts = centred(method.texts.written(NAMES, pair[d].name))
        assert torch.equal(found.labels, (method._vectors[d] @ texts.T).argmax(dim=1))
        assert torch.equal(found.confidence, torch.ones(len(pair[d]))) and found.kept.all()


def test_given_labels_are_taken_as_they_are(backbone, pair):
    given = tuple(torch.arange(len(images)) % 4 for images in pair)
    method = CLAIR(backbone, *pair, CONFIG, given)
    fit(method, pair)
    for found, labels in zip(method.pseudo, given, strict=True):
        assert torch.equal(found.labels, labels)
        assert torch.equal(found.confidence, torch.ones(len(labels))) and found.kept.all()


def test_the_log_tells_what_became_of_the_labels(backbone, pair):
    rows = fit(CLAIR(backbone, *pair, CONFIG), pair)
    assert [row["stage"] for row in rows] == ["texts"] * 2 + ["images"] * 2
    for row in rows:
        assert row["kept"] + row["corrected"] + row["doubted"] == pytest.approx(1)
        assert row["doubted"] > 0


def test_the_context_carries_over_to_other_names(backbone, pair):
    method = CLAIR(backbone, *pair, CONFIG)
    before = method.texts(("moon", "sun"), "line")
    fit(method, pair)
    after = method.texts(("moon", "sun"), "line")
    torch.testing.assert_close(after.norm(dim=1), torch.ones(2))
    assert (after - before).norm(dim=1).min() > 1e-5


def test_learned_prompts_can_be_left_out(backbone, pair):
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, context=0, visual_prompts=0))
    assert [stage.name for stage in method.stages()] == ["images"]
    unlocked = {id(p) for p in method._unlocked}
    assert {id(p) for p in method.parameters() if p.requires_grad} == unlocked
    fit(method, pair)


def test_training_starts_at_the_centred_clip_vector(backbone, pair):
    """Exactly without visual prompts; with them nearly so, since they look almost everywhere alike."""
    floor = Frozen(backbone, pair).embed(pair[1])
    for prompts, tolerance in ((0, 2e-3), (4, 3e-2)):
        cfg = dataclasses.replace(CONFIG, visual_prompts=prompts, trained_share=1.0)
        trained = blocks(CLAIR(backbone, *pair, cfg), pair[1])[1]
        torch.testing.assert_close(trained, floor, atol=tolerance, rtol=0)


def test_each_domain_asks_with_prompts_of_its_own(backbone, pair):
    """Added to the centred vector, before rows are normalised; training moves those of both domains."""
    method = CLAIR(backbone, *pair, dataclasses.replace(CONFIG, map="none", trained_share=1.0))
    with torch.no_grad():
        method.prompts.queries.mul_(500)
        for d, images in enumerate(pair):
            vectors, tokens = backbone.encode_tokens(images.pixels.float() / 255)
            start = vectors - method.offsets[d]
            expected, plain = F.normalize(start + method.prompts(tokens, d), dim=1), F.normalize(start, dim=1)
            # Embedding may run in bfloat16, and what is left after centring is small.
            error = (blocks(method, images)[1] - expected).abs().mean()
            assert error < 0.1 * (plain - expected).abs().mean()
    before = method.prompts.queries.detach().clone()
    fit(method, pair)
    assert ((method.prompts.queries - before).abs().amax(dim=(1, 2)) > 1e-3).all()


def test_bad_input_is_one_line(backbone, pair):
    refused = {
        "empty list|no class names": {"names": ()},
        "names a class twice": {"names": ("ant", "ant")},
        "larger vocabulary": {"map": "procrustes", "map_rank": 5},
        "belongs to map='procrustes'": {"map_rank": 2},
        "nothing to train": {"visual_prompts": 0, "tower_groups": 0},
        "share from 0 to 1": {"trained_share": 1.5},
        "give 0 or more": {"tower_groups": -1},
    }
    for message, changes in refused.items():
        with pytest.raises(InputError, match=message):
            CLAIR(backbone, *pair, dataclasses.replace(CONFIG, **changes))
    with pytest.raises(InputError, match="'photo' is not one of the trained pair"):
        CLAIR(backbone, *pair, CONFIG).embed(dataclasses.replace(pair[0], name="photo"))
    with pytest.raises(InputError, match="MoCo network serves UEM alone"):
        CLAIR(torch.nn.Linear(1, 1), *pair, CONFIG)
