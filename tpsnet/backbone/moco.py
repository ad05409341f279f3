"""A ResNet-50 from a MoCo-v2 checkpoint: the backbone of UEM's own paper.

The published file holds ``{"epoch", "arch", "state_dict", "optimizer"}`` with the keys of a distributed
training, ``module.encoder_q.…`` (the encoder), ``module.encoder_k.…`` and ``module.queue`` (not used here).
"""

import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import resnet50

from tpsnet.backbone.clip import checksum
from tpsnet.errors import InputError

PREFIX = "module.encoder_q."
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as in MoCo's training


class MoCo(nn.Module):
    """A ResNet-50 with MoCo-v2's two-layer head: RGB in [0, 1] to L2-normalised vectors, no texts.

    Args:
        tower: The network, head included.

    Attributes:
        dim: Length of an embedding.
        image_size: Side of the square input in pixels.
        identity: Checksum of the weights as they were loaded.
        model: Address that the model was loaded from, see ``load_backbone``.
    """

    image_size = 224
    model: str = ""
    pretrained: str | None = None

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower.to(memory_format=torch.channels_last)
        self.dim, self.identity = tower.fc[2].out_features, checksum(tower)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "MoCo":
        """Batch-norm layers stay in evaluation mode: their statistics belong to the pretraining."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def encode_image(
        self, images: Float[Tensor, "batch 3 size size"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """L2-normalised embeddings of RGB images in [0, 1], by a copy of ``tower`` if one is given."""
        images = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        return F.normalize((tower or self.tower)(images).float(), dim=1)


def load_moco(file: Path, device: str = "cpu") -> MoCo:
    """Read a MoCo-v2 checkpoint as its authors publish it.

    Only tensors and plain containers are unpickled (``weights_only``), no code.

    Args:
        file: The checkpoint, e.g. ``moco_v2_800ep_pretrain.pth.tar``.
        device: Where the model lives.

    Raises:
        InputError: The file is missing, is no such checkpoint, or holds another network than a ResNet-50 with
            that head.
    """
    if not file.is_file():
        raise InputError(f"no file {file}; moco: needs a MoCo version 2 checkpoint")
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"{file} is not a MoCo-v2 checkpoint: {reason or type(error).__name__}") from None
    query = {key.removeprefix(PREFIX): value for key, value in weights.items() if key.startswith(PREFIX)}
    if "fc.2.weight" not in query:
        raise InputError(
            f"{file} has no {PREFIX}fc.2.weight; give a MoCo version 2 checkpoint, with its head"
        )
    tower = resnet50()
    width, hidden = query["fc.2.weight"].shape
    tower.fc = nn.Sequential(nn.Linear(2048, hidden), nn.ReLU(), nn.Linear(hidden, width))
    try:
        tower.load_state_dict(query)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"{file} does not fit a ResNet-50 with MoCo's head: {reason}") from None
    return MoCo(tower).eval().to(device)
