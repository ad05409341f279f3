"""How much there is to learn on the embedded pictures: floor, clusters and oracle, written into DATA.md.

    python -m tools.headroom

The floor is the frozen CLIP, plain and with each domain's mean removed. The oracle trains with the
true labels, which no method may see: prototypes of both domains of a pair, as a linear residual on
frozen features ("adapter") and by fine-tuning the image tower ("full"). Closed-set it is tested on the
objects it was trained on; unseen, it learns three quarters of them and is tested on the rest.
"""

import copy
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import torch
import torch.nn.functional as F
import tyro
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn
from tqdm import tqdm

from tpsnet.backbone import Backbone, autocast, embed_all, embedded_clip, load_backbone
from tpsnet.data import Augment, PairedBatches, embedded_root, image_folder, load_images
from tpsnet.evaluation import evaluate
from tpsnet.losses import prototype_contrast
from tpsnet.methods import Frozen
from tpsnet.targets import class_means, kmeans
from tpsnet.types import Domain, Embeddings, Images

CARD = Path(__file__).parents[1] / "DATA.md"
MARKS = ("<!-- headroom -->", "<!-- /headroom -->")
MONO = {"line", "solid"}
TEMPERATURE = 0.1
FLOOR_NOTE = """The floor is the embedded CLIP, frozen; "centred" has the mean of each domain removed.
In percent; P@5 in the field's convention. Written by `python -m tools.headroom`."""
ORACLE_NOTE = """The oracle trains with the true labels, which no method may see: prototypes of both
domains, by a linear residual on frozen features ("adapter") or by fine-tuning the image tower ("full").
mAP, mean of both directions. Closed-set it is tested on the objects it was trained on; "unseen" trains
on three quarters of the objects and is tested on the others, so its floor ranks a quarter of the classes."""
Pictures = dict[str, tuple[Domain, Images]]
Vectors = dict[str, Tensor]


def main(
    clip: str = embedded_clip(),
    card: Path = CARD,
    pairs: tuple[tuple[str, str], ...] = (
        ("line", "shaded"),
        ("solid", "rendered"),
        ("flat", "rendered"),
        ("line", "solid"),
    ),
    steps: int = 80,
    seed: int = 0,
    threads: int = 2,
    oracle: bool = True,
) -> None:
    """Measure and write the tables.

    Args:
        clip: the backbone, as ``load_backbone`` takes it.
        card: the file whose marked part is replaced.
        pairs: domain pairs that the oracle trains on.
        steps: optimiser steps of the fine-tuning oracle.
        seed: of clusters, split and batches.
        threads: processor threads.
        oracle: whether to train the oracle; without it only the floor is printed, nothing is written.
    """
    torch.set_num_threads(threads)
    backbone = load_backbone(clip)
    folders = image_folder(embedded_root())
    pictures = {name: load_images(domain, backbone.image_size) for name, domain in folders.items()}
    plain = {name: Frozen(backbone).embed(images) for name, (_, images) in pictures.items()}
    centred = {name: F.normalize(z - z.mean(dim=0), dim=1) for name, z in plain.items()}
    floor = f"{floor_table(pictures, plain, centred)}\n\n{cluster_table(backbone, pictures, plain, seed)}"
    print(floor)
    if oracle:
        table = oracle_table(backbone, pictures, plain, pairs, steps, seed)
        print(table)
        write_between_marks(card, f"{FLOOR_NOTE}\n\n{floor}\n\n{ORACLE_NOTE}\n\n{table}")


def scores(pictures: Pictures, vectors: Vectors, query: str, gallery: str, keep: Sequence[int] | None = None):
    """P@1, P@5 and mAP of one direction; ``keep`` restricts both sides to some classes."""
    sides = []
    for name in (query, gallery):
        domain, z = pictures[name][0], vectors[name]
        if keep is not None:
            rows = torch.isin(domain.labels, torch.tensor(keep)).nonzero().flatten()
            domain, z = domain.subset(rows.tolist()), z[rows]
        sides.append(Embeddings(name, z, domain.labels, domain.class_names, domain.paths))
    found = evaluate(*sides, ks=(1, 5))
    return torch.tensor([found.precision[1], found.precision[5], found.mean_ap])


def floor_table(pictures: Pictures, plain: Vectors, centred: Vectors) -> str:
    """Every direction, and means over groups of directions."""
    rows = {
        pair: torch.cat([scores(pictures, z, *pair) for z in (plain, centred)])
        for pair in permutations(pictures, 2)
    }
    groups = {
        "mean, colour → colour": [r for p, r in rows.items() if not MONO & set(p)],
        "mean, line or solid ↔ colour": [r for p, r in rows.items() if len(MONO & set(p)) == 1],
        "mean, line ↔ solid": [r for p, r in rows.items() if set(p) == MONO],
        "mean of 20": list(rows.values()),
    }
    lines = [f"| {a} → {b} | {_cells(row)} |" for (a, b), row in rows.items()]
    lines += [f"| **{name}** | {_cells(torch.stack(g).mean(dim=0))} |" for name, g in groups.items() if g]
    head = "| direction | P@1 | P@5 | mAP | centred P@1 | centred P@5 | centred mAP |\n" + 7 * "|---" + "|"
    return "\n".join([head, *lines])


