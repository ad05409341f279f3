"""TPSNet, stage 1: cluster labels at first, then the nearest prompts, and what stage 2 is left with."""

import pytest
import torch
import torch.nn.functional as F
from methods.driving import first_images, step, values
from pictures import CLASSES

from tpsnet.losses import image_to_text, text_to_image
from tpsnet.methods import TPSNet, TPSNetConfig
from tpsnet.methods.tpsnet.prompts import PromptStage

pytestmark = pytest.mark.usefixtures("exact")
CONFIG = TPSNetConfig(
    clusters=CLASSES, prompt_epochs=5, prompt_warmup=2, prompt_lr=0.3, prompt_temperature=0.1
)


@pytest.fixture
def stage(backbone, pair) -> PromptStage:
    """With contexts far from their start, so that another prompt than its cluster's is nearest to many."""
    method = TPSNet(backbone, CONFIG)
    method.prepare(pair)
    with torch.no_grad():
        for prompts in method.prompts:
            prompts.contexts.mul_(50)
    return method.stages()[0]


def expected(stage: PromptStage, repaired: bool, n: int = 12) -> dict[str, float]:
    """Each domain's images against its own prompts."""
    tau, terms = CONFIG.prompt_temperature, {"i2t": 0.0, "t2i": 0.0}
    for d in range(2):
        images, labels = stage.targets.features[d][:n], stage.targets.labels(d)[:n]
        texts = stage.method.prompts[d]()
        paired = (images @ texts.T).argmax(dim=1) if repaired else labels
        terms["i2t"] += image_to_text(images, texts, paired, temperature=tau)
        terms["t2i"] += text_to_image(texts, images, labels, temperature=tau)
    return values(terms)


def test_images_are_paired_anew_after_the_warm_up(stage, pair):
    """In the direction from images to texts; the other one keeps the clusters."""
    plain, repaired = (expected(stage, repaired) for repaired in (False, True))
    assert abs(plain["i2t"] - repaired["i2t"]) > 1e-2
    for epoch, wanted in ((0, plain), (1, plain), (2, repaired), (4, repaired)):
        stage.begin_epoch(epoch)
        assert stage.repairing == (epoch >= 2)
        assert values(stage.losses(*first_images(pair))) == pytest.approx(wanted)


def test_the_log_tells_how_many_images_are_nearer_to_another_prompt(stage):
    moved = []
    for d in range(2):
        nearest = (stage.targets.features[d] @ stage.method.prompts[d]().T).argmax(dim=1)
        moved.append(float((nearest != stage.targets.labels(d)).double().mean()))
    assert min(moved) > 0 and moved[0] != moved[1]
    assert stage.begin_epoch(0) == {"repaired": pytest.approx(sum(moved) / 2)}


def test_only_contexts_are_trained_and_labels_stay(stage, pair):
    """Clusters name the images until stage 2 begins."""
    (group,) = stage.parameters()
    assert group["lr"] == CONFIG.prompt_lr
    assert {id(p) for p in group["params"]} == {id(p.contexts) for p in stage.method.prompts}
    before, labels = stage.method.encode_prompts(), [stage.targets.labels(d).clone() for d in range(2)]
    stage.begin_epoch(2)
    step(stage, first_images(pair))
    assert ((stage.method.encode_prompts() - before).abs().amax(dim=2) > 1e-4).all()
    assert all(torch.equal(stage.targets.labels(d), labels[d]) for d in range(2))


def test_the_texts_are_kept_when_the_stage_ends(stage, pair):
    """What the prompts have become, not what they were."""
    before = stage.method.texts.clone()
    stage.begin_epoch(0)
    step(stage, first_images(pair))
    assert torch.equal(stage.method.texts, before)
    stage.finish()
    with torch.no_grad():
        learned = torch.stack([prompts() for prompts in stage.method.prompts])
    torch.testing.assert_close(stage.method.texts, learned)
    assert (learned - before).abs().max() > 1e-2 and (learned[0] - learned[1]).abs().max() > 1e-2


def test_prompts_are_texts_before_they_are_learned(backbone, pair):
    method = TPSNet(backbone, CONFIG)
    method.prepare(pair)
    torch.testing.assert_close(method.texts, method.encode_prompts())
    torch.testing.assert_close(method.texts.norm(dim=2), torch.ones(2, CLASSES))
    assert (F.pdist(method.texts[0]) > 0).all()
