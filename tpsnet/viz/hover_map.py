"""The live map: hover a point for its image, click it for its true neighbours, switch before and after.

Drawn on a 2-D canvas, without WebGL. Points travel once, as binary numbers; an image only when hovered. The
saved view is a PNG of the maps. The page's messages carry an ``id``; ``{"kind": "done", "id"}`` ends them:

==========  =============  ===================================================================================
kind        fields         answer
==========  =============  ===================================================================================
hello       has            ``points``: names and colours; buffers: domains (uint8), classes (uint16), each
                           map's x, y (float32); unless the page has them
hover       index          ``hover``: class and domain of a point; buffer: its image
neighbours  map, index     ``neighbours``: its nearest points in the original space, with their images
shade       map, by        ``shade``: a number a point (float32), NaN for none
==========  =============  ===================================================================================
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import torch
import traitlets
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.types import Embeddings
from tpsnet.viz.browser import RetrievalBrowser
from tpsnet.viz.projection import neighbourhood, neighbours_kept
from tpsnet.viz.retrieval import Question, Retrieval, Survey
from tpsnet.viz.theme import FAINT, INK, class_colours, domain_colours
from tpsnet.viz.thumbnails import encode_all, png, thumbnail

Message = tuple[dict, list[bytes]]
SHADES = ("first answer", "average precision", "neighbours kept")
FLUID = 20_000  # points up to which moving and zooming is fluid on a laptop
TAIL = 0.05  # share of the points on either side of what counts as the middle of a map


class HoverMap(anywidget.AnyWidget):
    """Maps of the same images under different systems.

    Points are coloured by domain, by class, by whether the first answer from the other domain is right, by
    average precision there, and by how much of a point's neighbourhood the map keeps.

    Args:
        maps: Name of each system to the domains' embeddings and the coordinates of all their points, in that
            order.
        k: Number of neighbours shown on a click.
        browser: A browser of the same images: a clicked point becomes its query, and its query is ringed.

    Raises:
        InputError: Coordinates do not fit the embeddings, the maps or the browser are of different images, or
            ``k`` is outside 1 to the number of other points.
    """

    _esm = "\n".join(
        Path(__file__).with_name(name).read_text("utf-8") for name in ("page.js", "hover_map.js")
    )
    _css = Path(__file__).with_name("hover_map.css")
    point = traitlets.Int(-1, read_only=True).tag(sync=True)
    opening = traitlets.List(read_only=True).tag(sync=True)  # the points, until the page has them

    def __init__(
        self,
        maps: Mapping[str, tuple[Sequence[Embeddings], Float[Tensor, "points 2"]]],
        *,
        k: int = 8,
        browser: RetrievalBrowser | None = None,
    ) -> None:
        self.points = {name: points.float() for name, (_, points) in maps.items()}
        self.domains = _same_images({name: domains for name, (domains, _) in maps.items()}, self.points)
        self.systems = {
            name: Retrieval({part.domain: part for part in domains}) for name, (domains, _) in maps.items()
        }
        self.places = [(part.domain, i) for part in self.domains for i in range(len(part))]
        n = len(self.places)
        if not 1 <= k < n:
            raise InputError(f"cannot show {k} neighbours among {n} images; choose 1 to {n - 1}")
        self.k, self.browser, self._shades = k, browser, {}
        self.colours = domain_colours([part.domain for part in self.domains])
        super().__init__()
        content, buffers = self._drawing()
        self.set_trait("opening", [{"message": content, "buffers": buffers}])
        self.on_msg(self._receive)
        if browser is not None:
            _check_browser(browser, self.domains)
            self._follow({"new": browser.view})
            browser.observe(self._follow, "view")

    def neighbours(self, name: str, index: int) -> list[int]:
        """The ``k`` nearest points of both domains in the original space, nearest first.

        Raises:
            InputError: There is no such map or point.
        """
        if name not in self.systems:
            raise InputError(f"no map {name!r}; choose one of {', '.join(self.systems)}")
        domain, position = self._place(index)
        system, starts, found = self.systems[name], self._starts(), []
        for other in system.domains:
            answer = system.answer(Question(other, domain, position))
            items, scores = answer.items[: self.k].tolist(), answer.scores[: self.k].tolist()
            found += [(-score, starts[other] + item) for item, score in zip(items, scores, strict=True)]
        return [index for _, index in sorted(found)[: self.k]]

    def shade(self, name: str, by: str) -> Float[Tensor, " points"]:
        """A number for each point of a map, by one of ``SHADES``; NaN where it has none.

        Raises:
            InputError: There is no such map or shade, or it needs a second domain.
        """
        if name not in self.systems or by not in SHADES:
            raise InputError(f"no map {name!r} shaded by {by!r}; there are {', '.join(SHADES)}")
        if (name, by) not in self._shades:
            if by == "neighbours kept":
                rows = torch.cat([part.vectors for part in self.systems[name].domains.values()])
                value = neighbours_kept(rows, self.points[name], neighbourhood(len(rows)))
            else:
                value = self._answered(name, by)
            self._shades[name, by] = value.float()
        return self._shades[name, by]

    def sheet(self, side: int = 400, images: int = 40) -> bytes:
        """The saved view: each map with its points by domain and some of their images, as PNG."""
        sheet = Image.new("RGB", ((side + 12) * len(self.points), side + 44), "white")
        draw = ImageDraw.Draw(sheet)
        bold = ImageFont.load_default(13)
        n = len(self.places)
        sample = torch.linspace(0, n - 1, min(images, n)).round().long().tolist()
        paths = [path for part in self.domains for path in part.paths]
        thumbnails = {i: thumbnail(paths[i], 26) for i in sample}
        mixed = torch.randperm(n, generator=torch.Generator().manual_seed(0)).tolist()
        for column, (name, points) in enumerate(self.points.items()):
            left = column * (side + 12)
            spots = (fitted(points) * (side - 30) + torch.tensor([left + 15, 37])).tolist()
            draw.text((left + 4, 4), printable(name), fill=INK, font=bold)
            draw.rectangle((left, 22, left + side, 22 + side), outline=FAINT)
            for i in mixed:  # in this order no domain hides the other
                x, y = spots[i]
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=self.colours[self.places[i][0]])
            for i, small in thumbnails.items():
                x, y = round(spots[i][0] - 13), round(spots[i][1] - 13)
                sheet.paste(small, (x, y))
                draw.rectangle((x - 1, y - 1, x + 26, y + 26), outline=self.colours[self.places[i][0]])
        for i, (name, colour) in enumerate(self.colours.items()):
            draw.rectangle((4 + 110 * i, side + 28, 14 + 110 * i, side + 38), fill=colour)
            draw.text((20 + 110 * i, side + 25), printable(name), fill=INK, font=bold)
        return png(sheet)

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        names = " and ".join(f"{len(part)} {part.domain}" for part in self.domains)
        data["text/plain"] = printable(f"Map of {names} images under {', '.join(self.points)}")
        data["image/png"] = base64.b64encode(self.sheet()).decode()
        return data, metadata

    def _drawing(self) -> Message:
        """All that the page needs to draw the points."""
        first = self.domains[0]
        content = {
            "kind": "points",
            "maps": list(self.points),
            "domains": [{"name": name, "colour": colour} for name, colour in self.colours.items()],
            "classes": list(first.class_names) if first.labelled else [],
            "hues": class_colours(len(first.class_names)),
            "shades": [by for by in SHADES if by == "neighbours kept" or self._comparable()],
            "tail": TAIL,
            "fluid": FLUID,
        }
        which = bytes(d for d, part in enumerate(self.domains) for _ in range(len(part)))
        classes = torch.cat([part.labels for part in self.domains]).numpy().astype("<u2")
        coordinates = [p.contiguous().numpy().astype("<f4").tobytes() for p in self.points.values()]
        return content, [which, classes.tobytes(), *coordinates]

    def _comparable(self) -> bool:
        """Whether there is a second domain to find something right in."""
        return len(self.domains) > 1 and all(part.labelled for part in self.domains)

    def _answered(self, name: str, by: str) -> Tensor:
        """What each image, as a query, gets from the next domain."""
        if not self._comparable():
            raise InputError(f"{by} needs two domains with labels; this map has not")
        system, parts, names = self.systems[name], [], list(self.systems[name].domains)
        for d, domain in enumerate(names):
            survey: Survey = system.survey(domain, names[(d + 1) % len(names)], depth=1)
            ap = survey.average_precision
            parts.append(ap if by == "average precision" else torch.where(ap.isnan(), ap, survey.right * 1.0))
        return torch.cat(parts)

    def _starts(self) -> dict[str, int]:
        """The number of each domain's first point."""
        sizes = torch.tensor([0, *(len(part) for part in self.domains)]).cumsum(0).tolist()
        return {part.domain: start for part, start in zip(self.domains, sizes, strict=False)}

    def _place(self, index: int) -> tuple[str, int]:
        if not 0 <= index < len(self.places):
            raise InputError(f"no point {index}; the map has points 0 to {len(self.places) - 1}")
        return self.places[index]

    def _facts(self, index: int) -> dict[str, object]:
        domain, position = self._place(index)
        part = self.domains[list(self._starts()).index(domain)]
        name = part.class_names[int(part.labels[position])] if part.labelled else ""
        return {"index": index, "class": name, "domain": domain, "path": str(part.paths[position])}

    def _follow(self, change: Mapping[str, object]) -> None:
        """The browser has another query: ring its point."""
        view = change["new"]
        entry = view["trail"][view["at"]]
        if "index" in entry:
            self.set_trait("point", self._starts()[entry["domain"]] + entry["index"])

    def _receive(self, _widget: object, message: dict, _buffers: list) -> None:
        """Answer a message of the page; one that makes no sense gets its reason back."""
        number = message.get("id")
        try:
            answer = self._answer(message)
            if answer:
                self.send(answer[0] | {"id": number}, answer[1])
        except Exception as error:
            self.send({"kind": "error", "text": str(error), "id": number}, [])
            if not isinstance(error, InputError):  # a fault of ours: it is told in the notebook's log too
                raise
        finally:
            self.send({"kind": "done", "id": number})

    def _answer(self, message: dict) -> Message | None:
        match message:
            case {"kind": "hello", "has": bool(has)}:
                self.set_trait("opening", [])
                return None if has else self._drawing()
            case {"kind": "hover", "index": int(index)}:
                facts = self._facts(index)
                return {"kind": "hover"} | facts, encode_all([Path(facts["path"])], 96)
            case {"kind": "neighbours", "map": str(name), "index": int(index)}:
                found = [self._facts(i) for i in (index, *self.neighbours(name, index))]
                if self.browser is not None:
                    domain, position = self._place(index)
                    others = [part.domain for part in self.domains if part.domain != domain]
                    self.browser.show(position, domain, (others or [domain])[0])
                images = encode_all([Path(facts["path"]) for facts in found], 96)
                return {"kind": "neighbours", "index": index, "found": found}, images
            case {"kind": "shade", "map": str(name), "by": str(by)}:
                self.send({"kind": "working", "text": f"{by}: ranking all images …"})
                values = self.shade(name, by).numpy().astype("<f4").tobytes()
                return {"kind": "shade", "map": name, "by": by}, [values]
            case _:
                raise InputError(f"the map does not understand {message!r}")


