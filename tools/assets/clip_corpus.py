"""What the embedded CLIP may see: which drawings, under which captions.

The rule is compositional: the CLIP meets every style and every object, but never a benchmark object
in the hand of a benchmark family. Of the benchmark's objects only the teacher families' drawings are
kept; of everything else, all families, with line and solid drawings held to a small share. Last,
whatever looks like a benchmark drawing (``tools.assets.likeness``) goes: families that share geometry
repeat a drawing under another emoji (a person in the bathtub) or retouched, so for them the limit is far
lower.
"""

import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from tools.assets.drawings import Drawing, render_many
from tools.assets.families import FAMILIES, TEACHERS, Emoji, emoji_table, share_geometry
from tools.assets.likeness import TWIN, outline
from tools.assets.objects import Objects

MONO_STYLES = frozenset({"line drawing", "black line drawing", "thin black icon", "solid black icon"})
# For pairs of families that share geometry. Above it, pieces of one drawing recur in the other.
RELATED_TWIN = 0.65
SIZE = 96  # px, edge of a rendered drawing
CHOICES = 12  # captions an image


@dataclass(frozen=True, eq=False)
class Corpus:
    """Images with alpha and the captions that fit each of them.

    Attributes:
        drawings: what the images show, in their order.
        pixels: RGB and straight alpha.
        emoji: number of the emoji that an image shows.
        captions: every caption once.
        choices: the captions of each image, as positions in ``captions``.
        closest: the highest likeness of an image to a benchmark drawing.
        closest_related: the same among families that share geometry.
    """

    drawings: tuple[Drawing, ...]
    pixels: UInt8[Tensor, "n 4 size size"]
    emoji: Int[Tensor, " n"]
    captions: tuple[str, ...]
    choices: Int[Tensor, "n choice"]
    closest: float
    closest_related: float

    def manifest(self) -> str:
        """JSON that names every image: family -> hexcodes."""
        names: dict[str, list[str]] = {}
        for drawing in self.drawings:
            names.setdefault(drawing.family, []).append(drawing.hexcode)
        rows = [f'  "{family}": "{" ".join(codes)}"' for family, codes in names.items()]
        limits = f' "closest": {self.closest:.4f},\n "closest_related": {self.closest_related:.4f},\n'
        return "{\n" + limits + ' "pictures": {\n' + ",\n".join(rows) + "\n }\n}\n"


def build_corpus(mono_share: float, seed: int, processes: int = 2) -> Corpus:
    """Choose, render and caption the pretraining images.

    Args:
        mono_share: share of line and solid drawings.
        seed: which of them.
        processes: worker processes.
    """
    objects = Objects.load()
    bench = [d for classes in objects.hands().values() for drawings in classes.values() for d in drawings]
    hidden = objects.hexcodes() | {d.hexcode for d in bench if d.hexcode}
    chosen = allowed(hidden, mono_share, seed)
    pixels = render_many(chosen, SIZE, processes)
    likes, related = closest(chosen, pixels, bench, render_many(bench, SIZE, processes), processes)
    kept = np.flatnonzero((likes <= TWIN) & (related <= RELATED_TWIN))
    drawings = tuple(chosen[i] for i in kept)
    table = emoji_table()
    numbers = {code: i for i, code in enumerate(table)}
    places: dict[str, int] = {}
    choices = [
        [places.setdefault(c, len(places)) for c in captions(table[d.hexcode], FAMILIES[d.family].style)]
        for d in drawings
    ]
    return Corpus(
        drawings,
        torch.from_numpy(pixels[kept]).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([numbers[d.hexcode] for d in drawings]),
        tuple(places),
        torch.tensor(choices),
        float(likes[kept].max()),
        float(related[kept].max()),
    )


def allowed(hidden: Iterable[str], mono_share: float, seed: int) -> list[Drawing]:
    """The drawings that the rule admits, before likeness is looked at.

    Args:
        hidden: hexcodes of the benchmark's objects. An emoji joined from one of them (a dog with a
            vest) repeats its drawing, and is hidden too.
        mono_share: share of line and solid drawings.
        seed: which of them.
    """
    hidden = frozenset(hidden)
    colour, mono = [], []
    for key, family in FAMILIES.items():
        if family.kind == "icons":
            continue
        for drawing in family.drawings():
            if key in TEACHERS or not is_hidden(drawing.hexcode, hidden):
                (mono if family.style in MONO_STYLES else colour).append(drawing)
    wanted = round(len(colour) * mono_share / (1 - mono_share))
    few = random.Random(seed).sample(mono, min(wanted, len(mono)))
    return colour + sorted(few, key=lambda d: (d.family, d.name))


def is_hidden(hexcode: str, hidden: frozenset[str]) -> bool:
    """Whether the emoji is a benchmark object or is joined from one."""
    return hexcode in hidden or not hidden.isdisjoint(hexcode.split("-200d-"))


def captions(emoji: Emoji, style: str) -> list[str]:
    """``CHOICES`` captions, of which one is drawn at each look; the plain and the styled name weigh most."""
    name, tags = emoji.label, list(emoji.tags) or [emoji.label]
    styled = f"{_a(style)} of {_a(name)}"
    found = [name, name, styled, styled, styled]
    found += [f"{kind} of {_a(name)}" for kind in ("an image", "a photo", "a picture")]
    found += [f"{name} {tags[0]}", f"{_a(style)} of {_a(tags[-1])}", " ".join(tags[:3])]
    return [*found, f"{emoji.subgroup.replace('-', ' ')} {name}"]


def _a(words: str) -> str:
    return f"an {words}" if words[0].lower() in "aeiou" else f"a {words}"


def closest(
    ours: Sequence[Drawing],
    our_pixels: np.ndarray,
    theirs: Sequence[Drawing],
    their_pixels: np.ndarray,
    processes: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """How like the most similar of their drawings, plain or mirrored, each of ours is.

    Returns:
        The highest likeness to any of theirs, and to those of families that share geometry with ours
        (0 where there is none).
    """
    with ProcessPoolExecutor(processes) as pool:
        rows = np.stack(list(pool.map(_outline, our_pixels, chunksize=256)))
        plain = np.stack(list(pool.map(_outline, their_pixels, chunksize=256)))
        mirrored = np.stack(list(pool.map(_outline, their_pixels[:, :, ::-1], chunksize=256)))
    likes = np.maximum(rows @ plain.T, rows @ mirrored.T)
    share = {(a, b): share_geometry(a, b) for a in FAMILIES for b in FAMILIES}
    related = np.array([[share[a.family, b.family] for b in theirs] for a in ours])
    return likes.max(axis=1), np.where(related, likes, 0).max(axis=1)


def _outline(image: np.ndarray) -> np.ndarray:
    return outline(image).astype(np.float32) if image[..., 3].max() > 8 else np.zeros(48 * 48, np.float32)
