"""``tpsnet train``: options are built from the dataclasses of the method, the protocol and the loop."""

import dataclasses
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal

import tyro

from tpsnet import distributed
from tpsnet.cli.paths import PATHS
from tpsnet.errors import LAST_WORDS, InputError
from tpsnet.escape import printable
from tpsnet.experiments import PROTOCOLS, Experiment, Source
from tpsnet.experiments.experiment import CONFIG, ConfigT, ProtocolT
from tpsnet.experiments.launch import train_together
from tpsnet.experiments.protocols import Closed
from tpsnet.jobs import end_with_parent
from tpsnet.methods import METHODS, TPSNetConfig
from tpsnet.paths import user_path
from tpsnet.presets import NAMES, load_preset
from tpsnet.report import shortfalls
from tpsnet.settings import Processes, Seed, Settings
from tpsnet.training import FitConfig

Flat = tyro.conf.OmitArgPrefixes


@dataclass(frozen=True)
class Choice:
    """What decides which options there are."""

    method: Literal[tuple(METHODS)] | None = None
    """The method; TPSNet by default. CLAIR is told the names of the classes, TPSNet their number."""
    named: Annotated[Literal[tuple(PROTOCOLS)] | None, tyro.conf.arg(name="protocol")] = None
    """What training may see and what is scored how; closed by default."""
    preset: Annotated[str | None, tyro.conf.arg(metavar="|".join(NAMES))] = None
    """The data set to start from: images, weights and settings of the method under the protocol."""
    start: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """config.json of an earlier run to start from."""
    resume: bool = False
    """Go on from the run folder's checkpoint, with its own config: the result is that of an unbroken run."""


@dataclass(frozen=True)
class Train(Settings, Generic[ConfigT, ProtocolT]):
    """Train on two domains. The run folder holds the experiment, the trained method, embeddings and scores.

    With --from, --preset or --resume the domains may be left out.
    """

    places: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[FIRST SECOND] RUN")] = ()
    """Two domains and the run folder."""
    choice: Flat[Choice] = field(default_factory=Choice)
    pair: tyro.conf.Suppress[tuple[str, str] | None] = None
    seed: Seed = 0
    """Seed of label spaces, clusters, weights, batches and augmentation."""
    source: Flat[Source] = field(default_factory=Source)
    protocol: Flat[ProtocolT] = field(default_factory=Closed)
    config: Flat[ConfigT] = field(default_factory=TPSNetConfig)
    fit: Flat[FitConfig] = field(default_factory=FitConfig)
    nproc: Processes = 1
    """Processes of this machine that train the one model together, with cuda one for each GPU."""
    line: tyro.conf.Suppress[tuple[str, ...]] = ()

    def __call__(self) -> None:
        """Train, embed and score."""
        pair = self.places[:-1] or self.pair
        if not self.places or not self.places[-1].strip() or pair is None or len(pair) != 2:
            raise InputError("train takes FIRST SECOND RUN; RUN alone with --from, --preset or --resume")
        parts = {"config": self.config, "protocol": self.protocol, "fit": self.fit, "source": self.source}
        experiment, folder = Experiment(pair, seed=self.seed, **parts), user_path(self.places[-1])
        if self.nproc > 1 and distributed.started() == 1:
            train_together(self.nproc, self.line)
            return
        if self.nproc not in (1, distributed.started()):
            raise InputError(
                f"--nproc {self.nproc}: {distributed.started()} processes are started; leave it out"
            )
        if LAST_WORDS in os.environ:
            end_with_parent()
        with distributed.joined(self.source.device):
            first = distributed.is_first()
            with nullcontext() if first else _silent():
                _, rows = experiment.run(folder, resume=self.choice.resume)
        if first:
            _show(experiment, folder, rows)