def fitted(points: Float[Tensor, "points 2"]) -> Float[Tensor, "points 2"]:
    """Moved and scaled into the unit square, shape kept, y downwards as on a screen.

    Points farther from the middle ones than these reach do not count, so that they do not shrink all others;
    they stand at the edge.
    """
    ordered, last = points.sort(dim=0).values, len(points) - 1
    low, high = ordered[round(TAIL * last)], ordered[round((1 - TAIL) * last)]
    near = ((points - (low + high) / 2).abs() <= 1.5 * (high - low)).all(dim=1)
    points_near = points[near] if near.any() else points
    low, high = points_near.amin(dim=0), points_near.amax(dim=0)
    flat = (points - (low + high) / 2) / (high - low).max().clamp_min(1e-9) + 0.5
    return torch.stack([flat[:, 0], 1 - flat[:, 1]], dim=1).clamp(0, 1)


def _same_images(
    systems: Mapping[str, Sequence[Embeddings]], points: Mapping[str, Tensor]
) -> Sequence[Embeddings]:
    """The domains, after checking that all systems and their coordinates belong together."""
    if not systems:
        raise InputError("the map needs the coordinates of at least one system")
    first = next(iter(systems.values()))
    paths = [path for part in first for path in part.paths]
    for name, domains in systems.items():
        if len(points[name]) != len(paths) or [path for part in domains for path in part.paths] != paths:
            raise InputError(
                f"map {name!r}: coordinates and images do not belong together; project them again"
            )
    return first


def _check_browser(browser: RetrievalBrowser, domains: Sequence[Embeddings]) -> None:
    theirs = {name: part.paths for name, part in browser.panels.domains.items()}
    if {part.domain: part.paths for part in domains} != theirs:
        raise InputError("map and browser show different images; make both from the same embeddings")
