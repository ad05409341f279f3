"""How much there is to learn on the embedded images: baseline, clusters and oracle, written into DATA.md.

    python -m tools.studies.oracle

The baseline is the frozen CLIP, plain and with each domain's mean removed. The oracles of
``tools.studies.true_labels`` train with the true labels, which no method may see, on one pair of domains. In
the closed protocol they are tested on the objects that they were trained on; unseen, they learn three
quarters of them and are tested on the rest.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
import tyro
from sklearn.metrics import normalized_mutual_info_score

from tools.studies.true_labels import Adapter, FullTuning, TrueLabelsConfig
from tpsnet.backbone import Backbone, embed_all
from tpsnet.data import embedded_root, image_folder, load_images
from tpsnet.experiments import BASELINES, Closed, Protocol, Source, Table, Variant, ZeroShot, all_pairs, fill
from tpsnet.experiments.run import later, made_with
from tpsnet.io import write_text
from tpsnet.jobs import Job, run_jobs
from tpsnet.methods import Frozen, FrozenConfig, embeddings
from tpsnet.report import tidy
from tpsnet.report.parts import means, table
from tpsnet.targets import kmeans
from tpsnet.training import FitConfig, fit
from tpsnet.types import Embeddings

PAIRS = (("line", "shaded"), ("solid", "rendered"), ("flat", "rendered"), ("line", "solid"))
MARKS = ("<!-- oracle -->", "<!-- /oracle -->")
MONO = {"line", "solid"}
METRICS = ("P@1", "P@5", "mAP")
CLOSED = Closed(ks=(1, 5))
SEED = 0  # of clusters, split, batches and augmentation
CLASSES = {"Frozen": Frozen, "adapter": Adapter, "full": FullTuning}
VARIANTS = (
    Variant("baseline", "Frozen", FrozenConfig()),
    # Vectors are frozen, so that a step takes all of a domain.
    Variant("adapter", "adapter", TrueLabelsConfig(epochs=200, batch_size=1600, lr=3e-3), oracle=True),
    Variant("full", "full", TrueLabelsConfig(epochs=7, batch_size=96, lr=3e-4), oracle=True),
)
PLAIN = tuple(BASELINES[name] for name in ("frozen CLIP", "frozen CLIP, centred"))
BASELINE_NOTE = """The baseline is the embedded CLIP, frozen; "centred" has the mean of each domain removed.
In percent; P@5 in the field's convention. Written by `python -m tools.studies.oracle`."""
ORACLE_NOTE = """The oracle trains with the true labels, which no method may see, by the same loop as
every method. It learns prototypes of both domains, and moves the embeddings by a linear residual on
frozen vectors ("adapter") or by fine-tuning the image tower ("full"). mAP, mean of both directions.
Closed-set it is tested on the objects it was trained on; "unseen" trains on three quarters of the
objects and is tested on the others, so its gallery holds a quarter of the classes."""


def main(
    pairs: tuple[tuple[str, str], ...] = PAIRS,
    folder: Path = Path("runs/oracle"),
    card: Path = Path(__file__).parents[2] / "DATA.md",
    workers: int = 2,
) -> None:
    """Measure what is missing and write the tables.

    Args:
        pairs: Pairs of domains that the oracles train on.
        folder: Where each row is kept; a second call goes on from there.
        card: The file whose marked part is replaced.
        workers: Processes that share the processor's threads.
    """
    source = Source(root=embedded_root())
    every = all_pairs(source.root)
    plain = fill(Table(folder, source, every, (SEED,), PLAIN, (CLOSED,), workers=workers))
    jobs = oracle_jobs(source, pairs)
    trained = run_jobs(folder / "rows.jsonl", jobs, judge, workers=workers, label="oracle")
    parts = [
        BASELINE_NOTE,
        baseline_table(plain),
        cluster_table(source.backbone(), embedded_domains(source)),
        ORACLE_NOTE,
        oracle_table(trained),
    ]
    write_between_marks(card, "\n\n".join(parts))
    print("\n\n".join(parts))


