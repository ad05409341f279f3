"""A tower in parts, with less memory, at another precision, compiled, with locked layers."""

import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import resnet50

from tpsnet.backbone import LayerRates, TowerConfig, layer_groups, layers, load_backbone, lock, running
from tpsnet.backbone.moco import MoCo
from tpsnet.backbone.tower import Encoder, in_bfloat16
from tpsnet.errors import InputError

BATCH = 10
# A part of a batch is multiplied in another order than the batch. Found: 5e-7, and 1e-4 where a convolution
# takes another algorithm for another size; plain accumulation is off by 5e-3 and more.
ROUNDING, CONVOLVED = 2e-6, 3e-4


@pytest.fixture(autouse=True)
def exact(monkeypatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)


@pytest.fixture
def backbone(any_clip):
    return load_backbone(any_clip)


@pytest.fixture
def moco() -> MoCo:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = nn.Sequential(nn.Conv2d(3, 8, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        tower.fc = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 6))
    return MoCo(tower)


def images(encoder: Encoder, n: int = BATCH) -> torch.Tensor:
    size = encoder.resize.size
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


def contrast(encoder: Encoder, batch: torch.Tensor) -> torch.Tensor:
    """Every image meets every other one, in vectors and in tokens where there are any."""
    if isinstance(encoder, MoCo):
        return (encoder.encode_image(batch) @ encoder.encode_image(batch).T * 9).logsumexp(dim=1).sum()
    vectors, tokens = encoder.encode_tokens(batch)
    both = encoder.encode_image(batch) + vectors, tokens.mean(dim=1)
    return sum((z @ z.T).logsumexp(dim=1).sum() for z in both)


def gradients(encoder: Encoder, cfg: TowerConfig, batch: torch.Tensor) -> dict[str, torch.Tensor]:
    encoder.zero_grad(set_to_none=True)
    with running(encoder, cfg):
        contrast(encoder, batch).backward()
    return {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}


def same(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], rounding: float = ROUNDING
) -> None:
    """Up to rounding, as a share of the largest number in any gradient."""
    assert set(found) == set(expected) and len(found) > 3
    largest = max(float(g.abs().max()) for g in expected.values())
    worst = max((float((g - expected[name]).abs().max()) / largest, name) for name, g in found.items())
    assert worst[0] < rounding, worst


def rounding(encoder: Encoder) -> float:
    return CONVOLVED if type(encoder.tower).__name__ == "ModifiedResNet" else ROUNDING


@pytest.mark.parametrize("size", [1, 4, 9])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(backbone, size):
    batch = images(backbone)
    whole = gradients(backbone, TowerConfig(), batch)
    same(gradients(backbone, TowerConfig(micro_batch=size), batch), whole, rounding(backbone))


def test_plain_accumulation_has_another_gradient(backbone):
    """Negatives of the other parts are missing: this is what the parts above are for."""
    batch = images(backbone)
    whole = gradients(backbone, TowerConfig(), batch)
    backbone.zero_grad(set_to_none=True)
    for part in batch.split(5):
        contrast(backbone, part).backward()
    summed = {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}
    with pytest.raises(AssertionError):
        same(summed, whole, 10 * rounding(backbone))


def test_moco_runs_in_parts_too(moco):
    batch = images(moco)
    whole = gradients(moco, TowerConfig(), batch)
    same(gradients(moco, TowerConfig(micro_batch=3), batch), whole, CONVOLVED)


def test_checkpointed_blocks_have_the_same_gradient(backbone):
    cfg, batch = TowerConfig(checkpointing=True), images(backbone)
    if type(backbone.tower).__name__ == "ModifiedResNet":
        with pytest.raises(InputError, match="has no gradient checkpointing; give micro_batch instead"):
            gradients(backbone, cfg, batch)
        return
    whole = gradients(backbone, TowerConfig(), batch)
    found = gradients(backbone, cfg, batch)
    assert all(torch.equal(found[name], whole[name]) for name in whole) and set(found) == set(whole)
    same(gradients(backbone, TowerConfig(checkpointing=True, micro_batch=4), batch), whole)


def test_moco_has_no_checkpointing(moco):
    with (
        pytest.raises(InputError, match="has no gradient checkpointing"),
        running(moco, TowerConfig(checkpointing=True)),
    ):
        pass


class Live(TorchDispatchMode):
    """Counts the bytes of tensors that operations have made and that are still there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.add(tensor.untyped_storage())
        return out

    def add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.gone, key, size)

    def gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def peak(encoder: Encoder, cfg: TowerConfig, batch: torch.Tensor) -> int:
    """Most bytes that were there at a time, in a forward and a backward pass."""
    encoder.zero_grad(set_to_none=True)
    with running(encoder, cfg), Live() as live:
        encoder.encode_image(batch).square().sum().backward()
    return live.peak


@pytest.mark.parametrize(
    ("cfg", "share"),
    # With two blocks, one of which is held, there is not much for checkpointing to gain.
    [(TowerConfig(micro_batch=4), 0.5), (TowerConfig(checkpointing=True), 0.8)],
    ids=["parts", "checkpointing"],
)
def test_less_is_held_at_a_time(small_clip, cfg, share):
    backbone = load_backbone(small_clip)
    batch = images(backbone, 32)
    whole, less = peak(backbone, TowerConfig(), batch), peak(backbone, cfg, batch)
    assert less < share * whole, (less, whole)


def test_parts_bound_what_is_held(small_clip):
    """Twice the images in parts of the same size: what is more are images and vectors, no activations."""
    backbone, cfg = load_backbone(small_clip), TowerConfig(micro_batch=4)
    some, more = (peak(backbone, cfg, images(backbone, n)) for n in (32, 64))
    activations = peak(backbone, TowerConfig(), images(backbone, 64)) - some
    assert more - some < 0.1 * activations, (some, more, activations)


def test_precision_is_that_of_the_tower_whatever_surrounds_it(backbone):
    batch = images(backbone)
    with torch.no_grad():
        plain = backbone.encode_image(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = backbone.encode_image(batch)
            with running(backbone, TowerConfig("fp32")):
                assert torch.equal(backbone.encode_image(batch), plain)
        with running(backbone, TowerConfig("bf16")):
            assert torch.equal(backbone.encode_image(batch), half)
        assert torch.equal(backbone.encode_image(batch), plain)
    assert not torch.equal(half, plain) and half.dtype == torch.float32


def test_a_compiled_tower_has_the_same_gradient_and_the_same_state(small_clip, monkeypatch):
    """The compiler itself is torch's: here it only traces."""
    backbone = load_backbone(small_clip)
    compiled, compiler = [], torch.compile

    def trace(function):
        compiled.append(function)
        return compiler(function, backend="eager")

    monkeypatch.setattr(torch, "compile", trace)
    batch, names = images(backbone), set(backbone.state_dict())
    whole = gradients(backbone, TowerConfig(), batch)
    assert not compiled
    same(gradients(backbone, TowerConfig(compile=True, micro_batch=4), batch), whole)
    assert len(compiled) == 3  # a trial, the vectors, the tokens
    with running(backbone, TowerConfig(compile=True)):
        assert set(backbone.state_dict()) == names
    torch.compiler.reset()


