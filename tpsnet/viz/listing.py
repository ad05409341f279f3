"""Which queries the browser lists, and in which order."""

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tpsnet.viz.retrieval import Survey

ORDERS = {
    "sample": "in random order, a fair sample",
    "worst first": "by average precision, the worst first",
    "undecided first": "by how far the first answer lies before the second, the closest first",
    "gains first": "what this model answers better than the one beside it",
    "losses first": "what this model answers worse than the one beside it",
    "hubs first": "first answers that are returned to many queries",
    "style first": "the own style wins over the class",
    "as stored": "as the embeddings lie",
}
COMPARING = ("gains first", "losses first")
UNSURVEYED = ("sample", "as stored")
ONLY = {
    "all": "all queries",
    "wrong": "the first answer is wrong",
    "no match": "the model says: no match",
}


def needs_survey(order: str, only: str) -> bool:
    """Whether every query has to be ranked before any is listed."""
    return order not in UNSURVEYED or only == "wrong"


def listed(
    queries: Any,
    order: str,
    only: str = "all",
    category: str = "",
    *,
    rejected: Bool[Tensor, " n"] | None = None,
    survey: Survey | None = None,
    other: Survey | None = None,
) -> list[int]:
    """Positions of the queries to list; equal ones in the order of the sample.

    Args:
        queries: The queries: embeddings, or a domain of a gallery.
        order: One of ``ORDERS``.
        only: One of ``ONLY``.
        category: Name of a class; empty for all.
        rejected: Which queries have no match by the model.
        survey: What every query gets, where ``needs_survey``; without it the list is the sample.
        other: The same of the model beside, for the orders of ``COMPARING``.
    """
    sample = torch.randperm(len(queries), generator=torch.Generator().manual_seed(0))
    keys = _keys(order, survey, other)
    places = sample[keys[sample].argsort(stable=True)] if keys is not None else sample
    if order == "as stored":
        places = torch.arange(len(queries))
    kept = torch.ones(len(queries), dtype=torch.bool)
    if category:
        names = queries.class_names
        kept &= queries.labels == (names.index(category) if category in names else -1)
    if only == "no match":
        kept &= torch.zeros_like(kept) if rejected is None else rejected
    if only == "wrong" and survey is not None:
        kept &= ~survey.right & ~survey.average_precision.isnan()
    return places[kept[places]].tolist()


def flips(survey: Survey, other: Survey) -> Int[Tensor, " query"]:
    """1 where the first answer is right by ``survey`` alone, −1 where by ``other`` alone, else 0."""
    return survey.right.long() - other.right.long()


def _keys(order: str, survey: Survey | None, other: Survey | None) -> Tensor | None:
    """What to sort by, the smallest first."""
    if survey is None or (order in COMPARING and other is None):
        return None
    match order:
        case "worst first":
            return survey.average_precision.nan_to_num(nan=torch.inf)
        case "undecided first":
            return survey.margin
        case "gains first" | "losses first":
            # Flipped queries stand before those whose average precision alone has changed.
            gain = (survey.average_precision - other.average_precision).nan_to_num(nan=0.0)
            gain = 1000 * flips(survey, other) + gain
            return -gain if order == "gains first" else gain
        case "hubs first":
            return -survey.occurrence[survey.first]
        case "style first":
            return torch.where(survey.own_right, torch.inf, -survey.own)
    return None
