"""An image tower at work: batches in parts and in shares, its precision, and the layers that learn.

``Encoder`` is what CLIP and MoCo have in common. What memory holds at a time is set by ``TowerConfig``; what
each layer learns by ``LayerRates``.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tpsnet.distributed import gathered, share, sharing
from tpsnet.errors import InputError
from tpsnet.settings import Positive, PositiveShare, Settings, Whole
from tpsnet.types import Resize

BLOCK = re.compile(r"(?:^|\.)(?:(?:res)?blocks\.|stages\.|layers?\.?)(\d+)\.(?:blocks\.(\d+)\.)?")
WITHOUT_BLOCKS = "this image tower has no gradient checkpointing; give micro_batch instead"


@dataclass(frozen=True)
class TowerConfig(Settings):
    """How an image tower is run while it is trained. All but the precision change rounding alone.

    Attributes:
        precision: What the tower computes in: "auto" is bfloat16 where the device has it natively, else
            float32. Losses stay in float32.
        checkpointing: Whether what happens within a block is computed again in the backward pass instead of
            kept (gradient checkpointing): less memory, and one more forward pass.
        micro_batch: Images that pass through the tower at a time, by default all. Each part is computed again
            in the backward pass: memory holds one part, and the gradient is that of the whole batch.
        compile: Whether the tower is compiled (torch.compile), which needs a compiler and takes minutes at
            first.
    """

    precision: Literal["auto", "bf16", "fp32"] = "auto"
    checkpointing: bool = False
    micro_batch: Positive | None = None
    compile: bool = False


@dataclass(frozen=True)
class LayerRates(Settings):
    """How fast each layer of an image tower learns, from patches to the head.

    A layer is what stands before the blocks, a block, or all that follows them. Source of the decay: ELECTRA
    (Clark et al., ICLR 2020) and BEiT (Bao et al., ICLR 2022), as CLIP is mostly fine-tuned.

    Attributes:
        layer_decay: Factor of the learning rate from each layer of the tower to the one before it; 1 trains
            all alike.
        locked: Number of layers of the tower that stay as they were loaded, counted from the input.
    """

    layer_decay: PositiveShare = 1.0
    locked: Whole = 0


class Encoder(nn.Module):
    """A network with an image tower: RGB in [0, 1] to L2-normalised vectors.

    Attributes:
        resize: How images are resized for it: what ``data.load_images`` takes.
        mean: Per-channel mean of its preprocessing, (1, 3, 1, 1); ``std`` likewise.
        tower: The image tower: what fine-tuning trains.
        running: How the tower is run; see ``running``.
    """

    resize: Resize
    mean: Tensor
    std: Tensor
    running = TowerConfig()

    def train(self, mode: bool = True) -> "Encoder":
        """Batch-norm layers stay in evaluation mode: their statistics belong to the pretraining."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def encode_image(
        self, images: Float[Tensor, "batch 3 height width"], tower: nn.Module | None = None
    ) -> Float[Tensor, "batch dim"]:
        """L2-normalised embeddings of RGB images in [0, 1], by a copy of ``tower`` if one is given."""
        learns = torch.is_grad_enabled()
        if tower is None:
            tower = self.__dict__.get("compiled", self.tower) if learns else self.tower

        def encode(part: Tensor) -> tuple[Tensor]:
            x = self._prepare(part)
            whole = x.is_cuda and not learns and torch.is_autocast_enabled("cuda")
            vectors = in_bfloat16(tower, x) if whole else tower(x)
            vectors = vectors[0] if isinstance(vectors, tuple) else vectors  # a CoCa's tower gives tokens too
            return (F.normalize(vectors.float(), dim=1),)

        return self._run(encode, images)[0]

    def _prepare(self, images: Tensor) -> Tensor:
        # Channels last, as the weights are: convolutions on a processor run about three times faster.
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def _run(self, encode: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor) -> tuple[Tensor, ...]:
        """``encode`` on this process's share of a batch, in parts; the rows of the whole batch."""
        total = len(images)
        mine = images[share(total).to(images.device)] if sharing() else images
        rows = self._in_parts(encode, mine)
        return tuple(gathered(r, total) for r in rows) if sharing() else rows

    def _in_parts(self, encode: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor) -> tuple[Tensor, ...]:
        def run(part: Tensor) -> tuple[Tensor, ...]:
            with _precision(self.running, part.device):
                return encode(part)

        parts = images.split(self.running.micro_batch or len(images))
        if len(parts) == 1:
            return run(images)
        again = torch.is_grad_enabled()
        rows = [checkpoint(run, part, use_reentrant=False) if again else run(part) for part in parts]
        return tuple(map(torch.cat, zip(*rows, strict=True)))

    @contextmanager
    def run_by(self, cfg: TowerConfig) -> Iterator[None]:
        """Run the tower by a config as long as the context lasts.

        Raises:
            InputError: the tower has no gradient checkpointing, or there is no compiler.
        """
        if cfg.checkpointing:
            _checkpoint_blocks(self.tower, True)
        if cfg.compile:
            self._compile()
        self.running = cfg
        try:
            yield
        finally:
            del self.running
            for name in ("compiled", "compiled_tokens"):
                self.__dict__.pop(name, None)
            if cfg.checkpointing:
                _checkpoint_blocks(self.tower, False)

    def _compile(self) -> None:
        _check_compiler(self.mean.device)
        # Past ``__setattr__``: a submodule would put the weights into the state a second time.
        self.__dict__["compiled"] = torch.compile(self.tower)


