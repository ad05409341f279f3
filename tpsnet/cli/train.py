"""``tpsnet train``: options are built from the dataclasses of the method, the protocol and the loop."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Generic, Literal

import tyro

from tpsnet.errors import InputError
from tpsnet.experiments import PROTOCOLS, Experiment, Source
from tpsnet.experiments.experiment import CONFIG, ConfigT, ProtocolT
from tpsnet.experiments.protocols import Closed
from tpsnet.methods import METHODS, TPSNetConfig
from tpsnet.presets import NAMES, load_preset
from tpsnet.report import shortfalls
from tpsnet.training import FitConfig

Flat = tyro.conf.OmitArgPrefixes


@dataclass(frozen=True)
class Choice:
    """What decides which options there are."""

    method: Literal[tuple(METHODS)] | None = None
    """The method; TPSNet by default. CLAIR is told the names of the classes, TPSNet their number."""
    named: Annotated[Literal[tuple(PROTOCOLS)] | None, tyro.conf.arg(name="protocol")] = None
    """What training may see and what is scored how; closed by default."""
    preset: Literal[NAMES] | None = None
    """The experiment to start from; every other option departs from it."""
    start: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """config.json of an earlier run to start from."""
    resume: bool = False
    """Go on from the run folder's checkpoint, with its own config: the result is that of an unbroken run."""


@dataclass(frozen=True)
class Train(Generic[ConfigT, ProtocolT]):
    """Train on two domains. The run folder holds the experiment, the trained method, embeddings and scores.

    With --from, --preset or --resume the domains may be left out.
    """

    places: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[FIRST SECOND] RUN")] = ()
    """Two domains and the run folder."""
    choice: Flat[Choice] = field(default_factory=Choice)
    pair: tyro.conf.Suppress[tuple[str, str] | None] = None
    seed: int = 0
    """Seed of label spaces, clusters, weights, batches and augmentation."""
    source: Flat[Source] = field(default_factory=Source)
    protocol: Flat[ProtocolT] = field(default_factory=Closed)
    config: Flat[ConfigT] = field(default_factory=TPSNetConfig)
    fit: Flat[FitConfig] = field(default_factory=FitConfig)

    def __call__(self) -> None:
        """Train, embed and score."""
        pair = self.places[:-1] or self.pair
        if not self.places or pair is None or len(pair) != 2:
            raise InputError("train takes FIRST SECOND RUN; RUN alone with --from, --preset or --resume")
        parts = {"config": self.config, "protocol": self.protocol, "fit": self.fit, "source": self.source}
        _, rows = Experiment(pair, seed=self.seed, **parts).run(
            Path(self.places[-1]), resume=self.choice.resume
        )
        for row in rows:
            for d in row["directions"]:
                kind = "" if d["kind"] == "all" else f" ({d['kind']})"
                for ranking, metrics in {"": d["metrics"], **d["reranked"]}.items():
                    shown = [f"{name} {value:.1f}" for name, value in metrics.items() if value is not None]
                    name = f"{row['name']}, re-ranked by {ranking}" if ranking else row["name"]
                    print(f"{d['query']} → {d['gallery']}{kind}  {name:52s} {', '.join(shown)}")
        for line in shortfalls(rows):
            print(f"note: {line}", file=sys.stderr)


TrainTPSNet = Train[TPSNetConfig, Closed]  # what ``tpsnet --help`` shows


def parse_train(argv: Sequence[str]) -> Train:
    """Parse in two steps: what decides which options there are, then the options of that experiment."""
    known = [a for a in argv if a not in ("-h", "--help")]
    choice, rest = tyro.cli(Choice, prog="tpsnet train", args=known, return_unknown_args=True)
    pair, start = _start(choice, rest)
    default = Train((), choice, pair, start.seed, start.source, start.protocol, start.config, start.fit)
    kind = Train[type(start.config), type(start.protocol)]
    return tyro.cli(kind, prog="tpsnet train", args=argv, default=default)


def _start(choice: Choice, rest: Sequence[str]) -> tuple[tuple[str, str] | None, Experiment]:
    """The experiment whose values are the defaults, and its pair if it has one of its own."""
    if choice.start and choice.preset:
        raise InputError("--from and --preset both name an experiment to start from; give one")
    resumed = [file for a in rest if choice.resume and (file := Path(a) / CONFIG).is_file()]
    if choice.preset:
        start = load_preset(choice.preset)
    elif choice.start or resumed:
        start = Experiment.load(choice.start or resumed[0])
    else:
        start = Experiment()
    pair = start.pair if choice.preset or choice.start or resumed else None
    if choice.method and choice.method != start.method:
        start = dataclasses.replace(start, config=METHODS[choice.method].config())
    if choice.named and choice.named != start.protocol.name:
        start = dataclasses.replace(start, protocol=PROTOCOLS[choice.named])
    return pair, start
