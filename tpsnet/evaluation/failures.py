r"""Where retrieval fails: style before class, hubs, and queries that two methods answer differently.

Hubs: the k-occurrence :math:`N_k(x)` counts the queries that have x among their first k; a gallery with few
very frequent images has a positive skewness of :math:`N_k` (Radovanović et al., JMLR 2010).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation.rank import rank
from tpsnet.types import Embeddings


@dataclass(frozen=True, eq=False)
class Hubs:
    """How often gallery images are returned.

    Attributes:
        occurrence: :math:`N_k` of each gallery image.
        wrong: How often each was returned to a query of another class.
        skewness: Third standardised moment of :math:`N_k`; 0 where all are returned equally often.
    """

    occurrence: Int[Tensor, " gallery"]
    wrong: Int[Tensor, " gallery"]
    skewness: float


def hubs(query: Embeddings, gallery: Embeddings, k: int = 15) -> Hubs:
    """Count the appearances of every gallery image among the first ``k`` of all queries.

    Args:
        query: The queries; rejected ones get no answer and count nowhere.
        gallery: The gallery.
        k: Number of results per query.

    Raises:
        InputError: The pair cannot be ranked, see ``rank``.
    """
    found = rank(query, gallery, k)
    answered = ~found.rejected
    indices, relevant = found.indices[answered], found.relevant[answered]
    occurrence = torch.bincount(indices.flatten(), minlength=len(gallery))
    wrong = torch.bincount(indices[~relevant], minlength=len(gallery))
    away = occurrence.double() - occurrence.double().mean()
    spread = away.square().mean().sqrt()
    skewness = float((away / spread).pow(3).mean()) if spread > 0 else 0.0
    return Hubs(occurrence, wrong, skewness)


def style_before_class(query: Embeddings, gallery: Embeddings) -> Int[Tensor, " query"]:
    """For each query the image of its own domain that wins by style: nearest of all, of another class.

    The images of both domains are one gallery, the query itself left out. Rejections do not count.

    Args:
        query: The queries.
        gallery: Images of the other domain.

    Returns:
        Positions in ``query``; −1 where the nearest of all is in the gallery, or is of the right class.

    Raises:
        InputError: The pair cannot be ranked, see ``rank``, or there is a single query, which has no other
            image of its domain.
    """
    if len(query) < 2:
        raise InputError(
            f"a single query of {query.domain!r}: its own style needs a second image; add images"
        )
    other = rank(query, gallery, 1).scores[:, 0]
    own = rank(query, query, 2)
    itself = own.indices == torch.arange(len(query))[:, None]
    # A copy of the query may stand before it: then the query is in the second place, or in neither.
    place = itself[:, :1].long()
    nearest, score, right = (x.gather(1, place)[:, 0] for x in (own.indices, own.scores, own.relevant))
    return torch.where((score > other) & ~right, nearest, -1)


def flipped(
    before: tuple[Embeddings, Embeddings], after: tuple[Embeddings, Embeddings], k: int = 1
) -> tuple[Int[Tensor, " gained"], Int[Tensor, " lost"]]:
    """Queries that two methods answer differently: a hit among the first ``k`` in one, none in the other.

    Args:
        before: Queries and gallery through one method.
        after: The same images through another.
        k: Number of results per query.

    Returns:
        Positions of the queries that ``after`` gains, and of those that it loses. A rejected query has no
        hit.

    Raises:
        InputError: The two are not of the same images, or cannot be ranked, see ``rank``.
    """
    if any(a.paths != b.paths for a, b in zip(before, after, strict=True)):
        raise InputError(
            "embeddings of different images; compare methods on the same pair under the same protocol"
        )
    hits = []
    for query, gallery in (before, after):
        found = rank(query, gallery, k)
        hits.append(found.relevant.any(dim=1) & ~found.rejected)
    return (~hits[0] & hits[1]).nonzero()[:, 0], (hits[0] & ~hits[1]).nonzero()[:, 0]
