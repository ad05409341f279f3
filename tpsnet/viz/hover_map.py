"""The live map: hover a point for its image, click it for its true neighbours, switch before and after.

Drawn on a 2-D canvas, without WebGL. Points travel once, as binary numbers; an image only when hovered. The
saved view is a PNG of the maps. Messages from the page, and the answers:

- ``{"kind": "points"}``: names and colours; buffers: domains (uint8), classes (uint16), each map's x, y
  (float32);
- ``{"kind": "hover", "index"}``: the class and domain of a point; buffer: its image as WebP;
- ``{"kind": "neighbours", "map", "index"}``: its nearest points in the original space, nearest first.
"""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import anywidget
import torch
from jaxtyping import Float
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tpsnet.errors import InputError
from tpsnet.evaluation import rank
from tpsnet.types import Embeddings
from tpsnet.viz.theme import FAINT, INK, class_colours, domain_colours
from tpsnet.viz.thumbnails import encode, png, thumbnail

Answer = tuple[dict, list[bytes]]


class HoverMap(anywidget.AnyWidget):
    """Maps of the same images under different systems.

    Args:
        maps: Name of each system to the domains' embeddings and the coordinates of all their points, in that
            order.
        k: Number of neighbours shown on a click.

    Raises:
        InputError: Coordinates do not fit the embeddings, the maps are of different images, or ``k`` is
            outside 1 to the number of other points.
    """

    _esm = Path(__file__).with_name("hover_map.js")

    def __init__(
        self, maps: Mapping[str, tuple[Sequence[Embeddings], Float[Tensor, "points 2"]]], *, k: int = 8
    ) -> None:
        if not maps:
            raise InputError("the map needs the coordinates of at least one system")
        self.all = {name: joined(domains) for name, (domains, _) in maps.items()}
        self.points = {name: points.float() for name, (_, points) in maps.items()}
        self.first = next(iter(self.all.values()))  # images and classes are the same in each
        for name, everything in self.all.items():
            if len(self.points[name]) != len(everything) or everything.paths != self.first.paths:
                raise InputError(
                    f"map {name!r}: coordinates and images do not belong together; project them again"
                )
        if not 1 <= k < len(self.first):
            raise InputError(
                f"cannot show {k} neighbours among {len(self.first)} images; "
                f"choose 1 to {len(self.first) - 1}"
            )
        domains, _ = next(iter(maps.values()))
        self.k, self.sizes = k, {d.domain: len(d) for d in domains}
        self.domain_of = [d.domain for d in domains for _ in range(len(d))]
        self.colours = domain_colours(list(self.sizes))
        super().__init__()
        self.on_msg(self._receive)

    def drawing(self) -> Answer:
        """All that the page needs to draw the points."""
        answer = {
            "kind": "points",
            "maps": list(self.points),
            "domains": [{"name": name, "colour": colour} for name, colour in self.colours.items()],
            "classes": class_colours(len(self.first.class_names)),
        }
        which = bytes(i for i, size in enumerate(self.sizes.values()) for _ in range(size))
        classes = self.first.labels.numpy().astype("<u2")
        coordinates = [p.contiguous().numpy().astype("<f4").tobytes() for p in self.points.values()]
        return answer, [which, classes.tobytes(), *coordinates]

    def image(self, index: int) -> Answer:
        """What the card of a hovered point shows."""
        self._check(index)
        name = self.first.class_names[int(self.first.labels[index])]
        answer = {"kind": "hover", "index": index, "class": name, "domain": self.domain_of[index]}
        return answer, [encode(self.first.paths[index], 96)]

    def neighbours(self, name: str, index: int) -> list[int]:
        """The ``k`` nearest points of both domains in the original space, nearest first."""
        if name not in self.all:
            raise InputError(f"no map {name!r}; choose one of {', '.join(self.all)}")
        self._check(index)
        everything = self.all[name]
        found = rank(everything.subset([index]), everything, k=self.k + 1).indices[0].tolist()
        return [i for i in found if i != index][: self.k]

    def sheet(self, side: int = 400, images: int = 40) -> bytes:
        """The saved view: each map with its points by domain and some of their images, as PNG."""
        sheet = Image.new("RGB", ((side + 12) * len(self.points), side + 44), "white")
        draw = ImageDraw.Draw(sheet)
        bold = ImageFont.load_default(13)
        n = len(self.first)
        sample = torch.linspace(0, n - 1, min(images, n)).round().long().tolist()
        thumbnails = {i: thumbnail(self.first.paths[i], 26) for i in sample}
        mixed = torch.randperm(n, generator=torch.Generator().manual_seed(0)).tolist()
        for column, (name, points) in enumerate(self.points.items()):
            left = column * (side + 12)
            spots = (fitted(points) * (side - 30) + torch.tensor([left + 15, 37])).tolist()
            draw.text((left + 4, 4), name, fill=INK, font=bold)
            draw.rectangle((left, 22, left + side, 22 + side), outline=FAINT)
            for i in mixed:  # in this order no domain hides the other
                x, y = spots[i]
                draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=self.colours[self.domain_of[i]])
            for i, small in thumbnails.items():
                x, y = round(spots[i][0] - 13), round(spots[i][1] - 13)
                sheet.paste(small, (x, y))
                draw.rectangle((x - 1, y - 1, x + 26, y + 26), outline=self.colours[self.domain_of[i]])
        for i, (name, colour) in enumerate(self.colours.items()):
            draw.rectangle((4 + 110 * i, side + 28, 14 + 110 * i, side + 38), fill=colour)
            draw.text((20 + 110 * i, side + 25), name, fill=INK, font=bold)
        return png(sheet)

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**kwargs)
        names = " and ".join(f"{size} {domain}" for domain, size in self.sizes.items())
        data["text/plain"] = f"Map of {names} images under {', '.join(self.points)}"
        data["image/png"] = base64.b64encode(self.sheet()).decode()
        return data, metadata

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.first):
            raise InputError(f"no point {index}; the map has points 0 to {len(self.first) - 1}")

    def _receive(self, _widget: object, message: dict, _buffers: list) -> None:
        """Answer a message of the page; one that makes no sense gets its reason back."""
        try:
            match message:
                case {"kind": "points"}:
                    answer, buffers = self.drawing()
                case {"kind": "hover", "index": int(index)}:
                    answer, buffers = self.image(index)
                case {"kind": "neighbours", "map": str(name), "index": int(index)}:
                    found = self.neighbours(name, index)
                    answer, buffers = {"kind": "neighbours", "index": index, "found": found}, []
                case _:
                    raise InputError(f"the map does not understand {message!r}")
        except InputError as error:
            answer, buffers = {"kind": "error", "text": str(error)}, []
        self.send(answer, buffers)


def joined(domains: Sequence[Embeddings]) -> Embeddings:
    """Several domains as one set of points, in the given order."""
    names = " + ".join(d.domain for d in domains)
    vectors, labels = torch.cat([d.vectors for d in domains]), torch.cat([d.labels for d in domains])
    return Embeddings(
        names, vectors, labels, domains[0].class_names, tuple(p for d in domains for p in d.paths)
    )


def fitted(points: Float[Tensor, "points 2"]) -> Float[Tensor, "points 2"]:
    """Moved and scaled into the unit square, shape kept, y downwards as on a screen."""
    low, high = points.amin(dim=0), points.amax(dim=0)
    flat = (points - (low + high) / 2) / (high - low).max().clamp_min(1e-9) + 0.5
    return torch.stack([flat[:, 0], 1 - flat[:, 1]], dim=1)
