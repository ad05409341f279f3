"""The retrieval browser: ask with an image, a text or a picture of one's own, and read the ranking.

Everything travels over the kernel's own channel (no second port), images as binary messages, so that the
widget's state stays at a few kB. The saved view is a PNG contact sheet: it shows in a notebook that was
executed elsewhere and is not trusted, where widgets do not run.

What is shown is a function of the view (``panels.View``). The page asks for a change of it by a message with
an ``id``; the kernel answers with what has to be drawn anew and ``{"kind": "done", "id"}``. Messages that
draw carry a rising ``version``, so that nothing older is drawn over something newer.

=========  ==================================  ========================================================
kind       further fields                      what happens
=========  ==================================  ========================================================
hello      has                                 the page was opened; it is sent everything, unless it has it
go         change                              fields of the view get new values
toggle     entry                               an image is selected, or no longer
show       domain, index, gallery              an image is asked with
text       text                                a text is asked with
own        name; the file as a buffer          a picture of the reader's own is asked with
view       domain, index                       an image is sent in large
csv                                            the selection is sent as CSV
=========  ==================================  ========================================================
"""

import base64
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets
from PIL import Image

from tpsnet.data import decode
from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.evaluation import RERANKINGS
from tpsnet.galleries import Gallery
from tpsnet.types import Embeddings
from tpsnet.viz.gallery import DEPTH, Catalogue, GalleryRetrieval, catalogues
from tpsnet.viz.listing import COMPARING, ONLY, ORDERS, UNSURVEYED
from tpsnet.viz.panels import ANSWERED, LISTED, Entry, Message, Panels, View
from tpsnet.viz.retrieval import Embedder, Retrieval
from tpsnet.viz.thumbnails import contact_sheet, encode_all, png

LARGE = 640  # px of an image in large
OWN_SIDE = 1024  # px of a picture of one's own, at most
LOOKED_FOR = 1000  # files that are looked for at the start, spread over the domain
COLUMNS = ("path", "domain", "class", "query", "query class", "model", "rank", "score", "right")


