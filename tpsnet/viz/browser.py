"""The retrieval browser: a grid of queries, and the ranking of the one that is clicked.

Everything travels over the kernel's own channel (no second port), images as binary messages, so that the
widget's state stays at a few kB. The saved view is a PNG contact sheet: it shows in a notebook that was
executed elsewhere and is not trusted, where widgets do not run.

Messages from the page, and the answers (a table of rows, and one WebP per row as binary buffers):

- ``{"kind": "queries", "model", "order", "page"}``: the tiles of a page of queries;
- ``{"kind": "select", "model", "query"}``: the ranking of a query, by its position in the query domain.
"""

import base64
from collections.abc import Mapping
from pathlib import Path

import anywidget
import torch
import traitlets
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation import rank
from tpsnet.types import Embeddings, Ranking
from tpsnet.viz.thumbnails import Tile, contact_sheet, encode, png

ORDERS = ("mixed", "worst first", "as stored")  # mixed: the first image of each class, then the second, …
Answer = tuple[dict, list[bytes]]


class RetrievalBrowser(anywidget.AnyWidget):
    """Click a query, see its ranking in the original space with right and wrong marked.

    A query that its model rejected (open-set detection) says "no match"; what it would have found is faded.

    Args:
        models: Name of each model to its (query, gallery) embeddings; all are of the same images in the same
            order. The page opens with the first.
        k: Number of results per query, from 1 to the size of the gallery.
        order: Order of the queries at the start, one of ``ORDERS``.
        page: Number of queries on a page.
        sample: Number of queries on the saved contact sheet: the first ones of ``"worst first"`` (of the
            first model), spread over the other orders.

    Raises:
        InputError: The models are of different images, ``k`` is outside the gallery, the order is unknown, or
            image files are gone.
    """

    _esm = Path(__file__).with_name("browser.js")
    _css = Path(__file__).with_name("browser.css")
    heading = traitlets.Unicode().tag(sync=True)
    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    orders = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, tuple[Embeddings, Embeddings]],
        *,
        k: int = 12,
        order: str = "mixed",
        page: int = 24,
        sample: int = 5,
    ) -> None:
        self.pairs = dict(models)
        self.query, self.gallery = _same_images(self.pairs)
        if not 1 <= k <= len(self.gallery):
            raise InputError(
                f"k = {k} results from a gallery of {len(self.gallery)}; choose 1 to {len(self.gallery)}"
            )
        if order not in ORDERS:
            raise InputError(f"no order {order!r}; choose one of {', '.join(ORDERS)}")
        self.k, self.page, self.sample = k, page, min(sample, len(self.query))
        self._precision: dict[str, Tensor] = {}
        heading = f"{self.query.domain} → {self.gallery.domain}"
        orders = sorted(ORDERS, key=lambda name: name != order)  # the chosen one in front
        super().__init__(heading=heading, models=list(self.pairs), orders=orders)
        self.on_msg(self._receive)

    def queries(self, model: str, order: str, page: int) -> Answer:
        """A page of query tiles with their plain P@k.

        Returns:
            ``{"kind": "queries", "page", "pages", "total", "rows": [{"query", "class", "precision",
            "rejected"}]}`` and the images.
        """
        precision, listing = self.precision(model), self._listing(model, order)
        pages = -(-len(self.query) // self.page)
        page = min(max(page, 0), pages - 1)
        chosen = listing[page * self.page : (page + 1) * self.page]
        rows = [
            {
                "query": i,
                "class": _class(self.query, i),
                "precision": round(float(precision[i]), 1),
                "rejected": self._rejected(model, i),
            }
            for i in chosen
        ]
        answer = {"kind": "queries", "page": page, "pages": pages, "total": len(self.query), "rows": rows}
        return answer, [encode(self.query.paths[i], 64) for i in chosen]

    def ranking(self, model: str, query: int) -> Answer:
        """The best ``k`` of the gallery for the query at position ``query``.

        Returns:
            ``{"kind": "ranking", "query", "class", "path", "relevant", "rejected", "rows": [{"item", "class",
            "score", "right"}]}`` and the images, the query's own first.

        Raises:
            InputError: There is no such model or query.
        """
        if not 0 <= query < len(self.query):
            raise InputError(f"no query {query}; {self.query.domain!r} has images 0 to {len(self.query) - 1}")
        ranking = self._rank(model, [query])
        items = ranking.indices[0].tolist()
        columns = zip(items, ranking.scores[0].tolist(), ranking.relevant[0].tolist(), strict=True)
        rows = [
            {"item": i, "class": _class(self.gallery, i), "score": round(score, 3), "right": right}
            for i, score, right in columns
        ]
        answer = {"kind": "ranking", "query": query, "class": _class(self.query, query), "rows": rows}
        answer |= {"path": str(self.query.paths[query]), "relevant": int(ranking.n_relevant[0])}
        answer |= {"rejected": bool(ranking.rejected[0])}
        files = [self.query.paths[query], *(self.gallery.paths[i] for i in items)]
        return answer, [encode(path, 96) for path in files]

    def precision(self, model: str) -> Tensor:
        """Plain P@k of every query in percent: hits among its first ``k``, over ``k``."""
        if model not in self._precision:
            self._precision[model] = 100 * self._rank(model).relevant.float().mean(dim=1)
        return self._precision[model]

    def sheet(self) -> bytes:
        """The saved view as PNG: for some queries the ranking of each model, one under the other."""
        rows, headings = [], []
        listing = self._listing(next(iter(self.pairs)), self.orders[0])
        apart = 1 if self.orders[0] == "worst first" else len(listing) // self.sample
        for query in listing[::apart][: self.sample]:
            for model in self.pairs:
                ranking = self._rank(model, [query])
                tiles = [Tile(self.query.paths[query], _class(self.query, query))]
                for item, right in zip(
                    ranking.indices[0].tolist(), ranking.relevant[0].tolist(), strict=True
                ):
                    tiles.append(Tile(self.gallery.paths[item], _class(self.gallery, item), right))
                rows.append(tiles)
                rejection = "no match; else " if bool(ranking.rejected[0]) else ""
                headings.append(
                    f"{model}: {rejection}{int(ranking.relevant.sum())} of {len(tiles) - 1} right"
                )
        return png(contact_sheet(rows, headings, size=56))

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        precision = ", ".join(f"{model} {float(self.precision(model).mean()):.1f}" for model in self.pairs)
        data["text/plain"] = (
            f"Retrieval browser {self.heading}: {len(self.query)} queries, {len(self.gallery)} images; "
            f"plain P@{self.k} in percent: {precision}"
        )
        data["image/png"] = base64.b64encode(self.sheet()).decode()
        return data, metadata

    def _listing(self, model: str, order: str) -> list[int]:
        """Positions of all queries in the given order."""
        match order:
            case "mixed":
                keys = _turns(self.query.labels)
            case "worst first":  # among equals class by class, or the first page is one class
                turns = _turns(self.query.labels).argsort(stable=True)
                # Without an image of its class in the gallery no query can do better.
                keys = self.precision(model) + 101 * ~torch.isin(self.query.labels, self.gallery.labels)
                return turns[keys[turns].argsort(stable=True)].tolist()
            case "as stored":
                keys = torch.zeros(len(self.query))
            case _:
                raise InputError(f"no order {order!r}; choose one of {', '.join(ORDERS)}")
        return keys.argsort(stable=True).tolist()

    def _rejected(self, model: str, query: int) -> bool:
        """Whether the model's answer is "no match"."""
        rejected = self.pairs[model][0].rejected
        return rejected is not None and bool(rejected[query])

    def _rank(self, model: str, queries: list[int] | None = None) -> Ranking:
        if model not in self.pairs:
            raise InputError(f"no model {model!r}; choose one of {', '.join(self.pairs)}")
        query, gallery = self.pairs[model]
        return rank(query if queries is None else query.subset(queries), gallery, k=self.k)

    def _receive(self, _widget: object, message: dict, _buffers: list) -> None:
        """Answer a message of the page; one that makes no sense gets its reason back."""
        try:
            match message:
                case {"kind": "queries", "model": str(model), "order": str(order), "page": int(page)}:
                    answer, images = self.queries(model, order, page)
                case {"kind": "select", "model": str(model), "query": int(query)}:
                    answer, images = self.ranking(model, query)
                case _:
                    raise InputError(f"the browser does not understand {message!r}")
        except InputError as error:
            answer, images = {"kind": "error", "text": str(error)}, []
        self.send(answer, images)


def _same_images(pairs: Mapping[str, tuple[Embeddings, Embeddings]]) -> tuple[Embeddings, Embeddings]:
    """The first model's pair, after checking that the others show the same images and that these exist."""
    if not pairs:
        raise InputError("the browser needs at least one model's embeddings")
    first, *others = pairs.items()
    for name, pair in others:
        for ours, theirs in zip(first[1], pair, strict=True):
            if ours.paths != theirs.paths:
                raise InputError(
                    f"models {first[0]!r} and {name!r} rank different {ours.domain!r} images; embed again"
                )
    for domain in first[1]:
        gone = [path for path in domain.paths if not path.exists()]
        if gone:
            raise InputError(
                f"{len(gone)} images of {domain.domain!r} are gone, e.g. {gone[0]}; embed them again"
            )
    return first[1]


def _turns(labels: Tensor) -> Tensor:
    """For each image how many of its class come before it."""
    order, counts = labels.argsort(stable=True), labels.bincount()
    turns = torch.empty_like(labels)
    turns[order] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return turns


def _class(domain: Embeddings, position: int) -> str:
    return domain.class_names[int(domain.labels[position])]
