"""The nouns of the package: what passes from one module to the next.

``Domain`` knows labels and is for evaluation; ``Images`` and ``Batch`` have no label field, so
whatever trains on them is unsupervised by construction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.io import RowFile, crc32, joined_crc32, read_tensors, write_tensors

UNLABELLED = ("unlabelled",)  # the class table of images that nobody labelled
HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Resize:
    """How an image becomes as large as a network takes it, as open_clip's preprocessing names it.

    Attributes:
        size: Side of a square in px, or height and width.
        mode: ``"shortest"`` makes the image as small as it may be to cover the size and cuts out the centre,
            ``"longest"`` makes it as large as it may be to fit in and pads the rest, ``"squash"`` brings
            each side to its length.
        interpolation: How pixels are weighed; both kinds are antialiased.
        fill: Grey of the padding under ``"longest"``, from 0 to 255.
    """

    size: int | tuple[int, int]
    mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) and self.size[0] == self.size[1]:
            object.__setattr__(self, "size", self.size[0])

    def __str__(self) -> str:
        size = f"{self.size}" if isinstance(self.size, int) else "{}x{}".format(*self.size)
        padding = f" {self.fill}" if self.mode == "longest" else ""
        return size if self.plain else f"{size} {self.mode} {self.interpolation}{padding}"

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width in px."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def plain(self) -> bool:
        """Whether it is what CLIP models mostly take: a square of shorter side and centre, bicubic."""
        square = isinstance(self.size, int)
        return square and self.mode == "shortest" and self.interpolation == "bicubic"


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
    """The decoded images of one domain without their labels: all that a method may see.

    Pixels are read by batch, ``images[index]`` or ``images.split(256)``, and need not fit into memory: a part
    of the images is a list of rows, not a copy.

    Attributes:
        name: Name of the domain.
        stored: Pixels, RGB from 0 to 255: in memory, or in the file of the cache.
        rows: Which of the stored ones these images are, in their order; ``None`` for all as they are stored.
    """

    name: str
    stored: UInt8[Tensor, "m 3 height width"] | RowFile
    rows: Int[Tensor, " n"] | None = None

    def __len__(self) -> int:
        return len(self.stored if self.rows is None else self.rows)

    def __getitem__(
        self, index: int | slice | Sequence[int] | Int[Tensor, "*batch"]
    ) -> UInt8[Tensor, "*batch 3 height width"]:
        """Pixels of the images at some positions; what is read of a file is memory of its own."""
        if self.rows is None and isinstance(self.stored, Tensor):
            return self.stored[index]
        places = self._places[index]
        if isinstance(self.stored, Tensor):
            return self.stored[places]
        return torch.from_numpy(self.stored.read(places.view(-1).numpy())).view(
            *places.shape, *self.shape[1:]
        )

    def split(self, size: int) -> Iterator[UInt8[Tensor, "batch 3 height width"]]:
        """The pixels in order, ``size`` images at a time."""
        for start in range(0, max(1, len(self)), size):
            yield self[start : start + size]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Number of images, 3, height and width."""
        of_one = self.stored.shape[1:] if isinstance(self.stored, Tensor) else self.stored.shape
        return len(self), *of_one

    @property
    def pixels(self) -> UInt8[Tensor, "n 3 height width"]:
        """All pixels as one tensor in memory: for few images."""
        return self[:]

    @cached_property
    def identity(self) -> str:
        """Name, number and CRC-32 of the pixels; the cache has recorded it for each image."""
        if isinstance(self.stored, RowFile):
            checksum = joined_crc32(self.stored.crcs[self._places.numpy()].tolist(), self.stored.row)
        else:
            checksum = 0
            for part in self.split(256):
                checksum = crc32(part, checksum)
        return f"{self.name}, {len(self)} images, {checksum:08x}"

    @cached_property
    def _places(self) -> Int[Tensor, " n"]:
        return torch.arange(len(self.stored)) if self.rows is None else self.rows

    def subset(self, keep: Sequence[int]) -> "Images":
        """The images at the positions ``keep``, in that order."""
        return Images(self.name, self.stored, self._places[list(keep)])


