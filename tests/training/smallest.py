"""The smallest method and the smallest backbone: what the loop does shows without a network."""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tpsnet.backbone import MoCo, embed_all
from tpsnet.errors import InputError
from tpsnet.methods import Method, Stage
from tpsnet.types import Batch, Images


def small_backbone(seed: int = 0) -> MoCo:
    """A network of two layers with MoCo's interface, for images of 2 × 2 pixels."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tower = nn.Sequential(nn.Flatten())
        tower.fc = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 3))
    backbone = MoCo(tower)
    backbone.model = f"small {seed}"
    return backbone


@dataclass(frozen=True)
class PullConfig:
    """``weight`` of the loss, ``size`` of the number, ``epochs`` of both stages."""

    epochs: tuple[int, int] = (3, 2)
    weight: float = 2.0
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"size is {self.size}; give at least 1")


class Average(nn.Module):
    """What only training needs: an average over its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("average", torch.zeros(()))


class Pull(Method):
    """A number is pulled to the mean index of a batch, at first alone, then with the backbone's help.

    Attributes:
        calls: what the loop called, in order.
        shown: the images of the first domain in each step.
        steps: the number and its gradient after each step.
        stop: after how many steps it is interrupted.
    """

    name = "Pull"

    def __init__(self, backbone: MoCo, cfg: PullConfig, seed: int = 0) -> None:
        super().__init__(backbone, cfg, seed)
        self.backbone = copy.deepcopy(backbone)
        self.number = nn.Parameter(torch.zeros(cfg.size))
        self.register_buffer("brightness", torch.zeros(2))
        self.calls: list[str] = []
        self.shown: list[list[int]] = []
        self.steps: list[tuple[float, float]] = []
        self.stop: int | None = None

    def prepare(self, images: tuple[Images, Images]) -> None:
        super().prepare(images)
        self.calls.append("prepare")
        self.brightness.copy_(torch.stack([x.pixels.float().mean() / 255 for x in images]))
        self.targets = Average()

    def stages(self) -> list[Stage]:
        return [PullStage(self, 0, "one"), PullStage(self, 1, "two")]

    def embed(self, images: Images, domain: str | None = None) -> Tensor:
        self.eval()
        d = self.domain_index(domain or images.name)
        rows = embed_all(self.backbone.encode_image, images)
        return F.normalize(rows + self.number.detach().mean() - self.brightness[d], dim=1)


class PullStage(Stage):
    """Trains the number; the second one trains the tower too."""

    views, batch_size = 0, 4

    def __init__(self, method: Pull, index: int, name: str) -> None:
        self.method, self.index, self.name = method, index, name
        self.epochs = method.cfg.epochs[index]
        self.weights = {"near": method.cfg.weight, "free": 0.0}

    def parameters(self) -> list[dict]:
        groups = [{"params": [self.method.number], "lr": 0.1}]
        return groups + self.index * [{"params": list(self.method.backbone.parameters()), "lr": 0.01}]

    def begin_epoch(self, epoch: int) -> dict[str, float]:
        self.method.calls.append(f"{self.name} {epoch}")
        return {"noted": epoch / 4}

    def losses(self, first: Batch, second: Batch) -> dict[str, Tensor]:
        assert self.method.training
        self.method.shown.append(first.index.tolist())
        self.target = (first.index.float().mean() + second.index.float().mean()) / 2
        value = self.method.number.mean() - self.method.targets.average / 4
        if self.index:
            value = value + sum(p.sum() for p in self.method.backbone.parameters())
        return {"near": (value - self.target).square(), "free": self.method.number.sum() * 0 + 7}

    def after_step(self) -> None:
        method = self.method
        method.targets.average.lerp_(self.target, 0.5)
        method.calls.append("step")
        method.steps.append((float(method.number.detach().mean()), float(method.number.grad.norm())))
        if len(method.steps) == method.stop:
            raise KeyboardInterrupt

    def finish(self) -> None:
        self.method.calls.append(f"{self.name} finished")
        self.method.brightness += 0.125
