"""Finished runs as one HTML file to keep, to send and to print."""

import itertools
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from tpsnet.errors import InputError
from tpsnet.escape import escape_html
from tpsnet.evaluation import in_order, load_saved
from tpsnet.evaluation.saved import Both
from tpsnet.experiments.experiment import CONFIG, SCORES, Experiment
from tpsnet.io import read_text, write_text
from tpsnet.report import AS_EMBEDDED, by_ranking, protocol, read_scores, shortfalls, strongest, tidy
from tpsnet.training import read_log
from tpsnet.types import Embeddings
from tpsnet.viz.document import document, embedding_map, grid, markdown, note, picture, plot, section
from tpsnet.viz.failures import hub_sheet, style_sheet
from tpsnet.viz.figures import training_curves
from tpsnet.viz.listing import listed
from tpsnet.viz.panels import verdict
from tpsnet.viz.projection import umap_map
from tpsnet.viz.retrieval import Retrieval, Survey
from tpsnet.viz.thumbnails import Tile, png

QUERIES, RESULTS = 5, 10  # of each grid: queries, and results of each
POINTS = 10  # fewer images make no map


def write_report(runs: Sequence[Path], output: Path) -> None:
    """Write one HTML file about some runs; several are compared.

    It holds the scores beside the baselines with the protocol under them, the training, what each method
    does best and worst, what it answers otherwise than its strongest baseline and than the run named before
    it, hubs, style before class, maps whose points show their images, and the configuration.

    Args:
        runs: Folders that ``tpsnet train`` has filled.
        output: The file.

    Raises:
        InputError: A folder is no finished run, or the file cannot be written.
    """
    found = [_Run(folder) for folder in runs]
    parts = [_scores(found)]
    parts += [run.training() for run in found]
    for run in found:
        parts += [run.grids(), run.failures(), run.map()]
    against = [(run.baseline(), run) for run in found] + list(itertools.pairwise(found))
    parts += [_compared(first, second) for first, second in against if first is not None]
    parts += [run.configuration() for run in found]
    write_text(output, document(" and ".join(run.name for run in found), parts))


class _Ranked:
    """One method's queries and gallery, and what every query gets."""

    def __init__(self, name: str, both: Both) -> None:
        self.name, self.both = name, both
        self.retrieval = Retrieval({part.domain: part for part in both})

    @cached_property
    def survey(self) -> Survey:
        """What every query gets."""
        own, other = self.both
        return self.retrieval.survey(own.domain, other.domain, depth=15)

    def rankings(self, order: Sequence[int]) -> dict[str, list[Tile]]:
        """Some queries with their first results."""
        rows, (own, other) = {}, self.both
        chosen = order[:QUERIES]
        answers = self.retrieval.answers(own.domain, other.domain, chosen)
        for number, (index, answer) in enumerate(zip(chosen, answers, strict=True), 1):
            shown = answer.items[:RESULTS].tolist()
            right = [None] * len(shown) if answer.right is None else answer.right[: len(shown)].tolist()
            tiles = [_tile(own, index)] + [_tile(other, i, r) for i, r in zip(shown, right, strict=True)]
            words = verdict(answer, len(shown)) or f"query {number}"
            rows[f"{number}. {_name(own, index)}: {words}"] = tiles
        return rows


