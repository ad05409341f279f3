"""Two domains: the labelled pictures for scores, the bare ones for methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from tpsnet.data import image_folder, load_images, restrict, shared_classes
from tpsnet.engine import Method
from tpsnet.methods import Frozen
from tpsnet.types import Domain, Embeddings, Images


@dataclass(frozen=True)
class Pair:
    """Two domains, with and without labels: the first for scores, the second for methods."""

    domains: tuple[Domain, Domain]
    images: tuple[Images, Images]

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two domains."""
        return self.domains[0].name, self.domains[1].name

    @property
    def classes(self) -> tuple[int, ...]:
        """Ids of the classes of either domain, rising."""
        return tuple(torch.cat([domain.labels for domain in self.domains]).unique().tolist())

    @property
    def n_classes(self) -> int:
        """Their number: the preset C of the methods, as in the literature."""
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.domains[0].class_names[c] for c in self.classes)

    @property
    def class_rows(self) -> tuple[Int[Tensor, " a"], Int[Tensor, " b"]]:
        """Labels of both domains as rows of ``class_names``."""
        return tuple(torch.searchsorted(torch.tensor(self.classes), d.labels) for d in self.domains)

    def restrict(self, setting: str, seed: int) -> "Pair":
        """The first domain as queries, the second as gallery, with the label spaces of ``data.restrict``."""
        return self.subset(restrict(*self.domains, setting, seed))

    def subset(self, keep: tuple[Sequence[int], Sequence[int]]) -> "Pair":
        """The pictures at some positions of each domain."""
        return Pair(
            tuple(d.subset(k) for d, k in zip(self.domains, keep, strict=True)),
            tuple(i.subset(k) for i, k in zip(self.images, keep, strict=True)),
        )


def load_pair(root: Path, names: tuple[str, str], size: int, classes: int = 0) -> Pair:
    """Decode two domains of a picture folder at the backbone's size.

    Args:
        root: folder of domains.
        names: two of them.
        size: side of the decoded pictures.
        classes: how many classes to keep, the first of the class table; 0 keeps all.

    Raises:
        InputError: the folder or a domain is missing or empty, or the two share no class.
    """
    found = image_folder(root, names)
    loaded = [load_images(found[name], size) for name in names]
    pair = Pair(tuple(d for d, _ in loaded), tuple(i for _, i in loaded))
    if classes:
        pair = pair.subset(tuple((d.labels < classes).nonzero()[:, 0].tolist() for d in pair.domains))
    shared_classes(*pair.domains)
    return pair


def embeddings(method: Frozen | Method, pair: Pair) -> tuple[Embeddings, Embeddings]:
    """Both domains through a method: from here on there are no models."""
    return tuple(
        Embeddings(d.name, method.embed(i), d.labels, d.class_names, d.paths)
        for d, i in zip(pair.domains, pair.images, strict=True)
    )
