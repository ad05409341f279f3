"""Protocols as values: which images training may see, what queries what, and how embeddings are scored.

Every protocol takes published train and test lists of images; without lists all images are in both parts,
the transductive reading of the field.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
import tyro

from tpsnet.data import Dataset, Pair, embedded_unseen, listed, zero_shot_split
from tpsnet.data.folder import of_classes
from tpsnet.errors import InputError
from tpsnet.evaluation import (
    Scores,
    ZeroShotScores,
    evaluate,
    evaluate_zero_shot,
    protocol_card,
    rerank,
    reranking_rule,
)
from tpsnet.paths import user_path
from tpsnet.settings import Positive, Settings
from tpsnet.types import Embeddings

Both = tuple[Embeddings, Embeddings]
Reject = Callable[[Both], Both]


@dataclass(frozen=True)
class Arranged:
    """A pair under a protocol.

    Attributes:
        train: The images that training may see; all means and clusters come from them.
        test: The images that are embedded: queries and galleries.
        unseen: Ids of the classes that queries are of, where these are not all.
    """

    train: Pair
    test: Pair
    unseen: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Protocol(Settings):
    """What all protocols share.

    Attributes:
        lists: Folder with ``DOMAIN_train.txt`` and ``DOMAIN_test.txt`` for each domain, as DomainNet
            publishes them; training sees the first, queries and galleries are of the second. By default
            all images are in both.
        engine: Which engine ranks, see ``neighbours.searcher``; all of them give the same numbers.
        rerankings: Rules of re-ranking that scores are given under too, see ``evaluation.rerank``.
    """

    lists: Path | None = None
    engine: Literal["auto", "torch", "faiss"] = "auto"
    rerankings: tuple[Literal["expansion", "diffusion"], ...] = ("expansion", "diffusion")

    name: ClassVar[str]
    rejects: ClassVar[bool] = False  # whether methods also say which queries have no match
    further: ClassVar[bool] = False  # whether it wants the further embedded objects
    known_queries: ClassVar[bool] = True  # whether re-ranking may use the queries' neighbourhoods

    @property
    def drawn(self) -> bool:
        """Whether the seed draws classes, so that it matters to a baseline too."""
        return False

    def embedded(self) -> "Protocol":
        """The protocol on the embedded images, where it leaves something open."""
        return self

    def published(self, dataset: Dataset | None) -> "Protocol":
        """The protocol on a data set, where it leaves something open that papers have fixed.

        Args:
            dataset: The data set; ``None`` for a folder of any images.

        Raises:
            InputError: It asks for something that the data set has not.
        """
        return self

    def arrange(self, pair: Pair, seed: int) -> Arranged:
        """Divide a pair.

        Raises:
            InputError: lists or classes do not fit the pair.
        """
        raise NotImplementedError

    def parts(self, pair: Pair) -> Arranged:
        """Training and test images by the lists, before any class is left out."""
        if self.lists is None:
            return Arranged(pair, pair)
        parts = (tuple(listed(d, self.lists, part) for d in pair.domains) for part in ("train", "test"))
        return Arranged(*(pair.subset(keep) for keep in parts))

    def fingerprint(self, names: tuple[str, str]) -> dict[str, int]:
        """Checksums of the lists of two domains: an edited list is another protocol."""
        if self.lists is None:
            return {}
        folder = user_path(self.lists)
        files = (folder / f"{name}_{part}.txt" for name in names for part in ("train", "test"))
        return {file.name: zlib.crc32(file.read_bytes()) for file in files if file.is_file()}

    def kept(self, both: Both, arranged: Arranged) -> Both:
        """Queries and gallery to keep on disk, of the embedded test images."""
        return both

    def score(
        self,
        both: Both,
        arranged: Arranged,
        *,
        seed: int,
        trained: bool,
        reject: Reject | None = None,
        device: torch.device | str = "cpu",
    ) -> list[dict]:
        """Directions of a row: domains, metrics in percent as embedded and re-ranked, card.

        Args:
            both: Embeddings of the test images of both domains.
            arranged: What ``arrange`` gave.
            seed: Seed of the row.
            trained: Whether anything was trained with that seed.
            reject: Queries and gallery to the same with rejections, where the protocol wants them.
            device: Where the metrics are computed.
        """
        raise NotImplementedError

    def _direction(
        self,
        both: Both,
        measure: Callable[[Embeddings, Embeddings], Scores | ZeroShotScores],
        kind: str,
        spaces: str,
        split: str,
        seeds: tuple[int, ...],
    ) -> dict:
        if self.lists is not None:
            split = f"{split}; images by the published train and test lists"
        known = {"known_queries": self.known_queries}
        rules = {name: reranking_rule(name, **known) for name in self.rerankings}
        scores = measure(*both)
        card = protocol_card(scores, label_spaces=spaces, split=split, seeds=seeds, rerankings=rules)
        return {
            "query": scores.facts.query_domain,
            "gallery": scores.facts.gallery_domain,
            "kind": kind,
            "metrics": scores.metrics(),
            "reranked": {name: measure(*rerank(both, name, **known)).metrics() for name in rules},
            "card": dataclasses.asdict(card),
        }


@dataclass(frozen=True)
class Closed(Protocol):
    """Both domains with all their classes, each queries the other.

    Attributes:
        ks: Depths k of P@k; those beyond the gallery are left out.
    """

    ks: tuple[Positive, ...] = (1, 5, 15)
    name: ClassVar[str] = "closed"

    def arrange(self, pair: Pair, seed: int) -> Arranged:
        """All classes of both domains."""
        return self.parts(pair)

    def score(
        self,
        both: Both,
        arranged: Arranged,
        *,
        seed: int,
        trained: bool,
        reject: Reject | None = None,
        device: torch.device | str = "cpu",
    ) -> list[dict]:
        """Both directions."""
        measure = partial(evaluate, ks=self.ks, engine=self.engine, device=device)
        about = "all", "closed", "all", (seed,) if trained else ()
        return [self._direction(way, measure, *about) for way in (both, both[::-1])]


@dataclass(frozen=True)
class Universal(Protocol):
    """Label spaces that differ: the first domain queries, the second is the gallery.

    Attributes:
        spaces: Label spaces, see ``data.restrict``.
        ks: Depths k of P@k; those beyond the gallery are left out.
    """

    spaces: tyro.conf.Suppress[Literal["partial", "open", "opda"]] = "open"  # --protocol names them
    ks: tuple[Positive, ...] = (1, 5, 15)
    rejects: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """The label spaces."""
        return self.spaces

    @property
    def drawn(self) -> bool:
        """The seed draws the classes."""
        return True

    def arrange(self, pair: Pair, seed: int) -> Arranged:
        """Classes are drawn from those that both domains have."""
        drawn = pair.restrict(self.spaces, seed)
        arranged = Arranged(drawn, drawn)
        if self.lists is not None:  # one draw for both parts, also where a list lacks a class
            parts, classes = self.parts(pair), [domain.labels.unique().tolist() for domain in drawn.domains]
            arranged = Arranged(*(_of_classes(part, classes) for part in (parts.train, parts.test)))
        return arranged

    def score(
        self,
        both: Both,
        arranged: Arranged,
        *,
        seed: int,
        trained: bool,
        reject: Reject | None = None,
        device: torch.device | str = "cpu",
    ) -> list[dict]:
        """The one direction; what is rejected is decided anew after each re-ranking."""

        def measure(query: Embeddings, gallery: Embeddings) -> Scores:
            if reject is not None and query.rejected is None:
                query, gallery = reject((query, gallery))
            return evaluate(query, gallery, ks=self.ks, engine=self.engine, device=device)

        about = "all", f"{self.spaces}, drawn by seed {seed}", "all", (seed,) if trained else ()
        return [self._direction(both, measure, *about)]


@dataclass(frozen=True)
class ZeroShot(Protocol):
    """Training on seen classes; queries of unseen classes, in both directions.

    Attributes:
        unseen: Names of the unseen classes; by default the seed draws a quarter.
        seen: Names of the seen classes; by default all others.
        split: Name of a published split of the data set, e.g. 25 of Sketchy, instead of the unseen names; by
            default its only one.
        ks: Depths k of the metrics; those beyond the gallery are left out.
        mode: Definition of the metrics, see ``evaluation.zero_shot``.
    """

    unseen: tuple[str, ...] | None = None
    seen: tuple[str, ...] | None = None
    split: str | None = None
    ks: tuple[Positive, ...] = (100, 200)
    mode: Literal["voc_minR", "hits", "strict"] = "voc_minR"
    name: ClassVar[str] = "zero-shot"
    further: ClassVar[bool] = True
    known_queries: ClassVar[bool] = False

    @property
    def drawn(self) -> bool:
        """The seed draws classes where no name is given."""
        return self.unseen is None

    def embedded(self) -> "ZeroShot":
        """With the unseen names of the embedded images."""
        self.published(None)
        return self if self.unseen is not None else dataclasses.replace(self, unseen=embedded_unseen())

    def published(self, dataset: Dataset | None) -> "ZeroShot":
        """With the unseen names of a published split of the data set."""
        if self.split is not None and (dataset is None or self.unseen is not None):
            raise InputError(
                f"--split {self.split} is a split of a data set: give --dataset and --root, and no --unseen"
            )
        if self.unseen is not None or dataset is None or not (dataset.splits or self.split):
            return self
        return dataclasses.replace(self, unseen=dataset.unseen(self.split), split=None)

    def arrange(self, pair: Pair, seed: int) -> Arranged:
        """Seen classes to train on; seen and unseen ones, the generalised gallery, to embed."""
        parts = self.parts(pair)
        split = zero_shot_split(*pair.domains, self.unseen, self.seen, seed=seed)
        train = parts.train.subset(tuple(split.train(d) for d in parts.train.domains))
        test = parts.test.subset(tuple(split.generalised(d) for d in parts.test.domains))
        return Arranged(train, test, split.unseen)

    def kept(self, both: Both, arranged: Arranged) -> Both:
        """The embeddings of unseen classes among those of both generalised galleries."""
        unseen = torch.tensor(arranged.unseen)
        return tuple(part.subset(torch.isin(part.labels, unseen).nonzero()[:, 0].tolist()) for part in both)

    def score(
        self,
        both: Both,
        arranged: Arranged,
        *,
        seed: int,
        trained: bool,
        reject: Reject | None = None,
        device: torch.device | str = "cpu",
    ) -> list[dict]:
        """Both directions with a gallery of unseen classes, then both with the generalised one."""
        measure = partial(evaluate_zero_shot, ks=self.ks, mode=self.mode, engine=self.engine, device=device)
        about = "trained on seen classes, queries of unseen ones", (seed,) if trained else ()
        queries = self.kept(both, arranged)
        return [
            self._direction((queries[q], galleries[g]), measure, kind, f"zero-shot, {kind} gallery", *about)
            for kind, galleries in (("unseen", queries), ("generalised", both))
            for q, g in ((0, 1), (1, 0))
        ]


PROTOCOLS: dict[str, Protocol] = {
    "closed": Closed(),
    "partial": Universal("partial"),
    "open": Universal("open"),
    "opda": Universal("opda"),
    "zero-shot": ZeroShot(),
}


def _of_classes(pair: Pair, classes: Sequence[Sequence[int]]) -> Pair:
    """The images of some classes, which differ by domain."""
    return pair.subset(tuple(of_classes(d, some) for d, some in zip(pair.domains, classes, strict=True)))