class RetrievalBrowser(anywidget.AnyWidget):
    """Click a query, see its ranking in the original space with right and wrong marked.

    A query that its model rejected (open-set detection) says "no match"; what it would have found is faded.
    Page and Python stay in step: ``view`` holds what is chosen, ``go`` changes it.

    Args:
        models: Name of each model to its embeddings of some domains, e.g. (query, gallery); all are of the
            same images in the same order. The page opens with the first model and the first two domains.
            Or one name to a gallery of ``galleries.open_gallery``, whose engine then ranks for one query at a
            time, and is named beside each ranking.
        embedders: Name of a model to what embeds texts and pictures of one's own for it, e.g.
            ``experiments.embedder(load_trained(run))``.
        k: Number of results per query, at most what the gallery has.
        order: Order of the queries at the start, one of ``listing.ORDERS``.
        page_size: Number of queries on a page.
        sample: Number of queries on the saved contact sheet: the first ones of the list.

    Attributes:
        view: The fields of ``panels.View``, to be read; ``go`` changes them.

    Raises:
        InputError: The models are of different images, ``k`` is not positive, the order is unknown, or image
            files are gone.
    """

    _esm = "\n".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("page.js", "browser.js"))
    _css = Path(__file__).with_name("browser.css")
    choices = traitlets.Dict(read_only=True).tag(sync=True)
    view = traitlets.Dict(read_only=True).tag(sync=True)
    # The first view travels with the widget: the kernel may be busy when the page could ask for it.
    opening = traitlets.List(read_only=True).tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, Sequence[Embeddings] | Gallery],
        *,
        embedders: Mapping[str, Embedder] | None = None,
        k: int = 24,
        order: str = "sample",
        page_size: int = 24,
        sample: int = 5,
    ) -> None:
        if k < 1:
            raise InputError(f"k = {k} results; ask for one or more")
        embedders = embedders or {}
        retrievals = _retrievals(models, embedders, k)
        names = list(next(iter(retrievals.values())).domains)
        self.panels = Panels(retrievals, k, page_size, self._later)
        self.sample, self._versions = sample, itertools.count(1)
        first = View(next(iter(models)), names[0], names[1 % len(names)])
        first = first.walked(self.panels.entry(0, first.query_domain, first.gallery_domain))
        first = self.panels.changed(first, {"order": order})
        listed = self.panels.listing(first, wait=True)
        entry = self.panels.entry(listed[0], first.query_domain, first.gallery_domain)
        first = dataclasses.replace(first, trail=(entry,))
        super().__init__()
        self.set_trait("choices", self._choices(embedders))
        self.set_trait("view", _plain(first))
        self.set_trait(
            "opening", [{"message": content, "buffers": images} for content, images in self._drawn(first)]
        )
        self.on_msg(self._receive)

    def go(self, **change: Any) -> None:
        """Change fields of the view, e.g. ``go(model="TPSNet", category="ship")``.

        Raises:
            InputError: There is no such field, or it cannot have that value; nothing is changed.
        """
        self._go(change)

    def show(self, index: int, domain: str | None = None, gallery: str | None = None) -> None:
        """Ask with the image at a position of a domain, by default in the chosen domains.

        Raises:
            InputError: There is no such image or domain.
        """
        view = self._view()
        entry = self.panels.entry(index, domain or view.query_domain, gallery or view.gallery_domain)
        self._walk(entry)

    def ask(self, given: str | Path | Image.Image, domain: str | None = None) -> None:
        """Ask with a text, an image file or an image.

        Args:
            given: The text, file or image.
            domain: Which domain an image is like; by default the one whose queries are listed.

        Raises:
            InputError: The model cannot embed it, or the file is no image.
        """
        if isinstance(given, str):
            self._ask({"label": f"“{given}”", "text": given})
        elif isinstance(given, Path):
            self._ask_picture(given.name, _picture(given, given), domain)
        else:
            self._ask_picture("image", given.convert("RGB"), domain)

    @property
    def query(self) -> Entry:
        """The query that is shown."""
        return self._view().query

    @property
    def selection(self) -> pd.DataFrame:
        """The selected images in the order of their selection, each with the query that it answered.

        Columns: ``path``, ``domain``, ``class``, ``query`` (its path or text), ``query class``, ``model``,
        ``rank``, ``score``, ``right``. Names are as they are, also in the page's CSV: a spreadsheet takes one
        that begins with ``=``, ``+``, ``-`` or ``@`` for a formula unless it imports the columns as text.
        """
        with pd.option_context("mode.string_storage", "python"):  # Arrow has no names that are no UTF-8
            return pd.DataFrame(self.panels.selected(self._view()), columns=COLUMNS)

    def sheet(self) -> bytes:
        """The saved view as PNG: for some queries the ranking of each model, one under the other."""
        rows, headings = self.panels.sheet(self._view(), self.sample)
        return png(contact_sheet(rows, headings, size=56))

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        sizes = ", ".join(f"{len(part)} of {name}" for name, part in self.panels.domains.items())
        models = ", ".join(self.panels.models)
        data["text/plain"] = printable(f"Retrieval browser: {sizes}; models: {models}")
        with suppress(InputError):  # nothing is listed, or an image file is broken
            data["image/png"] = base64.b64encode(self.sheet()).decode()
        return data, metadata

    def _choices(self, embedders: Mapping[str, Embedder]) -> dict[str, Any]:
        panels = self.panels
        ranks_all = next(iter(panels.models.values())).ranks_all
        return {
            "models": list(panels.models),
            "domains": list(panels.domains),
            "classes": panels.classes,
            "rerankings": list(RERANKINGS) if ranks_all else [],
            "orders": {name: text for name, text in ORDERS.items() if ranks_all or name in UNSURVEYED},
            "comparing": COMPARING,
            "only": {name: text for name, text in ONLY.items() if ranks_all or name == "all"},
            "asks": list(embedders),
        }

    def _view(self) -> View:
        held = self.view
        return View(**held | {"trail": tuple(held["trail"]), "selected": tuple(held["selected"])})

    def _ask_picture(self, name: str, image: Image.Image, domain: str | None = None) -> None:
        small = image.copy()
        small.thumbnail((OWN_SIDE, OWN_SIDE))  # kept as long as the browser is
        self.panels.own.append((name, small))
        entry = {"label": name, "own": len(self.panels.own) - 1}
        self._ask(entry | {"domain": domain or self._view().query_domain})

    def _ask(self, entry: Entry) -> None:
        """Ask in the chosen gallery; what the model cannot embed is refused before anything changes."""
        view = self._view()
        entry |= {"gallery": view.gallery_domain}
        self.panels.models[view.model].row(self.panels.question(entry))
        self._walk(entry)

    def _walk(self, entry: Entry, number: str | None = None) -> None:
        walked = self._view().walked(entry)
        self._go({"trail": walked.trail, "at": walked.at}, number)

    def _go(self, change: Mapping[str, Any], number: str | None = None) -> None:
        """Change the view, and send what it changes on the page, the ranking first."""
        old = self._view()
        new = self.panels.changed(old, change)
        self.set_trait("view", _plain(new))  # first: what is made aside meanwhile is of the new view
        self.set_trait("opening", [])  # a page that is opened later asks for what is true then
        for content, images in self._drawn(new, old):
            self.send(content | {"id": number}, images)

    def _drawn(self, new: View, old: View | None = None) -> Iterator[Message]:
        """What looks otherwise in a new view."""

        def differ(names: Sequence[str]) -> bool:
            return old is None or any(getattr(old, name) != getattr(new, name) for name in names)

        if new.reranking and not self.panels.models[new.model].prepared(new.reranking):
            self._later({"kind": "working", "text": f"re-ranking by {new.reranking} …"})
        if differ(ANSWERED):
            yield self._versioned(self.panels.ranking, new)
        if differ((*LISTED, "page")):
            yield self._versioned(self.panels.page, new)

    def _versioned(self, panel: Callable[[View], Message], view: View | None = None) -> Message:
        """A panel with a number that says how new it is: that of the moment when it was begun."""
        version = next(self._versions)
        content, images = panel(view or self._view())
        return content | {"version": version}, images

    def _later(self, message: dict) -> None:
        """Something that was made aside is ready."""
        if message["kind"] == "surveyed":
            self.send(*self._versioned(self.panels.page))
        else:
            self.send(message)

    def _receive(self, _widget: object, message: dict, buffers: list) -> None:
        """Answer a message of the page; one that makes no sense gets its reason back."""
        number = message.get("id")
        try:
            self._answer(message, buffers, number)
        except Exception as error:
            self.send({"kind": "error", "text": str(error), "id": number})
            if not isinstance(error, InputError):  # a fault of ours: it is told in the notebook's log too
                raise
        finally:
            self.send({"kind": "done", "id": number})

    def _answer(self, message: dict, buffers: list, number: str | None) -> None:
        match message:
            case {"kind": "hello", "has": bool(has)}:
                self.set_trait("opening", [])
                for content, images in [] if has else self._drawn(self._view()):
                    self.send(content, images)
            case {"kind": "go", "change": dict(change)}:
                self._go(change, number)
            case {"kind": "toggle", "entry": dict(entry)}:
                self._go({"selected": _toggled(self._view().selected, entry)}, number)
            case {"kind": "show", "domain": str(domain), "index": int(index), "gallery": str(gallery)}:
                self._walk(self.panels.entry(index, domain, gallery), number)
            case {"kind": "text", "text": str(text)} if text.strip():
                self.ask(text.strip())
            case {"kind": "own", "name": str(name)} if buffers:
                self._ask_picture(name, _picture(BytesIO(bytes(buffers[0])), name))
            case {"kind": "view", "domain": str(domain), "index": int(index)}:
                facts = self.panels.facts(domain, index)
                self.send({"kind": "view", "id": number} | facts, encode_all([Path(facts["path"])], LARGE))
            case {"kind": "csv"}:
                text = self.selection.to_csv(
                    index=False, lineterminator="\r\n"
                )  # so that a lone \r is quoted
                self.send({"kind": "csv", "id": number, "text": text})
            case _:
                raise InputError(f"the browser does not understand {message!r}")