def cluster_table(backbone: Backbone, pictures: Pictures, vectors: Vectors, seed: int) -> str:
    """Per domain: agreement of k-means clusters with the true classes, and zero-shot by the class's name."""
    lines = []
    for name, (domain, _) in pictures.items():
        z, names = vectors[name], [words.replace("_", " ") for words in domain.class_names]
        found = kmeans(z, len(names), seed=seed)
        nmi = normalized_mutual_info_score(domain.labels, found.assignment)
        guess = (z @ backbone.encode_text([f"a picture of a {words}" for words in names]).T).argmax(dim=1)
        right = (guess == domain.labels).float().mean().item()
        lines.append(f"| {name} | {nmi:.2f} | {100 * right:.1f} |")
    head = "| domain | k-means NMI | zero-shot top-1, % |\n|---|---|---|"
    return "\n".join([head, *lines])


def oracle_table(
    backbone: Backbone,
    pictures: Pictures,
    plain: Vectors,
    pairs: Sequence[tuple[str, str]],
    steps: int,
    seed: int,
) -> str:
    """The mAP of floor and oracles, mean of both directions, closed-set and on unseen objects."""
    n_classes = len(next(iter(pictures.values()))[0].class_names)
    order = torch.randperm(n_classes, generator=torch.Generator().manual_seed(seed))
    seen, unseen = order[: 3 * n_classes // 4].tolist(), order[3 * n_classes // 4 :].tolist()
    lines = []
    for pair in tqdm(pairs, desc="oracle", unit="pair"):
        cells = []
        for train, test in ((list(range(n_classes)), None), (seen, unseen)):
            trained = [plain, adapter(pictures, plain, pair, train)]
            trained.append(full(backbone, pictures, plain, pair, train, steps, seed))
            for vectors in trained:
                both = [scores(pictures, vectors, *way, test) for way in (pair, pair[::-1])]
                cells.append(f"{(both[0] + both[1])[2] / 2:.1f}")
        lines.append(f"| {pair[0]} ↔ {pair[1]} | {' | '.join(cells)} |")
    head = "| pair, mAP | floor | adapter | full | unseen: floor | unseen: adapter | unseen: full |\n"
    return "\n".join([head + 7 * "|---" + "|", *lines])


def adapter(pictures: Pictures, plain: Vectors, pair: tuple[str, str], train: list[int]) -> Vectors:
    """A linear residual on frozen features, from zero, trained on all pictures of the pair at once."""
    z, labels = _training_rows(pictures, plain, pair, train)
    dim = z.shape[1]
    residual = nn.Parameter(torch.zeros(dim, dim))
    prototypes = nn.Parameter(class_means(z, labels, int(labels.max()) + 1)[0])
    optimizer = torch.optim.Adam([{"params": [residual], "lr": 3e-3}, {"params": [prototypes], "lr": 3e-3}])
    moved = lambda x: F.normalize(x + x @ residual, dim=1)  # noqa: E731
    for _ in range(100):
        _step(optimizer, moved(z), prototypes, labels)
    with torch.no_grad():
        return {name: moved(plain[name]) for name in pair}


def full(
    backbone: Backbone,
    pictures: Pictures,
    plain: Vectors,
    pair: tuple[str, str],
    train: list[int],
    steps: int,
    seed: int,
) -> Vectors:
    """The image tower fine-tuned on augmented pictures, both domains in every batch."""
    model = copy.deepcopy(backbone).train()
    z, labels = _training_rows(pictures, plain, pair, train)
    prototypes = nn.Parameter(class_means(z, labels, int(labels.max()) + 1)[0])
    tower = [p for p in model.clip.visual.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": tower, "lr": 3e-4}, {"params": [prototypes], "lr": 3e-3}])
    subsets = [_subset(pictures[name], train) for name in pair]
    batches = PairedBatches(subsets[0][1], subsets[1][1], 96, 1, Augment(), seed)
    for step, (first, second) in zip(range(steps), _forever(batches), strict=False):
        optimizer.param_groups[0]["lr"] = 3e-4 * min(1, 2 * (steps - step) / steps)
        target = torch.cat(
            [_relabel(subsets[i][0].labels[b.index], train) for i, b in enumerate((first, second))]
        )
        with autocast("cpu"):
            rows = model.encode_image(torch.cat([first.view1, second.view1]))
        _step(optimizer, rows.float(), prototypes, target)
    return {name: embed_all(model.eval().encode_image, pictures[name][1]) for name in pair}


def _step(optimizer: torch.optim.Optimizer, z: Tensor, prototypes: Tensor, labels: Tensor) -> None:
    votes = F.one_hot(labels, len(prototypes)).float()
    loss = prototype_contrast(z, F.normalize(prototypes, dim=1), votes, temperature=TEMPERATURE)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _forever(batches: PairedBatches):
    epoch = 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1


def _subset(pictures: tuple[Domain, Images], train: list[int]) -> tuple[Domain, Images]:
    domain, images = pictures
    rows = torch.isin(domain.labels, torch.tensor(train)).nonzero().flatten()
    return domain.subset(rows.tolist()), Images(images.name, images.pixels[rows])


def _relabel(labels: Tensor, train: list[int]) -> Tensor:
    """Class ids as positions in the sorted training classes."""
    return torch.searchsorted(torch.tensor(sorted(train)), labels)


def _training_rows(pictures: Pictures, plain: Vectors, pair: tuple[str, str], train: list[int]):
    rows, labels = [], []
    for name in pair:
        keep = torch.isin(pictures[name][0].labels, torch.tensor(train))
        rows.append(plain[name][keep])
        labels.append(_relabel(pictures[name][0].labels[keep], train))
    return torch.cat(rows), torch.cat(labels)


def _cells(row: Tensor) -> str:
    return " | ".join(f"{value:.1f}" for value in row.tolist())


def write_between_marks(path: Path, text: str) -> None:
    """Replace what stands between the marks."""
    before, rest = path.read_text().split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    partial = path.with_name(path.name + ".partial")
    partial.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")
    partial.replace(path)


if __name__ == "__main__":
    tyro.cli(main)
