"""What views, neighbours and texts give on frozen vectors, into docs/studies/frozen_views.md.

    python -m tools.studies.frozen_views

Trials on features, which take minutes: which pictures of an image a frozen CLIP should see, how they are
weighed, whether a linear map fitted on the diffused neighbourhoods learns anything that re-ranking does not
give for nothing, and whether texts add to it. Labels of two pairs are looked at; the other eight are left
alone. What won is ``methods.tpsnet``.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.backbone import VIEWS, Backbone, class_texts, embed_with_flip, phase_image, to_grey
from tpsnet.data import Pair, embedded_root, image_folder, style_of
from tpsnet.evaluation import evaluate, rerank
from tpsnet.experiments import Closed, Source
from tpsnet.io import write_text
from tpsnet.losses import neighbour_contrast
from tpsnet.report.parts import table
from tpsnet.targets import diffused, neighbours_in, side_by_side, view_weights
from tpsnet.types import Embeddings

Domains = list[Float[Tensor, "_ dim"]]
Neighbours = list[list[Int[Tensor, "_ k"]]]  # by domain of the image, then by domain of the neighbour

LOOKS: dict[str, Callable[[Tensor], Tensor]] = VIEWS | {
    "grey": lambda x: to_grey(x).expand(-1, 3, -1, -1),
    "phase image": lambda x: (phase_image(x) / 6 + 0.5).clamp(0, 1).expand(-1, 3, -1, -1),
}
STEPS, BATCH, RATE, TEMPERATURE, POSITIVES, SHARE = 900, 256, 2e-3, 0.1, 5, 0.9
TEXT_TEMPERATURE, TEXT_WEIGHT = 0.06, 0.5


def main(
    pairs: tuple[tuple[str, str], ...] = (("line", "shaded"), ("flat", "solid")),
    card: Path = Path(__file__).parents[2] / "docs" / "studies" / "frozen_views.md",
) -> None:
    """Measure every trial and write what was found.

    Args:
        pairs: Pairs of domains whose labels are looked at.
        card: The file that is written.
    """
    source = Source()
    backbone = source.backbone()
    found = {}
    for names in pairs:
        pair = source.pair(names, Closed(), backbone.resize)
        found[" ↔ ".join(names)] = pd.DataFrame(trials(backbone, pair)).T
    write_text(card, page(found))
    print(card.read_text(encoding="utf-8"))


def trials(backbone: Backbone, pair: Pair) -> dict[str, dict[str, float]]:
    """Every trial on one pair, by name."""
    seen = {name: view_of(backbone, pair, look) for name, look in LOOKS.items()}
    found = {name: measured(pair, domains) for name, domains in seen.items()}
    for name in list(LOOKS)[1:]:
        found[f"colour + {name}"] = measured(pair, joined([seen["colour"], seen[name]]))
    three = [seen[name] for name in VIEWS]
    weights = reliabilities(three)
    found["all three"] = measured(pair, joined(three))
    found["all three, weighed"] = measured(pair, joined(three, weights))
    for title, views, options in (
        ("colour, map", three[:1], {}),
        ("colour + phase drawing, maps", three[:2], {}),
        ("colour + figure and ground, maps", three[::2], {}),
        ("all three, maps", three, {}),
        ("all three, weighed, maps", three, {"weights": weights}),
        ("the same, other neighbours compete", three, {"weights": weights, "left_out": False}),
        ("the same, neighbours at share 0.98", three, {"weights": weights, "share": 0.98}),
        ("the same, 10 neighbours", three, {"weights": weights, "positives": 10}),
    ):
        found[title] = measured(pair, fit_maps(views, **options))
    further, own = vocabularies()
    for title, words in (("further objects' names", further), ("the same and the true names", further + own)):
        texts = counterparts(backbone, pair, seen["colour"], words)
        found[f"all three + texts, {title}"] = measured(pair, joined([*three, texts]))
    return found


def view_of(backbone: Backbone, pair: Pair, view: Callable[[Tensor], Tensor]) -> Domains:
    """Frozen vectors of a view of both domains, averaged with those of mirror images, centred."""
    domains = []
    for images in pair.images:
        plain, mirrored = embed_with_flip(lambda x: backbone.encode_image(view(x)), images)
        z = F.normalize(plain + mirrored, dim=1)
        domains.append(F.normalize(z - z.mean(dim=0), dim=1))
    return domains


def joined(views: Sequence[Domains], weights: Tensor | None = None) -> Domains:
    """Vectors of several views side by side: their cosine is the mean of the views' cosines."""
    if weights is None:
        return [F.normalize(torch.cat(parts, dim=1), dim=1) for parts in zip(*views, strict=True)]
    return [side_by_side(list(parts), weights) for parts in zip(*views, strict=True)]


def reliabilities(views: Sequence[Domains]) -> Float[Tensor, " view"]:
    """Weights of three views, see ``targets.agreement``; they sum to one."""
    return view_weights(list(zip(*views, strict=True)), POSITIVES, SHARE)