def _toggled(selected: Sequence[Entry], entry: Entry) -> list[Entry]:
    """A selection without an image that it has, else with it."""
    key = (entry.get("domain"), entry.get("index"))
    kept = [other for other in selected if (other["domain"], other["index"]) != key]
    return kept if len(kept) < len(selected) else [*kept, entry]


def _plain(view: View) -> dict[str, Any]:
    """A view as JSON has it."""
    return vars(view) | {"trail": list(view.trail), "selected": list(view.selected)}


def _picture(file: Path | BytesIO, name: object) -> Image.Image:
    try:
        return decode(file)
    except Exception as error:  # a broken file provokes any kind of error
        raise InputError(f"{name} is no image that can be read ({error}); take another file") from None


def _retrievals(
    models: Mapping[str, Sequence[Embeddings] | Gallery], embedders: Mapping[str, Embedder], k: int
) -> dict[str, Retrieval]:
    """How each model ranks, after checking that all show the same images and that these exist."""
    if not models:
        raise InputError("the browser needs at least one model's embeddings")
    name, first = next(iter(models.items()))
    if any(isinstance(parts, Gallery) for parts in models.values()):
        if len(models) > 1:
            raise InputError("a gallery stands alone in the browser; compare models by their embeddings")
        domains = catalogues(first)
        _check_files(list(domains.values()))
        return {name: GalleryRetrieval(domains, embedders.get(name), gallery=first, depth=max(k, DEPTH))}
    _check_same(models)
    _check_files(first)
    return {
        name: Retrieval({part.domain: part for part in parts}, embedders.get(name))
        for name, parts in models.items()
    }


def _check_same(models: Mapping[str, Sequence[Embeddings]]) -> None:
    (name, first), *others = models.items()
    for other, parts in others:
        if len(parts) != len(first):
            raise InputError(f"models {name!r} and {other!r} have other domains; give the same to each")
        for ours, theirs in zip(first, parts, strict=True):
            if (ours.domain, ours.paths) != (theirs.domain, theirs.paths):
                raise InputError(
                    f"models {name!r} and {other!r} rank different {ours.domain!r} images; embed again"
                )


def _check_files(parts: Sequence[Embeddings | Catalogue]) -> None:
    """Refuse domains whose image files are gone, as far as a look at some of them tells."""
    for part in parts:
        looked = part.paths[:: -(-len(part) // LOOKED_FOR)]
        gone = [path for path in looked if not path.exists()]
        if gone:
            found = f"{len(gone)} of {len(looked)} image files of {part.domain!r} are gone, e.g. {gone[0]}"
            raise InputError(f"{found}; embed them again")
