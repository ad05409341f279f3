"""The nouns of the package: what passes from one room to the next.

``Domain`` knows labels and is for evaluation; ``Images`` and ``Batch`` have no label field, so
whatever trains on them is unsupervised by construction.
"""

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one line: what, where, how to mend it.

    The command line prints the message and exits with code 2.
    """


@dataclass(frozen=True, eq=False)
class Domain:
    """The labelled pictures of one domain, as they lie on disk.

    Attributes:
        name: the domain's folder name, e.g. ``"line"``.
        paths: one file a picture.
        labels: class id of each picture, an index into ``class_names``.
        class_names: the class table shared by every domain of the data set.
    """

    name: str
    paths: tuple[Path, ...]
    labels: Int[Tensor, " n"]
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def subset(self, keep: Sequence[int]) -> "Domain":
        """The pictures at the positions ``keep``, in that order, under the same class table."""
        paths = tuple(self.paths[i] for i in keep)
        return Domain(self.name, paths, self.labels[list(keep)], self.class_names)


@dataclass(frozen=True, eq=False)
class Images:
    """The decoded pictures of one domain without their labels: all that a method may see."""

    name: str
    pixels: UInt8[Tensor, "n 3 size size"]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def identity(self) -> str:
        """Name, number and checksum of the pictures."""
        checksum = zlib.crc32(self.pixels.cpu().contiguous().numpy())
        return f"{self.name}, {len(self)} pictures, {checksum:08x}"

    def subset(self, keep: Sequence[int]) -> "Images":
        """The pictures at the positions ``keep``, in that order."""
        return Images(self.name, self.pixels[list(keep)])


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures of one domain, augmented. There is no label field.

    Attributes:
        view1: RGB in [0, 1], or ``None`` for a stage that asks for no views.
        view2: a second, independent augmentation, or ``None``.
        index: position of each picture in its ``Images``.
        domain: 0 for the first domain of the pair, 1 for the second.
    """

    view1: Float[Tensor, "batch 3 size size"] | None
    view2: Float[Tensor, "batch 3 size size"] | None
    index: Int[Tensor, " batch"]
    domain: int


@dataclass(frozen=True, eq=False)
class Stage:
    """One phase of training, as a value that ``engine.fit`` walks through.

    Attributes:
        name: shown in logs, unique within a method.
        epochs: passes over the longer domain.
        parameters: optimiser parameter groups, each ``{"params": [...], "lr": float}``.
        losses: a pair of batches to its named scalar terms.
        weights: factor of each term; the optimised loss is the weighted sum.
        views: how many augmented views a batch needs (0: indices only).
        batch_size: pictures of each domain in a step.
        refresh: called with the epoch's number before it starts, e.g. to renew pseudo-labels;
            returns numbers for the log.
        after_step: called after every optimiser step.
        finish: called once after the last epoch, before the checkpoint is written.
    """

    name: str
    epochs: int
    parameters: Sequence[Mapping[str, object]]
    losses: Callable[[Batch, Batch], dict[str, Tensor]]
    weights: Mapping[str, float]
    views: int
    batch_size: int
    refresh: Callable[[int], dict[str, float]] = field(default=lambda epoch: {})
    after_step: Callable[[], None] = field(default=lambda: None)
    finish: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The waist of the package: models to the left, measurement to the right.

    Attributes:
        domain: name of the domain.
        vectors: one unit row a picture; anything else is refused.
        labels: class ids, for evaluation.
        class_names: the class table.
        paths: the pictures, in the order of the rows.
        rejected: which of them, as queries, have no match in the other domain by the verdict of open-set
            detection; ``None`` where nobody was asked.
    """

    domain: str
    vectors: Float[Tensor, "n dim"]
    labels: Int[Tensor, " n"]
    class_names: tuple[str, ...]
    paths: tuple[Path, ...]
    rejected: Bool[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        n = len(self.vectors)
        verdicts = n if self.rejected is None else len(self.rejected)
        if not (n == len(self.labels) == len(self.paths) == verdicts):
            raise InputError(
                f"embeddings of {self.domain!r}: {n} vectors, {len(self.labels)} labels, {len(self.paths)} "
                f"paths and {verdicts} verdicts; give one of each a picture"
            )
        if not n:
            raise InputError(f"embeddings of {self.domain!r}: no pictures")
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
        """The pictures at the positions ``keep``, in that order, under the same class table."""
        rows = list(keep)
        paths = tuple(self.paths[i] for i in rows)
        verdicts = None if self.rejected is None else self.rejected[rows]
        return Embeddings(
            self.domain, self.vectors[rows], self.labels[rows], self.class_names, paths, verdicts
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file; a reader never sees half of it.

        Raises:
            InputError: the file cannot be written; an older one stays.
        """
        head = {
            "domain": self.domain,
            "class_names": self.class_names,
            "paths": [str(p) for p in self.paths],
        }
        partial = path.with_name(path.name + ".partial")
        tensors = {"vectors": self.vectors.contiguous(), "labels": self.labels.contiguous()}
        if self.rejected is not None:
            tensors["rejected"] = self.rejected.contiguous()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(tensors, partial, metadata={"embeddings": json.dumps(head)})
            partial.replace(path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                partial.unlink()
            raise InputError(
                f"cannot write {path} ({error}); free some space or choose another folder"
            ) from None

    @classmethod
    def load(cls, path: Path) -> "Embeddings":
        """Read what ``save`` wrote."""
        try:
            with safe_open(path, "pt") as file:
                head = json.loads((file.metadata() or {})["embeddings"])
                vectors, labels = file.get_tensor("vectors"), file.get_tensor("labels")
                rejected = file.get_tensor("rejected") if "rejected" in file.keys() else None  # noqa: SIM118
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{path} is not a saved Embeddings file ({error})") from None
        paths = tuple(Path(p) for p in head["paths"])
        return cls(head["domain"], vectors, labels, tuple(head["class_names"]), paths, rejected)


@dataclass(frozen=True, eq=False)
class Ranking:
    """For each query the gallery, best first.

    Attributes:
        indices: gallery positions; equal scores stand in the gallery's order.
        scores: cosine similarity, falling along a row.
        relevant: whether the item has the query's class.
        n_relevant: gallery items of the query's class, also those beyond the ``k`` shown.
        rejected: whether the answer to a query is "no match", whatever its row holds.
    """

    indices: Int[Tensor, "query k"]
    scores: Float[Tensor, "query k"]
    relevant: Bool[Tensor, "query k"]
    n_relevant: Int[Tensor, " query"]
    rejected: Bool[Tensor, " query"]