@dataclass(frozen=True, eq=False)
class Batch:
    """Some images of one domain, augmented. There is no label field.

    Attributes:
        view1: RGB in [0, 1], or ``None`` for a stage that takes no views.
        view2: A second, independent augmentation, or ``None``.
        index: Position of each image in its ``Images``.
        domain: Number of the domain: 0 for the first of the pair, 1 for the second.
    """

    view1: Float[Tensor, "batch 3 height width"] | None
    view2: Float[Tensor, "batch 3 height width"] | None
    index: Int[Tensor, " batch"]
    domain: int


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of one domain's images: what models make, and what evaluation measures.

    Attributes:
        domain: Name of the domain.
        vectors: One L2-normalised row per image; anything else is refused. Rows in half precision become
            float32 and are normalised again, gradients are left behind, and NumPy's arrays become tensors.
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
        for name in ("vectors", "labels", "rejected"):
            value = getattr(self, name)
            value = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
            if isinstance(value, Tensor):
                object.__setattr__(self, name, value.detach())
        self._check_kinds()
        n = len(self.vectors)
        rejections = n if self.rejected is None else len(self.rejected)
        if not (n == len(self.labels) == len(self.paths) == rejections):
            raise InputError(
                f"embeddings of {self.domain!r}: {n} vectors, {len(self.labels)} labels, {len(self.paths)} "
                f"paths and {rejections} rejections; give one of each an image"
            )
        if not n:
            raise InputError(f"embeddings of {self.domain!r}: no images")
        self._normalise()
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.class_names):
            raise InputError(f"embeddings of {self.domain!r}: a label outside the class table")

    def _check_kinds(self) -> None:
        kinds = {
            "vectors": (2, "floating-point numbers"),
            "labels": (1, "integers"),
            "rejected": (1, "booleans"),
        }
        for name, (axes, kind) in kinds.items():
            value = getattr(self, name)
            if name == "rejected" and value is None:
                continue
            if not isinstance(value, Tensor) or value.ndim != axes or _kind(value) != kind:
                shown = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value)
                raise InputError(
                    f"embeddings of {self.domain!r}: {name} are {shown}; give a tensor of {kind} with {axes} "
                    f"{'axis' if axes == 1 else 'axes'}"
                )

    def _normalise(self) -> None:
        """Refuse rows that are not of unit length, and bring half precision to float32."""
        norms = torch.cat([some.double().norm(dim=1) for some in self.vectors.split(4096)])  # no copy of all
        # Each number is off by half a step of its type at most, and so is the norm.
        tolerance = max(1e-3, torch.finfo(self.vectors.dtype).eps)
        if not bool(((norms - 1).abs() < tolerance).all()):  # NaN fails the comparison too
            worst = int((norms - 1).abs().nan_to_num(nan=torch.inf).argmax())
            raise InputError(
                f"embeddings of {self.domain!r}: row {worst} has norm {norms[worst]:.4g}, not 1; "
                "normalise the rows and look for NaN"
            )
        if self.vectors.dtype in HALVES:
            object.__setattr__(self, "vectors", self.vectors.float() / norms.float()[:, None])

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def labelled(self) -> bool:
        """Whether the images have classes."""
        return self.class_names != UNLABELLED

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
        paths = tuple(str(p) for p in self.paths)
        tensors = {"vectors": self.vectors, "labels": self.labels}
        tensors |= {} if self.rejected is None else {"rejected": self.rejected}
        write_tensors(path, tensors, asdict(EmbeddingsHead(self.domain, self.class_names, paths)))

    @classmethod
    def load(cls, path: Path) -> "Embeddings":
        """Read what ``save`` wrote.

        Raises:
            InputError: The file is missing, damaged or no saved Embeddings.
        """
        mend = "it should be a saved Embeddings file"
        tensors, head = read_tensors(path, mend, EmbeddingsHead)
        if missing := {"vectors", "labels"} - set(tensors):
            raise InputError(f"{path} is not a saved Embeddings file (no {min(missing)!r})")
        paths = tuple(map(Path, head.paths))
        try:
            return cls(
                head.domain,
                tensors["vectors"],
                tensors["labels"],
                head.class_names,
                paths,
                tensors.get("rejected"),
            )
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


@dataclass(frozen=True)
class EmbeddingsHead:
    """What a saved Embeddings file holds beside its tensors."""

    domain: str
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    format: Literal[1] = 1  # files before had the same form without a number


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


def _kind(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "booleans"
    if tensor.is_floating_point():
        return "floating-point numbers"
    return "complex numbers" if tensor.is_complex() else "integers"
