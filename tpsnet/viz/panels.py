"""What the browser's page draws: a list of queries, and the answers to one of them.

A view is all that a reader has chosen; whatever is shown is a function of it.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS
from tpsnet.viz.listing import COMPARING, ONLY, ORDERS, listed, needs_survey
from tpsnet.viz.retrieval import Answer, Question, Retrieval, Survey
from tpsnet.viz.thumbnails import Tile, encode, encode_all

Message = tuple[dict, list[bytes]]
Entry = dict[str, Any]  # a query of the trail: domain and index, or text, or the number of an own picture
SIDE = 96  # px of a tile
OWN = 8  # nearest in the query's own domain
TRUTH = 24  # of what should have been found
DEPTHS = (1, 5, 15)  # of P@k
TRAIL = 50  # queries that are remembered
AT_ONCE = 20_000_000  # pairs of images: a larger survey is made aside, while the page goes on


@dataclass(frozen=True)
class View:
    """What a reader has chosen.

    Attributes:
        model: The model that ranks.
        query_domain: The domain whose images are listed.
        gallery_domain: The domain that they are asked in.
        against: The model beside it; empty for none.
        reranking: A rule of ``evaluation.RERANKINGS``; empty for none.
        order: Order of the list, one of ``listing.ORDERS``.
        only: What is listed, one of ``listing.ONLY``.
        category: The class that is listed; empty for all.
        page: The page of the list, from 0.
        trail: The queries so far, oldest first.
        at: Which of them is shown.
        selected: The selected images, each with its model, query, rank and score.
    """

    model: str
    query_domain: str
    gallery_domain: str
    against: str = ""
    reranking: str = ""
    order: str = "sample"
    only: str = "all"
    category: str = ""
    page: int = 0
    trail: tuple[Entry, ...] = ()
    at: int = 0
    selected: tuple[Entry, ...] = ()

    @property
    def query(self) -> Entry:
        """The query that is shown."""
        return self.trail[self.at]

    def walked(self, entry: Entry) -> "View":
        """One step on from here; what lay ahead is forgotten."""
        trail = (*self.trail[: self.at + 1], entry)[-TRAIL:]
        return replace(self, trail=trail, at=len(trail) - 1)


VIEW = TypeAdapter(View)
LISTED = ("model", "against", "reranking", "query_domain", "gallery_domain", "order", "only", "category")
ANSWERED = ("model", "against", "reranking", "trail", "at")


@dataclass(eq=False)
class Panels:
    """Draws views of some models' embeddings of the same images.

    Attributes:
        models: The models by name.
        k: Number of results per query, at most what the gallery has.
        page_size: Number of queries on a page.
        later: Called with a message that is ready later than its view was asked for.
        own: Pictures that the reader has brought, each with its name.
    """

    models: Mapping[str, Retrieval]
    k: int
    page_size: int
    later: Callable[[dict], None] = lambda message: None
    own: list[tuple[str, Image.Image]] = field(default_factory=list)
    _surveys: dict[tuple, Survey] = field(default_factory=dict)
    _begun: set[tuple] = field(default_factory=set)
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    @property
    def domains(self) -> Mapping[str, Any]:
        """The images: they are the same in every model."""
        return next(iter(self.models.values())).domains

    @property
    def classes(self) -> list[str]:
        """Names of the classes that have an image, in the order of the class table."""
        labelled = [part for part in self.domains.values() if part.labelled]
        present = {int(c) for part in labelled for c in part.labels.unique()}
        return [labelled[0].class_names[c] for c in sorted(present)]

    def entry(self, index: int, domain: str, gallery: str) -> Entry:
        """An image of a domain as a query.

        Raises:
            InputError: There is no such domain or image.
        """
        facts = self.facts(domain, index)
        _check(gallery, self.domains, "domain")
        label = facts["class"] or f"image {index}"
        return {"domain": domain, "index": index, "gallery": gallery, "label": label}

    def question(self, entry: Entry) -> Question:
        """What an entry of the trail asks."""
        given = self.own[entry["own"]][1] if "own" in entry else entry.get("text")
        return Question(entry["gallery"], entry.get("domain"), entry.get("index"), given)

    def facts(self, domain: str, index: int) -> dict[str, Any]:
        """Domain, position, class and path of an image.

        Raises:
            InputError: There is no such domain or image.
        """
        _check(domain, self.domains, "domain")
        part = self.domains[domain]
        if not 0 <= index < len(part):
            raise InputError(f"no image {index}; {domain!r} has images 0 to {len(part) - 1}")
        name = part.class_names[int(part.labels[index])] if part.labelled else ""
        return {"domain": domain, "index": index, "class": name, "path": str(part.paths[index])}

    def changed(self, view: View, change: Mapping[str, Any]) -> View:
        """The view after a change, as far as one choice follows from another.

        Raises:
            InputError: There is no such field, model, domain, rule, order, filter, class or image.
        """
        unknown = set(change) - set(View.__dataclass_fields__)
        if unknown:
            raise InputError(f"a view has no {min(unknown)!r}; it has {', '.join(View.__dataclass_fields__)}")
        try:
            new = VIEW.validate_python(vars(view) | dict(change))
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"view: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        if "gallery_domain" in change and "trail" not in change:
            asked = new.query | {"gallery": new.gallery_domain}
            new = replace(new, trail=(*new.trail[: new.at], asked, *new.trail[new.at + 1 :]))
        if set(change) & set(LISTED) and "page" not in change:
            new = replace(new, page=0)
        if new.against == new.model:
            new = replace(new, against="")
        if new.order in COMPARING and not new.against:
            if "order" in change:
                raise InputError(f"{new.order!r} compares two models; choose one to compare with")
            new = replace(new, order="sample")
        self._refuse_nonsense(new)
        return replace(new, at=min(max(new.at, 0), len(new.trail) - 1))

    def _refuse_nonsense(self, view: View) -> None:
        _check(view.model, self.models, "model")
        _check(view.order, ORDERS, "order")
        _check(view.only, ONLY, "filter")
        _check(view.against, ("", *self.models), "model")
        _check(view.reranking, ("", *RERANKINGS), "re-ranking")
        _check(view.category, ("", *self.classes), "class")
        if not self.models[view.model].ranks_all and (view.reranking or needs_survey(view.order, view.only)):
            raise InputError("an engine answers one query at a time; this needs all of them ranked")
        for name in (view.query_domain, view.gallery_domain):
            _check(name, self.domains, "domain")
        for entry in (*view.trail, *view.selected):
            if "index" in entry:
                self.facts(entry["domain"], entry["index"])
            elif not ("text" in entry or 0 <= entry.get("own", -1) < len(self.own)):
                raise InputError(f"a query is an image, a text or an own picture, not {entry!r}")
        for entry in view.trail:
            for name in (entry.get("gallery", ""), entry.get("domain", entry.get("gallery", ""))):
                _check(name, self.domains, "domain")
        if not view.trail:
            raise InputError("a view shows a query: its trail cannot be empty")

    # The list of queries.

    def page(self, view: View) -> Message:
        """A page of the list of queries, each with what its ranking holds."""
        listing = self.listing(view)
        pages = max(1, -(-len(listing) // self.page_size))
        page = min(max(view.page, 0), pages - 1)
        first = page * self.page_size
        chosen = listing[first : first + self.page_size]
        asked = (view.query_domain, view.gallery_domain, chosen, view.reranking)
        answers = self.models[view.model].answers(*asked)
        rows = [
            self.facts(view.query_domain, index) | figures(answer, self.k)
            for index, answer in zip(chosen, answers, strict=True)
        ]
        message = {"kind": "page", "page": page, "pages": pages, "first": first, "total": len(listing)}
        paths = self.domains[view.query_domain].paths
        return message | {"rows": rows}, encode_all([paths[i] for i in chosen], SIDE)

    def listing(self, view: View, *, wait: bool = False) -> list[int]:
        """Positions of the listed queries, in their order.

        Where that needs a survey of many images it is made aside, and the list is a sample until then.

        Args:
            view: The view.
            wait: Whether to wait for the survey.
        """
        surveys = {}
        if needs_survey(view.order, view.only):
            for role, name in {"survey": view.model, "other": view.against}.items():
                if name and (role == "survey" or view.order in COMPARING):
                    surveys[role] = self.survey(view, name, wait=wait)
        part = self.models[view.model].domains[view.query_domain]
        elsewhere = view.query_domain != view.gallery_domain
        rejected = part.rejected if elsewhere and not view.reranking else None
        return listed(part, view.order, view.only, view.category, rejected=rejected, **surveys)

    def survey(self, view: View, name: str, *, wait: bool = True) -> Survey | None:
        """What every listed query gets by a model; ``None`` while it is made aside."""
        key = (name, view.query_domain, view.gallery_domain, view.reranking)
        images = len(self.domains[key[1]]) * len(self.domains[key[2]])
        if key not in self._surveys and (wait or images <= AT_ONCE):
            self._surveys[key] = self.models[name].survey(*key[1:], depth=self.k)
        elif key not in self._surveys and key not in self._begun:
            self._begun.add(key)
            self._worker.submit(self._survey_aside, key)
        return self._surveys.get(key)

    def _survey_aside(self, key: tuple) -> None:
        def report(share: float) -> None:
            self.later({"kind": "working", "text": f"ranking all queries of {key[1]}: {share:.0%}"})

        try:
            self._surveys[key] = self.models[key[0]].survey(*key[1:], depth=self.k, report=report)
        except Exception as error:  # nobody waits for the thread: the page is told
            self.later({"kind": "error", "text": f"cannot rank all queries of {key[1]}: {error}"})
        else:
            self.later({"kind": "surveyed"})
            self.later({"kind": "working", "text": f"all queries of {key[1]} are ranked"})
        finally:
            self._begun.discard(key)

    # The answers to one query.

    def ranking(self, view: View) -> Message:
        """The query that is shown, and lists of tiles.

        The model's ranking, that of the model beside it, the nearest in the query's own domain, and what
        should have been found.
        """
        entry, images = view.query, {}
        question = self.question(entry)
        names = [view.model, *filter(None, [view.against])]
        answers = {name: self._answer(name, question, view.reranking) for name in names}
        lists = [self._model(view, name, answers, question, images) for name in names]
        first = answers[view.model]
        if isinstance(first, Answer):
            lists += self._around(view, question, first, images)
        facts = {} if question.index is None else self.facts(question.domain, question.index)
        message = {"kind": "ranking", "query": entry | facts, "lists": lists, "images": list(images)}
        return message, [self._picture(question), *encode_all(list(images.values()), SIDE)]

    def _answer(self, name: str, question: Question, reranking: str) -> Answer | str:
        """A model's answer, or why it has none."""
        try:
            return self.models[name].answer(question, reranking)
        except InputError as error:
            return str(error)

    def _model(
        self,
        view: View,
        name: str,
        answers: Mapping[str, Answer | str],
        question: Question,
        images: dict[str, Path],
    ) -> dict[str, Any]:
        """One model's ranking; where another stands beside it, each tile with its rank there."""
        answer = answers[name]
        if isinstance(answer, str):
            return {"role": "model", "name": name, "rows": [], "why": answer}
        key = (name, question.domain, question.gallery, view.reranking)
        counts = self._surveys[key].occurrence.tolist() if key in self._surveys else None
        beside = next((a for n, a in answers.items() if n != name and isinstance(a, Answer)), None)
        rows = []
        for rank in range(1, min(self.k, len(answer.items)) + 1):
            row = self._tile(question.gallery, answer, rank, images)
            if counts:
                row["returned"] = counts[row["index"]]
            if beside:
                row["was"] = beside.places[row["index"]]
            rows.append(row)
        return {"role": "model", "name": name, "rows": rows} | figures(answer, self.k)

    def _around(
        self, view: View, question: Question, answer: Answer, images: dict[str, Path]
    ) -> list[dict[str, Any]]:
        lists = []
        if question.domain not in (None, question.gallery):
            own = replace(question, gallery=question.domain)
            near = self.models[view.model].answer(own, view.reranking)
            ranks = range(1, min(OWN, len(near.items)) + 1)
            rows = [self._tile(question.domain, near, rank, images) for rank in ranks]
            lists.append({"role": "own", "name": f"nearest in {question.domain}, its own domain"})
            lists[-1]["rows"] = rows
        if answer.n_relevant and answer.whole:
            ranks = (answer.right.nonzero()[:, 0] + 1).tolist()
            rows = [self._tile(question.gallery, answer, rank, images) for rank in ranks[:TRUTH]]
            shown = f"the first {TRUTH} of {len(ranks)}" if len(ranks) > TRUTH else f"all {len(ranks)}"
            lists.append({"role": "truth", "name": f"what should be found, {shown}", "rows": rows})
        return lists

    def _tile(self, domain: str, answer: Answer, rank: int, images: dict[str, Path]) -> dict[str, Any]:
        """A tile of a ranking; its image is noted once in ``images``."""
        item = int(answer.items[rank - 1])
        row = self.facts(domain, item) | {"rank": rank, "score": round(float(answer.scores[rank - 1]), 4)}
        images[f"{domain}/{item}"] = self.domains[domain].paths[item]
        return row | {"right": None if answer.right is None else bool(answer.right[rank - 1])}

    def _picture(self, question: Question) -> bytes:
        """The query's own picture; a text has none."""
        if question.index is not None:
            return encode_all([self.domains[question.domain].paths[question.index]], SIDE)[0]
        return encode(question.given, SIDE) if isinstance(question.given, Image.Image) else b""

    # The saved view, and the selection.

    def sheet(self, view: View, queries: int, shown: int = 12) -> tuple[list[list[Tile]], list[str]]:
        """For the first listed queries the ranking of every model: rows of tiles, and their headings."""
        chosen = self.listing(view, wait=True)[:queries]
        asked = (view.query_domain, view.gallery_domain, chosen, view.reranking)
        answers = {name: model.answers(*asked) for name, model in self.models.items()}
        rows, headings = [], []
        for number, index in enumerate(chosen):
            own = self.facts(view.query_domain, index)
            for name, found in answers.items():
                ranks = range(1, min(shown, self.k, len(found[number].items)) + 1)
                tiles = [self._tile(view.gallery_domain, found[number], rank, {}) for rank in ranks]
                row = [Tile(Path(tile["path"]), tile["class"], tile["right"]) for tile in tiles]
                rows.append([Tile(Path(own["path"]), own["class"]), *row])
                headings.append(f"{name}: {verdict(found[number], len(tiles))}")
        return rows, headings

    def selected(self, view: View) -> list[dict[str, Any]]:
        """The selected images as rows of a table."""
        rows = []
        for entry in view.selected:
            query, facts = entry["query"], self.facts(entry["domain"], entry["index"])
            asked = self.facts(query["domain"], query["index"]) if "index" in query else {}
            row = {"path": facts["path"], "domain": facts["domain"], "class": facts["class"]}
            row |= {"query": asked.get("path", query["label"]), "query class": asked.get("class", "")}
            rows.append(row | {key: entry.get(key) for key in ("model", "rank", "score", "right")})
        return rows