def in_bfloat16(tower: nn.Module, x: Float[Tensor, "batch 3 height width"]) -> Tensor | tuple[Tensor, ...]:
    """What a tower gives with all its weights in bfloat16, without gradient; the tower stays as it is.

    Autocast leaves norms and the sums of residuals in float32, and attention then copies between layouts: on
    a GPU a ViT encodes 1.4 times as many images this way. OpenAI's CLIP runs so in float16.
    Batch norms stay in float32: what rounding moves of a running mean, it moves in every image alike.

    Args:
        tower: An image tower in evaluation mode.
        x: Images as it takes them.
    """
    kept = [f"{n}." for n, m in tower.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    tensors = itertools.chain(tower.named_parameters(), tower.named_buffers())
    low = {
        name: t.detach().to(torch.bfloat16)
        for name, t in tensors
        if t.is_floating_point() and not name.startswith(tuple(kept))
    }
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        return functional_call(tower, low, (x.to(torch.bfloat16),))


@contextmanager
def running(module: nn.Module, cfg: TowerConfig) -> Iterator[None]:
    """Run all towers within a module by a config as long as the context lasts.

    Args:
        module: E.g. a method with the copy of a backbone that it trains.
        cfg: The config.

    Raises:
        InputError: see ``Encoder.run_by``; or the module holds no tower, and the config is not the default.
    """
    encoders = [m for m in module.modules() if isinstance(m, Encoder)]
    if not encoders and cfg != TowerConfig():
        raise InputError(
            "precision, checkpointing, micro_batch and compile are for methods that train an image tower, "
            "and this one trains none; leave them out"
        )
    with ExitStack() as stack:
        for encoder in encoders:
            stack.enter_context(encoder.run_by(cfg))
        yield


def _precision(cfg: TowerConfig, device: torch.device) -> AbstractContextManager:
    if cfg.precision == "auto":  # as whoever calls has it, see ``autocast``
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=cfg.precision == "bf16")


def _checkpoint_blocks(tower: nn.Module, on: bool) -> None:
    network = getattr(tower, "trunk", tower)  # open_clip only warns where timm refuses
    if isinstance(network, ModifiedResNet) or not hasattr(network, "set_grad_checkpointing"):
        raise InputError(WITHOUT_BLOCKS)  # open_clip's own does nothing
    try:
        network.set_grad_checkpointing(on)
    except (AssertionError, NotImplementedError):
        raise InputError(WITHOUT_BLOCKS) from None


def _check_compiler(device: torch.device) -> None:
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except Exception as error:  # a missing compiler surfaces in many ways
        lines = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"compile: no working compiler here ({lines[0][:150]}); leave it out") from None


def layers(tower: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of an image tower by layer: what stands before the blocks, each block, what follows.

    Blocks are those of a vision transformer; of a ResNet its four stages, of a ConvNeXt the blocks of each.
    """
    groups: dict[tuple[int, ...], list[nn.Parameter]] = {(-1,): []}
    head: list[nn.Parameter] = []
    for name, parameter in tower.named_parameters():
        found = BLOCK.search(name)
        if found:
            groups.setdefault(tuple(int(n or -1) for n in found.groups()), []).append(parameter)
        elif len(groups) == 1 and name != "proj":  # open_clip names the last projection first
            groups[(-1,)].append(parameter)
        else:
            head.append(parameter)
    return [layer for layer in (*groups.values(), head) if layer]


def lock(tower: nn.Module, rates: LayerRates) -> None:
    """Keep the first layers of a tower as they are: no gradient is computed for them.

    Raises:
        InputError: nothing would be left to train.
    """
    found = layers(tower)
    if rates.locked >= len(found):
        raise InputError(f"locked = {rates.locked}: this image tower has {len(found)} layers; lock fewer")
    for parameter in (p for layer in found[: rates.locked] for p in layer):
        parameter.requires_grad_(False)


def layer_groups(tower: nn.Module, lr: float, rates: LayerRates) -> list[dict]:
    """Parameter groups for the optimiser; layer g of G learns at ``lr`` × decay^(G − 1 − g).

    Args:
        tower: The image tower, after ``lock``.
        lr: Learning rate of the last layer.
        rates: The decay.
    """
    if rates.layer_decay == 1:
        return [{"params": [p for p in tower.parameters() if p.requires_grad], "lr": lr}]
    found = layers(tower)
    groups = [
        {
            "params": [p for p in layer if p.requires_grad],
            "lr": lr * rates.layer_decay ** (len(found) - 1 - g),
        }
        for g, layer in enumerate(found)
    ]
    return [group for group in groups if group["params"]]