def test_without_a_compiler_it_is_one_line(backbone, monkeypatch):
    def missing(function):
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch, "compile", missing)
    with pytest.raises(
        InputError, match=r"^compile: no working compiler here \(no C\+\+ compiler\); leave it"
    ):
        gradients(backbone, TowerConfig(compile=True), images(backbone))


def test_what_has_no_tower_refuses_what_it_would_not_use():
    with running(nn.Linear(1, 1), TowerConfig()):
        pass
    with (
        pytest.raises(InputError, match="trains none; leave them out"),
        running(nn.Linear(1, 1), TowerConfig("fp32")),
    ):
        pass


LAYERS = {
    "VisionTransformer": (4, "conv1.weight", "transformer.resblocks.1.mlp.c_fc.weight", "proj"),
    "ModifiedResNet": (6, "conv1.weight", "layer4.0.conv1.weight", "attnpool.c_proj.weight"),
    "TimmModel": (6, "trunk.conv1.0.weight", "trunk.layer4.0.conv1.weight", "head.proj.weight"),
}


def test_layers_stand_from_the_input_to_the_head(backbone):
    tower = backbone.tower
    number, first, block, last = LAYERS[type(tower).__name__]
    found, names = layers(tower), {id(p): name for name, p in tower.named_parameters()}
    named = [[names[id(p)] for p in layer] for layer in found]
    assert sorted(name for layer in named for name in layer) == sorted(names.values())
    assert len(found) == number and all(found)
    assert first in named[0] and block in named[-2] and last in named[-1]


def test_layers_of_a_convnext_and_of_moco():
    """By their names alone: stages hold blocks, and what a stage begins with stands before its blocks."""
    tower = nn.ModuleDict({"stem": nn.Linear(1, 1), "stages": nn.ModuleList(), "head": nn.Linear(1, 1)})
    for _ in range(2):
        blocks = nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)])
        tower["stages"].append(nn.ModuleDict({"downsample": nn.Linear(1, 1), "blocks": blocks}))
    assert [len(layer) for layer in layers(tower)] == [2] * 8
    with torch.device("meta"):
        found = layers(resnet50())
    assert [len(layer) for layer in found] == [3, 30, 39, 57, 30, 2]


def test_each_layer_learns_at_its_rate(backbone):
    groups = layer_groups(backbone.tower, 0.1, LayerRates(layer_decay=0.5))
    expected = layers(backbone.tower)
    assert [[id(p) for p in g["params"]] for g in groups] == [[id(p) for p in layer] for layer in expected]
    rates = [0.1 * 0.5**i for i in range(len(expected))][::-1]
    assert [g["lr"] for g in groups] == pytest.approx(rates)


def test_without_a_decay_it_is_one_group_as_ever(backbone):
    (group,) = layer_groups(backbone.tower, 0.1, LayerRates())
    assert group["lr"] == 0.1
    assert [id(p) for p in group["params"]] == [id(p) for p in backbone.tower.parameters()]


def test_locked_layers_have_no_gradient_and_no_group(backbone):
    lock(backbone.tower, rates := LayerRates(layer_decay=0.5, locked=2))
    found = layers(backbone.tower)
    assert [all(p.requires_grad == (g >= 2) for p in layer) for g, layer in enumerate(found)] == [True] * len(
        found
    )
    assert len(layer_groups(backbone.tower, 0.1, rates)) == len(found) - 2
    contrast(backbone, images(backbone)).backward()
    assert all(p.grad is None for layer in found[:2] for p in layer)
    with pytest.raises(
        InputError, match=rf"^locked = {len(found)}: this image tower has {len(found)} layers"
    ):
        lock(backbone.tower, LayerRates(locked=len(found)))


def test_in_bfloat16_running_means_are_not_rounded(rng):
    """Of pixels near a mean that bfloat16 has not, the rounding of the pixels themselves averages out."""
    norm = torch.nn.BatchNorm2d(3).eval()
    norm.running_mean.fill_(8.03)
    norm.running_var.fill_(0.01)
    tower = torch.nn.Sequential(torch.nn.Identity(), norm)
    x = 8.03 + 0.1 * torch.randn(1, 3, 200, 200, generator=rng)
    assert in_bfloat16(tower, x).float().mean() == pytest.approx(float(tower(x).detach().mean()), abs=0.02)
