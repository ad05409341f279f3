"""A gallery as a faiss index on disk, flat or with inverted lists (IVF), and the records beside it.

``gallery.faiss`` is an index as faiss writes it; ``gallery.faiss.records`` says what each vector is of. A
flat index is written as a stream and mapped into memory, so that neither building nor searching needs memory
for it. Lists are trained on a random sample of all vectors, and are in memory: 4 · dim + 16 bytes a vector.

An index is trusted input: faiss builds C++ structures from it. The size of a flat one is checked before faiss
reads it; an index from elsewhere has no records that belong to it, and is refused.

Where faiss sees GPUs, they hold the vectors and propose; filtered searches stay on the processor.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any, Literal

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.galleries.base import Gallery, Part, Record, Where
from tpsnet.galleries.records import Records
from tpsnet.io import check_file, crc32, replacing
from tpsnet.paths import claimed, user_path
from tpsnet.settings import Clusters, Positive, Settings

# A flat index: "IxFI", dim, size, two fillers, whether trained, metric (inner product), number of floats.
HEAD = struct.Struct("<4siqqq?iQ")
FILLER = 1 << 20
LISTS = 1024
SAMPLE = 64  # vectors a list to train on
READ = 4096  # vectors at once
GPU_MOST = 2048  # candidates that an index on a GPU returns at most
MEND = "restore the file, or remove it with its .records and run tpsnet index again"


@dataclass(frozen=True)
class FaissOptions(Settings):
    """Options in the address.

    Attributes:
        index: ``flat`` compares every vector; ``ivf`` only those of some lists. By default what the file is.
        lists: Number of lists of a new ``ivf``.
        probes: Number of lists that a query looks into.
    """

    index: Literal["flat", "ivf"] | None = None
    lists: Clusters | None = None
    probes: Positive = 16


class FaissGallery(Gallery):
    """A faiss index on disk, or the place for one.

    Args:
        address: The address, for messages.
        file: The file, or a link to it; the records lie beside the file itself.
        options: The options of the address.
    """

    def __init__(self, address: str, file: str, options: FaissOptions) -> None:
        self.address, self.options = address, options
        self.path = Path(os.path.realpath(user_path(file)))  # whatever a link calls it
        self.records_path = self.path.with_name(f"{self.path.name}.records")
        self._faiss = _faiss()
        self._index: Any = None
        self._on_gpu: Any = None
        self._records: Records | None = None
        if self.path.exists():
            self._open()

    @property
    def engine(self) -> str:
        """See ``Gallery.engine``."""
        if self._is_ivf:
            lists = self._index.nlist if len(self) else self.options.lists or LISTS
            return f"faiss IVF, {min(self.options.probes, lists)} of {lists} lists"
        return "faiss flat"

    @property
    def exact(self) -> bool:
        """See ``Gallery.exact``: all lists are as good as a flat index."""
        return not self._is_ivf or (self._index is not None and self.options.probes >= self._index.nlist)

    def __len__(self) -> int:
        return 0 if self._index is None else self._index.ntotal

    def known(self, paths: Sequence[str]) -> set[str]:
        """See ``Gallery.known``."""
        return self._records.known(paths) if self._records else set()

    def records(self, ids: Sequence[int]) -> list[Record]:
        """See ``Gallery.records``."""
        return self._records.of(ids) if self._records else []

    def vectors(self, ids: Sequence[int]) -> Float32[Tensor, "n dim"]:
        """See ``Gallery.vectors``."""
        return torch.from_numpy(self._index.reconstruct_batch(np.asarray(ids, dtype=np.int64)))

    def walk(self) -> Iterator[tuple[int, Record]]:
        """See ``Gallery.walk``."""
        return self._records.walk(len(self)) if self._records else iter(())

    def close(self) -> None:
        """See ``Gallery.close``."""
        if self._records:
            self._records.close()
        self._index = self._on_gpu = self._records = None

    # Reading.

    @property
    def _is_ivf(self) -> bool:
        if self._index is None:
            return self.options.index == "ivf"
        return isinstance(self._index, self._faiss.IndexIVFFlat)

    def _open(self) -> None:
        """Index first, then records: a writer replaces them in the other order, so that none is missing."""
        check_file(self.path)
        if not self.records_path.exists():
            raise InputError(f"{self.path} has no {self.records_path.name} beside it; {MEND}")
        index, self._on_gpu = self._read()
        records = Records(self.records_path, MEND)
        last = torch.from_numpy(index.reconstruct(index.ntotal - 1))
        if not records.belong(index.ntotal, f"{crc32(last):08x}"):
            raise InputError(f"{self.path} and {self.records_path.name} are not of one gallery; {MEND}")
        self._index, self._records, self.model, self.dim = index, records, records.model, index.d
        self._refuse_other_options()

    def _read(self) -> tuple[Any, Any]:
        """The index, checked before and after faiss reads it, and what GPUs have of it."""
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            head = file.read(HEAD.size)
        flat = len(head) == HEAD.size and head[:4] == b"IxFI"
        if flat:
            _, dim, n, _, _, _, metric, floats = HEAD.unpack(head)
            whole = n > 0 and dim > 0 and n * dim == floats and size == HEAD.size + 4 * floats and metric == 0
        try:
            if flat and not whole:
                raise ValueError("its size is not what its head says")
            index = self._faiss.read_index(str(self.path), self._faiss.IO_FLAG_MMAP_IFC if flat else 0)
        except Exception as error:  # a damaged file provokes any kind of error
            reason = " ".join(str(error).split())[-120:]
            raise InputError(f"cannot read {self.path} ({reason}); {MEND}") from None
        ivf = isinstance(index, self._faiss.IndexIVFFlat)
        if not (flat or ivf) or index.ntotal < 1 or index.metric_type != self._faiss.METRIC_INNER_PRODUCT:
            raise InputError(f"{self.path} is a {type(index).__name__} that tpsnet has not written; {MEND}")
        if ivf:
            index.nprobe = min(self.options.probes, index.nlist)
        on_gpu = self._cloned(index)
        if ivf:
            index.make_direct_map()  # vectors by their number
        return index, on_gpu

    def _refuse_other_options(self) -> None:
        held = "ivf" if self._is_ivf else "flat"
        if self.options.index not in (None, held):
            raise InputError(
                f"{self.path} is {held}, not {self.options.index}; leave index= out, or take another file"
            )
        if self._is_ivf and self.options.lists not in (None, self._index.nlist):
            raise InputError(
                f"{self.path} has {self._index.nlist} lists, not {self.options.lists}; leave lists= out"
            )

    def _cloned(self, index: Any) -> Any:
        """The index on all GPUs, each with a share of the vectors; ``None`` where there is none."""
        if not (hasattr(self._faiss, "StandardGpuResources") and self._faiss.get_num_gpus() > 0):
            return None
        how = self._faiss.GpuMultipleClonerOptions()
        how.shard = True
        return self._faiss.index_cpu_to_all_gpus(index, co=how)

    def _search(self, queries: Float32[Tensor, "query dim"], k: int, where: Where) -> tuple[Tensor, Tensor]:
        chosen = {}
        if not where.everything:
            fitting = self._records.fitting(where, len(self))
            if not len(fitting):
                return torch.zeros(len(queries), 0, dtype=torch.long), torch.zeros(len(queries), 0)
            bits = np.zeros(len(self), dtype=bool)
            bits[fitting] = True
            chosen["sel"] = self._faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))
            k = min(k, len(fitting))
        if self._is_ivf:
            params = self._faiss.SearchParametersIVF(nprobe=self._index.nprobe, **chosen)
        else:
            params = self._faiss.SearchParameters(**chosen) if chosen else None

        def propose(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
            if self._on_gpu is not None and not chosen and n <= GPU_MOST:
                near, numbers = self._on_gpu.search(rows, n)
            else:
                near, numbers = self._index.search(rows, n, params=params)
            return numbers, near

        return self._settled(queries, k, propose)

    # Writing.

    def _append(self, parts: Iterator[Part], model: str) -> int:
        with claimed(self.path.parent):
            self._reopen()  # another process may have added to it meanwhile
            self.check_model(model)
            first = next((part for part in map(self._new, parts) if part[1]), None)
            if first is None:
                return 0
            try:
                return self._replaced(chain([first], parts), model)
            finally:
                self._reopen()

    def _reopen(self) -> None:
        self.close()
        if self.path.exists():
            self._open()

    def _replaced(self, parts: Iterator[Part], model: str) -> int:
        """Write both files anew; the index gets its name last."""
        before = len(self)
        with replacing(self.path) as index_file, replacing(self.records_path) as records_file:
            if self._records:
                self._records.close()
            self._records = records = self._copied(records_file, before)
            with closing(records), _full_disk():
                write = self._write_ivf if self._is_ivf else self._write_flat
                added, last = write(index_file, self._recorded(parts, records))
                records.finish(before + added, model, f"{crc32(last):08x}")
                return added

    def _copied(self, file: Path, before: int) -> Records:
        if not before:
            return Records.create(file, MEND)
        copyfile(self.records_path, file)
        records = Records(file, MEND)
        records.forget(before)
        return records

    def _recorded(self, parts: Iterator[Part], records: Records) -> Iterator[Tensor]:
        """Vectors of the new items, once their records are written."""
        n = len(self)
        for part in parts:
            vectors, fresh = self._new(part)
            if fresh:
                records.write(n, fresh)
                n += len(fresh)
                yield vectors

    def _write_flat(self, file: Path, parts: Iterator[Tensor]) -> tuple[int, Tensor]:
        """A flat index as faiss writes it, not in memory; returns how many vectors came, and the last."""
        before = len(self)
        if before:
            copyfile(self.path, file)
        with file.open("r+b" if before else "wb") as stream:
            stream.seek(HEAD.size + 4 * before * self.dim)
            n, vectors = _streamed(stream, parts)
            dim = vectors.shape[1]
            stream.seek(0)
            stream.write(_head(before + n, dim))
        return n, vectors[-1]

    def _write_ivf(self, file: Path, parts: Iterator[Tensor]) -> tuple[int, Tensor]:
        """Inverted lists, new ones trained on a sample of all vectors; returns as ``_write_flat``."""
        with TemporaryFile(dir=self.path.parent) as stream:
            n, vectors = _streamed(stream, parts)
            stream.flush()
            rows = np.memmap(stream, np.float32, "r", shape=(n, vectors.shape[1]))
            index = self._index if len(self) else self._trained(rows)
            for start in range(0, n, READ):
                index.add(np.ascontiguousarray(rows[start : start + READ]))
        index.make_direct_map(False)
        self._faiss.write_index(index, str(file))
        return n, vectors[-1]

    def _trained(self, rows: np.ndarray) -> Any:
        lists = self.options.lists or LISTS
        if len(rows) < lists:
            raise InputError(
                f"{self.address}: {lists} lists of {len(rows)} vectors; give lists= of {len(rows)} or fewer"
            )
        quantiser = self._faiss.IndexFlatIP(rows.shape[1])
        index = self._faiss.IndexIVFFlat(quantiser, rows.shape[1], lists, self._faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1  # else it writes a warning to the terminal
        index.cp.max_points_per_centroid = SAMPLE
        chosen = np.random.default_rng(0).choice(len(rows), min(len(rows), SAMPLE * lists), replace=False)
        index.train(rows[np.sort(chosen)])
        return index


def _streamed(stream: IO[bytes], parts: Iterator[Tensor]) -> tuple[int, Tensor]:
    """Write vectors one after another; returns their number and the last part."""
    n, vectors = 0, torch.zeros(0, 0)
    for vectors in parts:
        stream.write(vectors.numpy().tobytes())
        n += len(vectors)
    return n, vectors


def _head(n: int, dim: int) -> bytes:
    return HEAD.pack(b"IxFI", dim, n, FILLER, FILLER, True, 0, n * dim)


@contextmanager
def _full_disk() -> Iterator[None]:
    """Errors that faiss raises in writing, as those of a file."""
    try:
        yield
    except RuntimeError as error:  # faiss has no other kind
        raise OSError(" ".join(str(error).split())[-120:]) from None


def _faiss() -> ModuleType:
    try:
        import faiss
    except ImportError:
        raise InputError("faiss is not installed; pip install 'tpsnet[cpu]', or 'tpsnet[gpu]'") from None
    return faiss