def fit_maps(
    views: Sequence[Domains],
    weights: Tensor | None = None,
    *,
    positives: int = POSITIVES,
    share: float = SHARE,
    left_out: bool = True,
) -> Domains:
    """One linear map for each view, z + z W, fitted so that an image finds a neighbour among a batch of them.

    Args:
        views: Domains of each view.
        weights: Weights of the views; equal ones by default.
        positives: Number of neighbours of an image in each domain.
        share: Share of the diffusion that says who is a neighbour.
        left_out: Whether further neighbours of an image in the batch do not compete.
    """
    rng = torch.Generator().manual_seed(0)
    weights = torch.full((len(views),), 1 / len(views)) if weights is None else weights
    near = neighbours_in(diffused(joined(views, weights), POSITIVES, share), positives)
    maps = [torch.zeros(z[0].shape[1], z[0].shape[1], requires_grad=True) for z in views]
    optimizer = torch.optim.AdamW(maps, lr=RATE)

    def mapped(domain: int, rows: Tensor) -> Tensor:
        parts = [z[domain][rows] for z in views]
        parts = [F.normalize(z @ w + z, dim=1) for z, w in zip(parts, maps, strict=True)]
        return side_by_side(parts, weights)

    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        loss = torch.zeros(())
        for d, z in enumerate(views[0]):
            rows = torch.randint(len(z), (BATCH,), generator=rng)
            ours = mapped(d, rows)
            for other, index in enumerate(near[d]):
                column = torch.randint(index.shape[1], (BATCH,), generator=rng)
                drawn = index[rows, column]
                related = (index[rows][:, :, None] == drawn).any(dim=1) & left_out
                theirs, all_count = mapped(other, drawn), torch.ones(BATCH)
                loss = loss + neighbour_contrast(ours, theirs, related, all_count, temperature=TEMPERATURE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return [mapped(d, torch.arange(len(z))) for d, z in enumerate(views[0])]


def vocabularies() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the further objects, and names of the classes that are retrieved, which no method is told."""
    own = _class_names(embedded_root())
    return tuple(name for name in _class_names(embedded_root(further=True)) if name not in own), own


def counterparts(backbone: Backbone, pair: Pair, colour: Domains, words: tuple[str, ...]) -> Domains:
    """A text for each image: the mean of a vocabulary's embeddings by their similarity to it.

    The vocabulary is put into the words of either domain; the mean of both is what an image receives, so that
    the same word is the same vector in both. As text-aided clustering does it (Li et al., ICML 2024).
    """
    texts = [class_texts(backbone, words, style_of(d.name)).cpu() for d in pair.domains]
    texts = [F.normalize(rows - rows.mean(dim=0), dim=1) for rows in texts]
    shared = F.normalize(sum(texts), dim=1)
    votes = [(z @ rows.T / TEXT_TEMPERATURE).softmax(dim=1) for z, rows in zip(colour, texts, strict=True)]
    return [TEXT_WEIGHT * F.normalize(vote @ shared, dim=1) for vote in votes]


def measured(pair: Pair, domains: Domains) -> dict[str, float]:
    """Mean of both directions, as embedded and re-ranked by diffusion."""
    both = tuple(
        Embeddings(d.name, z, d.labels, d.class_names, d.paths)
        for d, z in zip(pair.domains, domains, strict=True)
    )
    found = {}
    for suffix, view in (("", both), (", re-ranked", rerank(both, "diffusion", known_queries=True))):
        scores = [evaluate(*way, ks=(1, 5)).metrics() for way in (view, view[::-1])]
        for metric in ("P@1", "P@5", "mAP"):
            found[metric + suffix] = sum(s[metric] for s in scores) / 2
    return found


def page(found: dict[str, pd.DataFrame]) -> str:
    """The whole file.

    Args:
        found: By pair, a line for each trial.
    """
    head = f"""# What views, neighbours and texts give on frozen vectors

The embedded CLIP stays as it is. All vectors are averaged with those of mirror images and centred by domain;
several views stand side by side. Re-ranked means by diffusion, with the settings of every table. Labels were
looked at on these pairs to decide what is worth training; the settings of drawing and maps were found
with an eye on them too.

- **phase image**: the whole image's Fourier phase under constant amplitude (`phase_image`). The paper gives
  it to a network of its own, here the frozen CLIP sees it.
- **phase drawing**: dark lines where the phases of all scales agree (`phase_drawing`), ours.
- **figure and ground**: dark where an image differs from the colour along its sides (`figure_ground`), ours.
- **weighed**: by the reliabilities of the views (`targets.agreement`); else all views count alike.
- **maps**: a linear map z + z W for each view, shared by both domains, fitted in {STEPS} steps so that an
  image finds one of its {POSITIVES} nearest rows after diffusion (share {SHARE:g}), in either domain,
  among {BATCH} of them (temperature {TEMPERATURE:g}); its further neighbours in the batch do not compete.
  One seed. Who is a neighbour is told by the views that are mapped.
- **texts**: to each image the mean of a vocabulary's embeddings, by their similarity to it (temperature
  {TEXT_TEMPERATURE:g}, weight {TEXT_WEIGHT:g}); of names of further objects, which are not retrieved, and
  with the true names among them, which no method is told: an oracle.

Made by `python -m tools.studies.frozen_views`."""
    parts = [head]
    for pair, frame in found.items():
        parts += [f"## {pair}", table(frame)]
    return "\n\n".join(parts) + "\n"


def _class_names(root: Path) -> tuple[str, ...]:
    return next(iter(image_folder(root).values())).class_names


if __name__ == "__main__":
    tyro.cli(main)