def oracle_jobs(source: Source, pairs: Sequence[tuple[str, str]]) -> list[Job]:
    """Every pair under both protocols, with the baseline and both oracles."""
    backbone, loop = source.backbone(), FitConfig()
    names = next(iter(image_folder(source.root).values())).class_names
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(SEED))
    unseen = tuple(names[c] for c in order[3 * len(names) // 4 :])
    jobs = []
    for pair in pairs:
        for protocol in (CLOSED, ZeroShot(unseen=unseen, ks=(1,), mode="strict")):
            for variant in VARIANTS:
                made = made_with(variant, pair, protocol, SEED, loop, backbone) | {"root": source.root.name}
                title = f"{' ↔ '.join(pair)}, {protocol.name}: {variant.name}"
                jobs.append(Job(made, (source, variant, pair, protocol), title, later(backbone)))
    return jobs


def judge(source: Source, variant: Variant, names: tuple[str, str], protocol: Protocol) -> dict:
    """The row of an oracle, or of the baseline, on one pair."""
    backbone = source.backbone()
    pair = source.pair(names, protocol, backbone.resize)
    arranged = protocol.arrange(pair, SEED)
    method = CLASSES[variant.method](backbone, variant.config, SEED)
    method.oracle = arranged.train.class_rows
    fit(method, arranged.train.images)
    both = embeddings(method, arranged.test)
    row = {"name": variant.name, "seed": SEED, "pair": list(names), "protocol": protocol.name}
    return row | {"directions": protocol.score(both, arranged, seed=SEED, trained=variant.oracle)}


def embedded_domains(source: Source) -> list[Embeddings]:
    """Every domain through the frozen CLIP."""
    backbone, found = source.backbone(), []
    for folder in image_folder(source.root).values():
        domain, images = load_images(folder, backbone.resize)
        z = embed_all(backbone.encode_image, images)
        found.append(Embeddings(domain.name, z, domain.labels, domain.class_names, domain.paths))
    return found


def baseline_table(rows: Sequence[dict]) -> str:
    """Every direction, and means over groups of directions.

    Args:
        rows: The baselines on every pair under the closed protocol.
    """
    frame = tidy(rows).query("metric in @METRICS and ranking == 'as embedded'")
    frame["column"] = frame["name"].map({"frozen CLIP": ""}).fillna("centred ") + frame["metric"]
    cells = frame.pivot(index=["query", "gallery"], columns="column", values="value")
    cells = cells[[prefix + metric for prefix in ("", "centred ") for metric in METRICS]]
    mono = cells.index.map(lambda way: len(MONO & set(way)))
    groups = {
        "mean, colour → colour": cells[mono == 0],
        "mean, line or solid ↔ colour": cells[mono == 1],
        "mean, line ↔ solid": cells[mono == 2],
        f"mean of {len(cells)}": cells,
    }
    last = pd.DataFrame({name: group.mean() for name, group in groups.items() if len(group)}).T
    cells.index = cells.index.map(" → ".join)
    return table(pd.concat([cells, last]), "direction", bold=groups)


def cluster_table(backbone: Backbone, domains: Sequence[Embeddings]) -> str:
    """By domain: agreement of k-means clusters with the true classes, and zero-shot by the class's name."""
    lines = {}
    for part in domains:
        names = [words.replace("_", " ") for words in part.class_names]
        found = kmeans(part.vectors, len(names), seed=SEED)
        nmi = normalized_mutual_info_score(part.labels, found.assignment)
        texts = backbone.encode_text([f"a picture of a {words}" for words in names])
        right = ((part.vectors @ texts.T).argmax(dim=1) == part.labels).float().mean().item()
        lines[part.domain] = {"k-means NMI": f"{nmi:.2f}", "zero-shot top-1, %": f"{100 * right:.1f}"}
    return table(pd.DataFrame(lines).T, "domain")


def oracle_table(rows: Sequence[dict]) -> str:
    """The mAP of baseline and oracles, mean of both directions, closed-set and on unseen objects."""
    frame = tidy(rows).query("metric == 'mAP' and kind != 'generalised' and ranking == 'as embedded'")
    column = frame["kind"].map({"all": "", "unseen": "unseen: "}) + frame["name"]
    return table(means(frame.assign(column=column), "pair", "column"), "pair, mAP")


def write_between_marks(path: Path, text: str) -> None:
    """Replace what stands between the marks."""
    before, rest = path.read_text(encoding="utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    write_text(path, f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{after}")


if __name__ == "__main__":
    tyro.cli(main)