def _show(experiment: Experiment, folder: Path, rows: list[dict]) -> None:
    """Print the scores, and what can be done with the run."""
    for row in rows:
        for d in row["directions"]:
            kind = "" if d["kind"] == "all" else f" ({d['kind']})"
            for ranking, metrics in {"": d["metrics"], **d["reranked"]}.items():
                shown = [f"{name} {value:.1f}" for name, value in metrics.items() if value is not None]
                name = f"{row['name']}, re-ranked by {ranking}" if ranking else row["name"]
                line = f"{d['query']} → {d['gallery']}{kind}  {name:52s} {', '.join(shown)}"
                print(printable(line))
    for line in shortfalls(rows):
        print(printable(f"note: {line}"), file=sys.stderr)
    if deep := sorted({k for row in rows for d in row["directions"] for k in d["card"]["left_out"]}):
        print(f"note: k = {', '.join(map(str, deep))} left out, beyond a gallery", file=sys.stderr)
    print(printable(f"wrote {folder}: the trained method, embeddings, scores and log"))
    print("next:", "\n      ".join(map(printable, _next(folder, experiment))))


@contextmanager
def _silent() -> Iterator[None]:
    """Of several processes the first one speaks."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            yield
    finally:
        logging.disable(before)


def _next(folder: Path, experiment: Experiment) -> list[str]:
    """The commands that use what a training has left."""
    run, place = shlex.quote(str(folder)), shlex.quote(str(folder.resolve()))
    asked = f"-p protocol={experiment.protocol.name}"
    lines = [f"tpsnet report {run}", f"tpsnet search {run} IMAGE"]
    beside = Path(__file__).parents[2] / "notebooks"  # in a checkout, from whichever folder it is called
    notebooks = next((place for place in (Path("notebooks"), beside) if place.is_dir()), None)
    if notebooks is None:
        return lines
    books = {
        "05_retrieval_browser": f"-p training={place} {asked} -p method={experiment.method}",
        "08_compare_methods": f"-p compare={place}/embeddings {asked} -p second={experiment.method}",
    }
    return lines + [
        f"tpsnet run {shlex.quote(str(notebooks / name))}.ipynb {name}.ipynb {given}"
        for name, given in books.items()
    ]


TrainTPSNet = Train[TPSNetConfig, Closed]  # what ``tpsnet --help`` shows


def parse_train(argv: Sequence[str]) -> Train:
    """Parse in two steps: what decides which options there are, then the options of that experiment."""
    known = [a for a in argv if a not in ("-h", "--help")]
    choice, rest = tyro.cli(Choice, prog="tpsnet train", args=known, return_unknown_args=True, registry=PATHS)
    pair, start = _start(choice, rest)
    default = Train((), choice, pair, start.seed, start.source, start.protocol, start.config, start.fit)
    default = dataclasses.replace(default, line=tuple(argv))
    kind = Train[type(start.config), type(start.protocol)]
    return tyro.cli(kind, prog="tpsnet train", args=argv, default=default, registry=PATHS)


def _start(choice: Choice, rest: Sequence[str]) -> tuple[tuple[str, str] | None, Experiment]:
    """The experiment whose values are the defaults, and its pair if it has one of its own."""
    if choice.start and choice.preset:
        raise InputError("--from and --preset both name an experiment to start from; give one")
    resumed = [file for a in rest if choice.resume and (file := user_path(a) / CONFIG).is_file()]
    if choice.preset:
        start = load_preset(choice.preset).experiment(choice.method, choice.named)
    elif choice.start or resumed:
        start = Experiment.load(choice.start or resumed[0])
    else:
        start = Experiment()
    if _given("--model", rest) and not _given("--pretrained", rest):  # a tag belongs to its model
        start = dataclasses.replace(start, source=dataclasses.replace(start.source, pretrained=None))
    pair = start.pair if choice.preset or choice.start or resumed else None
    if choice.method and choice.method != start.method:
        start = dataclasses.replace(start, config=METHODS[choice.method].config())
    if choice.named and choice.named != start.protocol.name:
        start = dataclasses.replace(start, protocol=PROTOCOLS[choice.named])
    return pair, start


def _given(option: str, argv: Sequence[str]) -> bool:
    return any(a == option or a.startswith(f"{option}=") for a in argv)
