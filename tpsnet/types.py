"""The nouns of the package: what passes from one module to the next.

``Domain`` knows labels and is for evaluation; ``Images`` and ``Batch`` have no label field, so
whatever trains on them is unsupervised by construction.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import read_tensors, write_tensors


@dataclass(frozen=True, eq=False)
class Domain:
    """The labelled images of one domain, as they lie on disk.

    Attributes:
        name: The domain's folder name, e.g. ``"line"``.
        paths: File of each image.
        labels: Class id of each image, an index into ``class_names``.
        class_names: The class table, shared by every domain of the data set.
    """

    name: str
    paths: tuple[Path, ...]
    labels: Int[Tensor, " n"]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, keep: Sequence[int]) -> "Domain":
        """The images at the positions ``keep``, in that order, under the same class table."""
        paths = tuple(self.paths[i] for i in keep)
        return Domain(self.name, paths, self.labels[list(keep)], self.class_names)


@dataclass(frozen=True, eq=False)
class Images:
    """The decoded images of one domain without their labels: all that a method may see."""

    name: str
    pixels: UInt8[Tensor, "n 3 size size"]

    def __len__(self) -> int:
        return len(self.pixels)

    @cached_property
    def identity(self) -> str:
        """Name, number and checksum of the images, which are read through for it once."""
        checksum = zlib.crc32(self.pixels.cpu().contiguous().numpy())
        return f"{self.name}, {len(self)} images, {checksum:08x}"

    def subset(self, keep: Sequence[int]) -> "Images":
        """The images at the positions ``keep``, in that order."""
        return Images(self.name, self.pixels[list(keep)])


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of one domain, augmented. There is no label field.

    Attributes:
        view1: RGB in [0, 1], or ``None`` for a stage that takes no views.
        view2: A second, independent augmentation, or ``None``.
        index: Position of each image in its ``Images``.
        domain: Number of the domain: 0 for the first of the pair, 1 for the second.
    """

    view1: Float[Tensor, "batch 3 size size"] | None
    view2: Float[Tensor, "batch 3 size size"] | None
    index: Int[Tensor, " batch"]
    domain: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one domain's images: what models make, and what evaluation measures.

    Attributes:
        domain: Name of the domain.
        vectors: One L2-normalised row per image; anything else is refused.
        labels: Class id of each image, for evaluation.
        class_names: The class table.
        paths: Files of the images, in the order of the rows.
        rejected: Which images, as queries, have no match in the other domain by open-set detection; ``None``
            where no rule was applied.
    """

    domain: str
    vectors: Float[Tensor, "n dim"]
    labels: Int[Tensor, " n"]
    class_names: tuple[str, ...]
    paths: tuple[Path, ...]
    rejected: Bool[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        n = len(self.vectors)
        rejections = n if self.rejected is None else len(self.rejected)
        if not (n == len(self.labels) == len(self.paths) == rejections):
            raise InputError(
                f"embeddings of {self.domain!r}: {n} vectors, {len(self.labels)} labels, {len(self.paths)} "
                f"paths and {rejections} rejections; give one of each an image"
            )
        if not n:
            raise InputError(f"embeddings of {self.domain!r}: no images")
        norms = self.vectors.double().norm(dim=1)
        if not bool(((norms - 1).abs() < 1e-3).all()):  # NaN fails the comparison too
            worst = int((norms - 1).abs().nan_to_num(nan=torch.inf).argmax())
            raise InputError(
                f"embeddings of {self.domain!r}: row {worst} has norm {norms[worst]:.4g}, not 1; "
                "normalise the rows and look for NaN"
            )
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.class_names):
            raise InputError(f"embeddings of {self.domain!r}: a label outside the class table")

    def __len__(self) -> int:
        return len(self.vectors)

    def subset(self, keep: Sequence[int]) -> "Embeddings":
        """The images at the positions ``keep``, in that order, under the same class table."""
        rows = list(keep)
        paths = tuple(self.paths[i] for i in rows)
        rejected = None if self.rejected is None else self.rejected[rows]
        return Embeddings(
            self.domain, self.vectors[rows], self.labels[rows], self.class_names, paths, rejected
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file; a reader never sees half of it.

        Raises:
            InputError: The file cannot be written; an older one stays.
        """
        head = {
            "domain": self.domain,
            "class_names": self.class_names,
            "paths": [str(p) for p in self.paths],
        }
        tensors = {"vectors": self.vectors, "labels": self.labels}
        write_tensors(path, tensors if self.rejected is None else tensors | {"rejected": self.rejected}, head)

    @classmethod
    def load(cls, path: Path) -> "Embeddings":
        """Read what ``save`` wrote.

        Raises:
            InputError: The file is missing, damaged or no saved Embeddings.
        """
        tensors, head = read_tensors(path, "it should be a saved Embeddings file")
        try:
            paths, names = tuple(Path(p) for p in head["paths"]), tuple(head["class_names"])
            rejected = tensors.get("rejected")
            return cls(head["domain"], tensors["vectors"], tensors["labels"], names, paths, rejected)
        except KeyError as error:
            raise InputError(f"{path} is not a saved Embeddings file (no {error})") from None


@dataclass(frozen=True, eq=False)
class Ranking:
    """The gallery ranked for each query, best first.

    Attributes:
        indices: Gallery positions; equal scores stand in the gallery's order.
        scores: Cosine similarities, falling along a row.
        relevant: Whether the item has the query's class.
        n_relevant: Number of gallery items of the query's class, also those beyond the ``k`` shown.
        rejected: Whether the answer to a query is "no match", whatever its row holds.
    """

    indices: Int[Tensor, "query k"]
    scores: Float[Tensor, "query k"]
    relevant: Bool[Tensor, "query k"]
    n_relevant: Int[Tensor, " query"]
    rejected: Bool[Tensor, " query"]
