"""A ResNet-50 from a MoCo-v2 checkpoint: the backbone of UEM's own paper.

The published file holds ``{"epoch", "arch", "state_dict", "optimizer"}`` with the keys of a distributed
training, ``module.encoder_q.…`` (the encoder), ``module.encoder_k.…`` and ``module.queue`` (not used here).
"""

from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet50

from tpsnet.backbone.clip import checksum, preprocessing
from tpsnet.backbone.tower import Encoder
from tpsnet.backbone.weights import check_state, unpickled
from tpsnet.errors import InputError
from tpsnet.types import Resize

PREFIX = "module.encoder_q."
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as in MoCo's training
MEND = "give a MoCo version 2 checkpoint, with its head"
WIDEST = 2**14  # numbers of a layer of the head


class MoCo(Encoder):
    """A ResNet-50 with MoCo-v2's two-layer head: RGB in [0, 1] to L2-normalised vectors, no texts.

    Args:
        tower: The network, head included.

    Attributes:
        dim: Length of an embedding.
        identity: Checksum of the weights as they were loaded.
        preprocessing: What else its vectors depend on: resize, mean and deviation.
        quick_gelu: Whether it computes QuickGELU; a ResNet-50 does not.
        model: Address that the model was loaded from, see ``load_backbone``.
    """

    resize = Resize(224)
    preprocessing = preprocessing(resize, MEAN, STD)
    quick_gelu = False
    model: str = ""
    pretrained: str | None = None

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower.to(memory_format=torch.channels_last)
        self.dim, self.identity = tower.fc[2].out_features, checksum(tower)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)


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
    found = unpickled(file, MEND)
    state = check_state(found.get("state_dict") if isinstance(found, dict) else found, file, MEND)
    query = {key.removeprefix(PREFIX): value for key, value in state.items() if key.startswith(PREFIX)}
    head = query.get("fc.2.weight", torch.empty(0))
    if head.ndim != 2 or not 1 <= min(head.shape) <= max(head.shape) <= WIDEST:
        shape = tuple(head.shape) if "fc.2.weight" in query else "missing"
        raise InputError(f"{file}: {PREFIX}fc.2.weight is {shape}; {MEND}")
    with torch.device("meta"):  # shapes alone: nothing is built from a file that does not fit
        expected = _network(*head.shape).state_dict()
    for name in sorted({*expected, *query}):
        there, wanted = (tuple(x[name].shape) if name in x else "missing" for x in (query, expected))
        if there != wanted:
            raise InputError(
                f"{file} does not fit a ResNet-50 with MoCo's head: {PREFIX}{name:.80} is {there}, not "
                f"{wanted}; {MEND}"
            )
    tower = _network(*head.shape)
    tower.load_state_dict(query)
    return MoCo(tower).eval().to(device)


def _network(width: int, hidden: int) -> nn.Module:
    tower = resnet50()
    tower.fc = nn.Sequential(nn.Linear(2048, hidden), nn.ReLU(), nn.Linear(hidden, width))
    return tower
