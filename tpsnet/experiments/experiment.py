"""An experiment as a value and as a file: everything that a run depends on, ready to be run again."""

import dataclasses
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from tpsnet import distributed
from tpsnet.backbone import TowerConfig, running
from tpsnet.errors import InputError
from tpsnet.experiments.protocols import PROTOCOLS, Closed, Protocol
from tpsnet.experiments.run import Run, make, run
from tpsnet.experiments.source import Source
from tpsnet.experiments.variants import BASELINES, Variant
from tpsnet.io import read_json, validated, write_json
from tpsnet.methods import METHODS, TPSNetConfig
from tpsnet.paths import claimed
from tpsnet.settings import Seed, Settings
from tpsnet.training import CHECKPOINT, MODEL, FitConfig, check_same_run, flat

CONFIG = "config.json"
SCORES = "scores.json"
FORMAT = 1
ConfigT = TypeVar("ConfigT")
ProtocolT = TypeVar("ProtocolT", bound=Protocol)


@dataclass(frozen=True)
class Experiment(Settings, Generic[ConfigT, ProtocolT]):
    """A method on a pair of domains under a protocol.

    Attributes:
        pair: Names of the two domains.
        config: The method's config; its type names the method.
        protocol: What training may see, and what is scored how.
        fit: How the loop trains.
        source: Images and backbone.
        seed: Seed of label spaces, clusters, weights, batches and augmentation.
    """

    pair: tuple[str, str] = ("line", "rendered")
    config: ConfigT = field(default_factory=TPSNetConfig)
    protocol: ProtocolT = field(default_factory=Closed)
    fit: FitConfig = field(default_factory=FitConfig)
    source: Source = field(default_factory=Source)
    seed: Seed = 0

    @property
    def method(self) -> str:
        """The method's key in ``METHODS``."""
        return next(name for name, entry in METHODS.items() if isinstance(self.config, entry.config))

    def run(self, folder: Path, *, resume: bool = False) -> tuple[Run, list[dict]]:
        """Train, embed, and score beside the baselines; everything stays in the run folder.

        Writes ``config.json`` (the resolved experiment), ``log.jsonl``, TensorBoard events and a checkpoint
        while it trains, then ``model.safetensors``, ``embeddings/`` of baselines and method, ``scores.json``.
        Of several processes that train together (``distributed.joined``) the first writes.

        Args:
            folder: The run folder.
            resume: Whether to go on from its checkpoint.

        Returns:
            The run of the method, and the rows of baselines and method.

        Raises:
            InputError: what ``run`` refuses; another process trains there; it is another experiment's folder.
        """
        protocol = self.source.resolve(self.protocol)
        with distributed.first_ahead():  # it fills caches, which the others read
            backbone = self.source.backbone()
            pair = self.source.pair(self.pair, protocol, backbone.resize)
        where = {"backbone": backbone, "loop": self.fit, "keep": folder / "embeddings"}
        own = Variant(self.method, self.method, self.config)
        # What does not fit ends here, before anything is written.
        with running(make(own, protocol.arrange(pair, self.seed).train, self.seed, backbone), self.fit.tower):
            pass
        first = distributed.is_first()
        with claimed(folder) if first else nullcontext():
            resolved = dataclasses.replace(self, protocol=protocol, pair=pair.names)
            begun = any((folder / file).exists() for file in (CHECKPOINT, MODEL))
            if begun and first:
                resolved._check_owner(folder / CONFIG, resume)
            elif first:
                resolved.save(folder / CONFIG)
            done = run(own, pair, protocol, self.seed, folder, resume=resume, **where)
            if begun and first:  # the images may have moved, or the file was lost
                resolved.save(folder / CONFIG)
            baselines = [run(v, pair, protocol, self.seed, **where).row for v in BASELINES.values()]
            rows = [*baselines, done.row]
            if first:
                write_json(folder / SCORES, {"rows": rows})
        return done, rows

    def _check_owner(self, file: Path, resume: bool) -> None:
        """Refuse to go on in the folder of another experiment."""
        if resume and file.is_file():
            ours, theirs = self._facts(), Experiment.load(file)._facts()
            gone = {name for name in ours if name.startswith("lists.") and name not in theirs}  # or moved
            check_same_run(file, theirs, {name: ours[name] for name in ours if name not in gone})

    def _facts(self) -> dict[str, object]:
        """What scores depend on; where images, lists and backbone lie and what runs them may change."""
        protocol = dataclasses.replace(self.protocol, lists=None, engine="auto")
        fit = dataclasses.replace(self.fit, tower=TowerConfig(self.fit.tower.precision))
        same = dataclasses.replace(self, source=Source(), protocol=protocol, fit=fit)
        lists = self.protocol.fingerprint(self.pair)
        return flat({"method": self.method} | dataclasses.asdict(same) | {"lists": lists})

    def save(self, path: Path) -> None:
        """Write the experiment as JSON."""
        write_json(path, self.values())

    def values(self) -> dict[str, Any]:
        """The experiment as JSON holds it; ``of`` reads it back."""
        values = dataclasses.asdict(self)
        values |= {"format": FORMAT, "method": self.method}
        values["protocol"] |= {"name": self.protocol.name}
        return TypeAdapter(Any).dump_python(values, mode="json")

    @classmethod
    def load(cls, path: Path) -> "Experiment":
        """Read what ``save`` wrote, or a hand-written part of it: what is left out takes its default.

        Raises:
            InputError: the file is missing, damaged, of another version, or names something unknown.
        """
        return cls.of(read_json(path), path)

    @classmethod
    def of(cls, values: dict[str, Any], path: Path) -> "Experiment":
        """Read what ``values`` gave, or a part of it.

        Args:
            values: What JSON holds.
            path: Where it comes from, for the message.

        Raises:
            InputError: it is of another version, or names something unknown.
        """
        values = dict(values)
        if values.pop("format", FORMAT) != FORMAT:
            raise InputError(f"{path} was written by another version of tpsnet; update tpsnet")
        method = validated(str, values.pop("method", "TPSNet"), path, "method")
        protocol = dict(validated(dict[str, Any], values.pop("protocol", {}), path, "protocol"))
        name = validated(str, protocol.pop("name", "closed"), path, "protocol.name")
        for kind, asked, known in (("method", method, METHODS), ("protocol", name, PROTOCOLS)):
            if asked not in known:
                raise InputError(f"{path}: no {kind} {asked!r}; choose from {', '.join(known)}")
        parts = {
            "pair": tuple[str, str],
            "config": METHODS[method].config,
            "fit": FitConfig,
            "source": Source,
            "seed": Seed,
        }
        given = {"config": {}, **values}
        unknown = set(given) - set(parts)
        if unknown:
            raise InputError(f"{path}: no field {min(unknown)!r}; there are {', '.join(parts)}")
        found = {key: validated(parts[key], value, path, key) for key, value in given.items()}
        kind = type(PROTOCOLS[name])
        named = {"spaces": name} if "spaces" in kind.__dataclass_fields__ else {}
        return cls(protocol=validated(kind, protocol | named, path, "protocol"), **found)