def figures(answer: Answer, k: int) -> dict[str, Any]:
    """What a ranking is worth: average precision, and hits of how many at some depths."""
    found = {"ap": answer.average_precision, "relevant": answer.n_relevant, "rejected": answer.rejected}
    found["text"] = verdict(answer, k)
    if answer.n_relevant:
        found["hits"] = {depth: hits(answer, depth) for depth in DEPTHS}
    return found


def hits(answer: Answer, depth: int) -> tuple[int, int]:
    """Hits among the first min(``depth``, number of relevant ones), and that number: the field's P@k."""
    most = min(depth, answer.n_relevant)
    return int(answer.right[:most].sum()), most


def verdict(answer: Answer, k: int) -> str:
    """The ranking in a few words."""
    if answer.right is None:
        return "no match" if answer.rejected else answer.by
    right, n = int(answer.right[:k].sum()), answer.n_relevant
    found = f"{right} of {min(k, n)} found" if n else "nothing to find"
    if answer.average_precision is not None:
        found = f"AP {answer.average_precision:.0f} %, {found}"
    found = f"{found}; {answer.by}" if answer.by else found
    return f"no match; else {found}" if answer.rejected else found


def _check(value: str, known: Any, what: str) -> None:
    if value not in known:
        raise InputError(f"no {what} {value!r}; choose one of {', '.join(filter(None, known))}")
