"""Both domains of a pair through a method: from here on there are no models."""

import dataclasses

from tpsnet.data import Pair
from tpsnet.methods.base import Method
from tpsnet.types import Embeddings


def embeddings(method: Method, pair: Pair) -> tuple[Embeddings, Embeddings]:
    """Embed both domains; labels join the vectors here, for measurement."""
    return tuple(
        Embeddings(d.name, method.embed(i), d.labels, d.class_names, d.paths)
        for d, i in zip(pair.domains, pair.images, strict=True)
    )


def with_rejections(
    method: Method, both: tuple[Embeddings, Embeddings], seed: int
) -> tuple[Embeddings, Embeddings]:
    """Queries and gallery, where the queries carry the method's rejections; no label is read."""
    query, gallery = both
    found = method.reject(query.vectors, gallery.vectors, seed=seed)
    return dataclasses.replace(query, rejected=found.rejected), gallery
