"""Label-free batches of two domains, side by side."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Generator, Tensor

from tpsnet.errors import InputError
from tpsnet.types import Batch, Images


class PairedBatches:
    """Batches of two domains for training; no label is in them.

    An epoch shows every image of the larger domain once. All batches are full: what the last one
    lacks is taken from the start of another shuffle. The smaller domain goes round and round, shuffled
    afresh each time, so also one with fewer images than a batch works.

    Every random number derives from the seed and the epoch's number: an epoch can be repeated,
    or reached without walking through the ones before.

    Args:
        first: Images of domain 0.
        second: Images of domain 1.
        batch_size: Images of each domain in a step; must be positive. No more are taken than the larger
            domain has: repeats would add memory and nothing else.
        views: Number of augmented views, 0 to 2; with 0 a batch holds indices only.
        augment: Function ``(images in [0, 1], generator) -> images``, called for each view; ``None`` leaves
            the images as they are.
        seed: Seed of shuffles and views; must not be negative.
        device: Device on which the views are made; the indices stay on the CPU.

    Raises:
        InputError: A domain is empty, or a number is outside the range stated above.
    """

    def __init__(
        self,
        first: Images,
        second: Images,
        batch_size: int,
        views: int,
        augment: Callable[[Tensor, Generator], Tensor] | None,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        for images in (first, second):
            if not len(images):
                raise InputError(f"domain {images.name!r} has no image to train on")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; give at least 1")
        if views not in (0, 1, 2):
            raise InputError(f"views is {views}; give 0, 1 or 2")
        if seed < 0:
            raise InputError(f"seed is {seed}; give 0 or more")
        self.domains = (first, second)
        self.batch_size = min(batch_size, max(map(len, self.domains)))
        self.views, self.augment = views, augment
        self.seed, self.device = seed, torch.device(device)

    def __len__(self) -> int:
        """Number of steps in an epoch."""
        return -(-max(map(len, self.domains)) // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Batch, Batch]]:
        """The batches of epoch ``number``, the same at every call."""
        mixed = np.random.SeedSequence([self.seed, number]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(mixed[0]))
        orders = [self._order(len(images), generator) for images in self.domains]
        for first, second in zip(*orders, strict=True):
            yield self._batch(0, first, generator), self._batch(1, second, generator)

    def _order(self, n: int, generator: Generator) -> Tensor:
        """``[steps, batch_size]`` positions: whole shuffles of the domain, one after the other."""
        total = len(self) * self.batch_size
        shuffles = [torch.randperm(n, generator=generator) for _ in range(-(-total // n))]
        return torch.cat(shuffles)[:total].view(len(self), self.batch_size)

    def _batch(self, domain: int, index: Tensor, generator: Generator) -> Batch:
        if not self.views:
            return Batch(None, None, index, domain)
        pixels = self.domains[domain][index]
        if self.device.type == "cuda":  # from pinned memory the copy runs beside what the GPU computes
            pixels = pixels.pin_memory()
        images = pixels.to(self.device, non_blocking=True).float() / 255
        views = [self.augment(images, generator) if self.augment else images for _ in range(self.views)]
        return Batch(views[0], views[1] if self.views == 2 else None, index, domain)
