"""What views, neighbours and texts give on frozen vectors, into docs/studies/frozen_views.md.

    python -m tools.studies.frozen_views

Trials on features, which take minutes: which pictures of an image a frozen CLIP should see, whether a linear
map fitted on the diffused neighbourhoods learns anything that re-ranking does not give for nothing, and
whether texts add to it. Labels of two pairs are looked at; the other eight are left alone.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, Int
from torch import Tensor

from tpsnet.backbone import Backbone, class_texts, embed_with_flip, phase_drawing, phase_image, to_grey
from tpsnet.data import Pair, embedded_root, image_folder, style_of
from tpsnet.evaluation import evaluate, rerank
from tpsnet.evaluation.rerank import Diffusion
from tpsnet.experiments import Closed, Source
from tpsnet.io import write_text
from tpsnet.losses import instance_contrast
from tpsnet.neighbours import searcher
from tpsnet.report.parts import table
from tpsnet.types import Embeddings

Domains = list[Float[Tensor, "_ dim"]]
Neighbours = list[list[Int[Tensor, "_ k"]]]  # by domain of the image, then by domain of the neighbour

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": lambda x: x,
    "grey": lambda x: to_grey(x).expand(-1, 3, -1, -1),
    "phase image": lambda x: (phase_image(x) / 6 + 0.5).clamp(0, 1).expand(-1, 3, -1, -1),
    "phase drawing": phase_drawing,
}
STEPS, BATCH, RATE, TEMPERATURE, POSITIVES = 900, 256, 2e-3, 0.1, 5
TEACHER = Diffusion(share=0.9)  # 0.98, which ranks better, is the worse teacher
TEXT_TEMPERATURE, TEXT_WEIGHT = 0.06, 0.5
SEEDS = (0, 1, 2)


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
        pair = source.pair(names, Closed(), backbone.image_size)
        found[" ↔ ".join(names)] = pd.DataFrame(trials(backbone, pair)).T
    write_text(card, page(found))
    print(card.read_text(encoding="utf-8"))


def trials(backbone: Backbone, pair: Pair) -> dict[str, dict[str, float]]:
    """Every trial on one pair, by name."""
    views = {name: view_of(backbone, pair, view) for name, view in VIEWS.items()}
    found = {name: measured(pair, domains) for name, domains in views.items()}
    for name in ("grey", "phase image", "phase drawing"):
        found[f"colour + {name}"] = measured(pair, joined([views["colour"], views[name]]))
    dual = [views["colour"], views["phase drawing"]]
    for title, parts in (("colour, map", dual[:1]), ("colour + phase drawing, maps", dual)):
        near = neighbours(joined(parts))
        runs = [measured(pair, fit_maps(parts, near, seed)) for seed in SEEDS]
        found[title] = {key: sum(run[key] for run in runs) / len(runs) for key in runs[0]}
    further, own = vocabularies()
    for title, words in (("further objects' names", further), ("the same and the true names", further + own)):
        texts = counterparts(backbone, pair, views["colour"], words)
        found[f"colour + phase drawing + texts, {title}"] = measured(pair, joined([*dual, texts]))
    return found


def view_of(backbone: Backbone, pair: Pair, view: Callable[[Tensor], Tensor]) -> Domains:
    """Frozen vectors of a view of both domains, averaged with those of mirror images, centred."""
    domains = []
    for images in pair.images:
        plain, mirrored = embed_with_flip(lambda x: backbone.encode_image(view(x)), images)
        z = F.normalize(plain + mirrored, dim=1)
        domains.append(F.normalize(z - z.mean(dim=0), dim=1))
    return domains


def joined(views: Sequence[Domains]) -> Domains:
    """Vectors of several views side by side: their cosine is the mean of the views' cosines."""
    return [F.normalize(torch.cat(parts, dim=1), dim=1) for parts in zip(*views, strict=True)]


def neighbours(domains: Domains) -> Neighbours:
    """The nearest rows of each domain after diffusion, an image itself left out."""
    _, spread = TEACHER(domains[0][:0], domains)
    found = []
    for z in spread:
        found.append([searcher(other, POSITIVES + (z is other))(z)[0][:, z is other :] for other in spread])
    return found


def fit_maps(views: Sequence[Domains], near: Neighbours, seed: int) -> Domains:
    """One linear map for each view, z + z W, fitted so that an image finds a neighbour among a batch of them.

    Args:
        views: Domains of each view.
        near: What ``neighbours`` returns.
        seed: Seed of the batches.
    """
    rng = torch.Generator().manual_seed(seed)
    maps = [torch.zeros(z[0].shape[1], z[0].shape[1], requires_grad=True) for z in views]
    optimizer = torch.optim.AdamW(maps, lr=RATE)
    itself = torch.arange(BATCH)

    def mapped(domain: int, rows: Tensor) -> Tensor:
        parts = [
            F.normalize(z[domain][rows] @ w + z[domain][rows], dim=1)
            for z, w in zip(views, maps, strict=True)
        ]
        return F.normalize(torch.cat(parts, dim=1), dim=1)

    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        loss = torch.zeros(())
        for d, z in enumerate(views[0]):
            rows = torch.randint(len(z), (BATCH,), generator=rng)
            ours = mapped(d, rows)
            for other, index in enumerate(near[d]):
                column = torch.randint(index.shape[1], (BATCH,), generator=rng)
                theirs = mapped(other, index[rows, column])
                loss = loss + instance_contrast(ours, theirs, itself, temperature=TEMPERATURE)
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
- **map**: a linear map z + z W for each view, shared by both domains, fitted in {STEPS} steps so that an
  image finds one of its {POSITIVES} nearest rows after diffusion (share {TEACHER.share:g}), in either domain,
  among {BATCH} of them (InfoNCE, temperature {TEMPERATURE:g}); mean of seeds {", ".join(map(str, SEEDS))}.
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
