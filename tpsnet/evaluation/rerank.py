"""Re-ranking as a choice of evaluation: one rule with one set of settings for every row of a table.

A rule replaces embeddings by what their neighbourhoods hold, so that everything after it (cosine, ties,
metrics, detection) is as before. It reads vectors alone, never a label. Where the queries are known together,
as in the transductive protocols, the neighbourhoods run over queries and gallery. Where they come one at a
time, as queries of unseen classes or a search do, those of the known images alone count, and each query is
tied to them.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.neighbours import expand, neighbour_graph
from tpsnet.settings import Positive, Settings, ShareBelowOne, Weight, Whole
from tpsnet.types import Embeddings

Both = tuple[Embeddings, Embeddings]


class Reranking(Protocol):
    """A rule of re-ranking."""

    title: ClassVar[str]

    def __call__(
        self, new: Float[Tensor, "n dim"], domains: Sequence[Float[Tensor, "_ dim"]]
    ) -> tuple[Tensor, list[Tensor]]:
        """Vectors of new images and of known domains as the rule leaves them, L2-normalised.

        Args:
            new: L2-normalised rows of images that come one at a time; there may be none.
            domains: L2-normalised rows of the known images, by domain.
        """


@dataclass(frozen=True)
class Expansion(Settings):
    """α-query expansion with database augmentation, see ``neighbours.expand``.

    Attributes:
        neighbours: Number of neighbours in each domain.
        power: Exponent α of the similarities.
    """

    neighbours: Positive = 10
    power: Weight = 3.0
    title: ClassVar[str] = "α-query expansion and database augmentation (Radenović et al., TPAMI 2019)"

    def __call__(
        self, new: Float[Tensor, "n dim"], domains: Sequence[Float[Tensor, "_ dim"]]
    ) -> tuple[Tensor, list[Tensor]]:
        """See ``Reranking``."""
        rule = (self.neighbours, self.power)
        return expand(new, domains, *rule, new=True), [expand(z, domains, *rule) for z in domains]


@dataclass(frozen=True)
class Diffusion(Settings):
    """Diffusion over the graph of nearest neighbours, see ``neighbours.graph``.

    Attributes:
        neighbours: Number of neighbours in each domain.
        power: Exponent γ of the similarities.
        share: Share α that comes from the neighbours at each step.
        steps: Number of steps.
    """

    neighbours: Positive = 5
    power: Weight = 3.0
    share: ShareBelowOne = 0.98
    steps: Whole = 20
    title: ClassVar[str] = "diffusion over the graph of nearest neighbours (Zhou et al., NeurIPS 2003)"

    def __call__(
        self, new: Float[Tensor, "n dim"], domains: Sequence[Float[Tensor, "_ dim"]]
    ) -> tuple[Tensor, list[Tensor]]:
        """See ``Reranking``."""
        z, graph = torch.cat(list(domains)), neighbour_graph(domains, self.neighbours, self.power)
        y = graph.spread(z, self.share, self.steps)
        found = graph.attach(new, z, y, self.share)
        return F.normalize(found, dim=1), list(F.normalize(y, dim=1).split(graph.sizes))


# One set of settings for all rows; docs/studies/reranking.md says how they were chosen.
RERANKINGS: dict[str, Reranking] = {"expansion": Expansion(), "diffusion": Diffusion()}


def rerank(both: Both, name: str, *, known_queries: bool) -> Both:
    """Queries and gallery as a rule of ``RERANKINGS`` leaves them; rejections are to be decided anew.

    Args:
        both: Queries and gallery.
        name: The rule's name.
        known_queries: Whether the queries are known together; else each one comes alone.
    """
    query, gallery = both
    if known_queries:
        _, (q, g) = RERANKINGS[name](query.vectors[:0], (query.vectors, gallery.vectors))
    else:
        q, (g,) = RERANKINGS[name](query.vectors, (gallery.vectors,))
    return dataclasses.replace(query, vectors=q, rejected=None), dataclasses.replace(gallery, vectors=g)


def reranking_rule(name: str, *, known_queries: bool) -> str:
    """What a card says of a rule: its title, its settings, and what it knows."""
    rule = RERANKINGS[name]
    settings = ", ".join(f"{key} {value:g}" for key, value in dataclasses.asdict(rule).items())
    known = "queries and gallery" if known_queries else "the gallery; every query comes alone"
    return f"{rule.title}; {settings}; neighbours among {known}"