class _Run(_Ranked):
    """What one run folder holds."""

    def __init__(self, folder: Path) -> None:
        if not (folder / SCORES).exists():
            raise InputError(f"{folder}: no {SCORES} here; name the folder of a finished `tpsnet train`")
        self.folder, self.experiment = folder, Experiment.load(folder / CONFIG)
        self.rows = read_scores(folder / SCORES)
        protocol, self.method = self.experiment.protocol.name, self.experiment.method
        self.saved = load_saved(folder / "embeddings").get(protocol, {})
        if self.method not in self.saved:
            raise InputError(
                f"{folder}: the embeddings of {self.method} under {protocol} are gone; train again"
            )
        super().__init__(
            f"{self.method}, {' ↔ '.join(self.experiment.pair)} ({folder.name})", self.saved[self.method]
        )

    def baseline(self) -> _Ranked | None:
        """The strongest training-free row as embedded, if the run has trained and its embeddings are kept."""
        frame = tidy(self.rows)
        embedded = frame[frame["ranking"] == AS_EMBEDDED]
        trained = self.method in set(embedded["name"][embedded["trained"]])
        name = strongest(embedded, in_order(embedded["metric"])[0]) if trained else None
        return _Ranked(name, self.saved[name]) if name in self.saved else None

    def training(self) -> str:
        """The losses."""
        history = read_log(self.folder)
        return section(f"Training: {self.name}", plot(training_curves(history))) if history else ""

    def grids(self) -> str:
        """The best and the worst queries."""
        worst = listed(self.both[0], "worst first", survey=self.survey)
        judged = [q for q in worst if not bool(self.survey.average_precision[q].isnan())]
        if not judged:
            return section(f"Some queries: {self.name}", grid(self.rankings(worst)))
        best, first = grid(self.rankings(judged[::-1])), grid(self.rankings(judged))
        return section(f"The best queries: {self.name}", best) + section("The worst queries", first)

    def failures(self) -> str:
        """Hubs, and queries whose style wins over their class."""
        k = min(15, len(self.both[1]))
        parts = [
            "<p>Hubs: the gallery images that are returned most often.</p>",
            picture(png(hub_sheet({self.method: self.both}, k=k)), "hubs"),
        ]
        style = style_sheet(*self.both) if len(self.both[0]) > 1 and self.both[0].labelled else None
        if style is not None:
            parts += ["<p>Style before class: another class of the own domain is nearer than all.</p>"]
            parts += [picture(png(style), "style before class")]
        return section(f"Failures: {self.name}", *parts)

    def map(self) -> str:
        """Both domains on a plane."""
        rows = torch.cat([part.vectors for part in self.both])
        if len(rows) < POINTS:
            return ""
        points = umap_map(rows, self.folder / "maps")
        words = "UMAP keeps neighbourhoods; distances between groups and their sizes mean nothing."
        return section(
            f"Map: {self.name}", f"<p>{words}</p>", embedding_map(self.both, points, "both domains")
        )

    def configuration(self) -> str:
        """The experiment as its file has it."""
        lines = read_text(self.folder / CONFIG).split("\n")
        text = "\n".join(map(escape_html, lines))
        return section(f"Configuration: {self.name}", f"<pre>{text}</pre>")


def _scores(runs: Sequence[_Run]) -> str:
    """All scores with their protocols, and what ends below its baseline, in front."""
    parts = []
    for run in runs:
        parts += [f"<h3>{escape_html(run.name)}</h3>", *map(note, shortfalls(run.rows))]
        parts += [markdown("\n\n".join(by_ranking(tidy(run.rows))))]
        parts += [markdown(protocol(run.rows))]
    return section("Scores", *parts)


def _compared(first: _Ranked, second: _Ranked) -> str:
    """Queries that the second one answers otherwise than the first."""
    title = f"{second.name} beside {first.name}"
    if any(a.paths != b.paths for a, b in zip(first.both, second.both, strict=True)):
        return section(title, "<p>They were scored on different images: no query can be compared.</p>")
    parts = []
    for words, order in (("Gained", "gains first"), ("Lost", "losses first")):
        queries = listed(second.both[0], order, survey=second.survey, other=first.survey)[:3]
        for side in (first, second):
            parts += [f"<h3>{words}, as {escape_html(side.name)} answers</h3>", grid(side.rankings(queries))]
    return section(title, *parts)


def _name(part: Embeddings, index: int) -> str:
    return part.class_names[int(part.labels[index])] if part.labelled else f"image {index}"


def _tile(part: Embeddings, index: int, right: bool | None = None) -> Tile:
    return Tile(part.paths[index], _name(part, index), right)
