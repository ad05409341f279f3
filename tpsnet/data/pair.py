"""Two domains: the labelled images for scores, the bare ones for methods."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from tpsnet.data.cache import load_images
from tpsnet.data.datasets import Dataset
from tpsnet.data.folder import image_folder, shared_classes
from tpsnet.data.spelling import Spelling
from tpsnet.data.universal import restrict
from tpsnet.types import Domain, Images, Resize


@dataclass(frozen=True)
class Pair:
    """Two domains, each with and without its labels.

    Attributes:
        domains: The labelled domains, for scores.
        images: Their decoded images without labels, for methods; in the order of ``domains``.
    """

    domains: tuple[Domain, Domain]
    images: tuple[Images, Images]

    @property
    def names(self) -> tuple[str, str]:
        """Names of the two domains."""
        return self.domains[0].name, self.domains[1].name

    @property
    def classes(self) -> tuple[int, ...]:
        """Ids of the classes that have images in either domain, rising."""
        return tuple(torch.cat([domain.labels for domain in self.domains]).unique().tolist())

    @property
    def n_classes(self) -> int:
        """How many classes there are: the preset C of the methods, as in the literature."""
        return len(self.classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of ``classes``, in their order."""
        return tuple(self.domains[0].class_names[c] for c in self.classes)

    @property
    def class_rows(self) -> tuple[Int[Tensor, " a"], Int[Tensor, " b"]]:
        """Labels of both domains as rows of ``class_names``."""
        return tuple(torch.searchsorted(torch.tensor(self.classes), d.labels) for d in self.domains)

    def restrict(self, spaces: str, seed: int) -> "Pair":
        """The pair under the label spaces of a protocol; the first domain queries, the second is the gallery.

        Args:
            spaces: One of ``LABEL_SPACES``.
            seed: Seed of the draw of classes.

        Raises:
            InputError: See ``data.restrict``.
        """
        return self.subset(restrict(*self.domains, spaces, seed))

    def subset(self, keep: tuple[Sequence[int], Sequence[int]]) -> "Pair":
        """The images at some positions of each domain, in that order."""
        return Pair(
            tuple(d.subset(k) for d, k in zip(self.domains, keep, strict=True)),
            tuple(i.subset(k) for i, k in zip(self.images, keep, strict=True)),
        )


def load_pair(
    root: Path,
    names: tuple[str, str],
    size: int | Resize,
    classes: int = 0,
    spelling: Spelling | None = None,
    dataset: Dataset | None = None,
) -> Pair:
    """Decode two domains of an image folder as the backbone takes them.

    Args:
        root: The folder that holds the domains.
        names: Two domains in it.
        size: What the backbone asks for, see ``load_images``.
        classes: How many classes to keep, the first of the class table; 0 keeps all.
        spelling: Other names for class folders, and what to do about classes that are spelt in two ways.
        dataset: The data set that lies there, see ``image_folder``.

    Raises:
        InputError: The folder or a domain is missing or empty, the two share no class, or see ``Spelling``.
    """
    found = image_folder(root, names, spelling, dataset)
    loaded = [load_images(domain, size) for domain in found.values()]
    pair = Pair(tuple(d for d, _ in loaded), tuple(i for _, i in loaded))
    if classes:
        pair = pair.subset(tuple((d.labels < classes).nonzero()[:, 0].tolist() for d in pair.domains))
    shared_classes(*pair.domains)
    return pair
