"""An experiment as a value and as a file: everything that a run depends on, ready to be run again."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from tpsnet.errors import InputError
from tpsnet.experiments.protocols import PROTOCOLS, Closed, Protocol
from tpsnet.experiments.run import Run, run
from tpsnet.experiments.source import Source
from tpsnet.experiments.variants import BASELINES, Variant
from tpsnet.io import read_json, validated, write_json
from tpsnet.methods import METHODS, TPSNetConfig
from tpsnet.training import CHECKPOINT, MODEL, FitConfig

CONFIG = "config.json"
SCORES = "scores.json"
FORMAT = 1
ConfigT = TypeVar("ConfigT")
ProtocolT = TypeVar("ProtocolT", bound=Protocol)


@dataclass(frozen=True)
class Experiment(Generic[ConfigT, ProtocolT]):
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
    seed: int = 0

    @property
    def method(self) -> str:
        """The method's key in ``METHODS``."""
        return next(name for name, entry in METHODS.items() if isinstance(self.config, entry.config))

    def run(self, folder: Path, *, resume: bool = False) -> tuple[Run, list[dict]]:
        """Train, embed, and score beside the baselines; everything stays in the run folder.

        Writes ``config.json`` (the resolved experiment), ``log.jsonl``, TensorBoard events and a checkpoint
        while it trains, then ``model.safetensors``, ``embeddings/`` of baselines and method, ``scores.json``.

        Args:
            folder: The run folder.
            resume: Whether to go on from its checkpoint.

        Returns:
            The run of the method, and the rows of baselines and method.

        Raises:
            InputError: what ``run`` refuses.
        """
        protocol = self.source.resolve(self.protocol)
        backbone = self.source.backbone()
        pair = self.source.pair(self.pair, protocol, backbone.image_size)
        where = {"backbone": backbone, "loop": self.fit, "keep": folder / "embeddings"}
        own = Variant(self.method, self.method, self.config)
        protocol.arrange(pair, self.seed)  # what cannot be scored ends here, before anything is written
        if not any((folder / file).exists() for file in (CHECKPOINT, MODEL)):  # else ``fit`` compares
            dataclasses.replace(self, protocol=protocol).save(folder / CONFIG)
        done = run(own, pair, protocol, self.seed, folder, resume=resume, **where)
        baselines = [run(v, pair, protocol, self.seed, **where).row for v in BASELINES.values()]
        rows = [*baselines, done.row]
        write_json(folder / SCORES, {"rows": rows})
        return done, rows

    def save(self, path: Path) -> None:
        """Write the experiment as JSON."""
        values = dataclasses.asdict(self)
        values |= {"format": FORMAT, "method": self.method}
        values["protocol"] |= {"name": self.protocol.name}
        write_json(path, TypeAdapter(Any).dump_python(values, mode="json"))

    @classmethod
    def load(cls, path: Path) -> "Experiment":
        """Read what ``save`` wrote, or a hand-written part of it: what is left out takes its default.

        Raises:
            InputError: the file is missing, damaged, of another version, or names something unknown.
        """
        values = read_json(path)
        if values.pop("format", FORMAT) != FORMAT:
            raise InputError(f"{path} was written by another version of tpsnet; update tpsnet")
        method, protocol = values.pop("method", "TPSNet"), dict(values.pop("protocol", {}))
        name = protocol.pop("name", "closed")
        for kind, asked, known in (("method", method, METHODS), ("protocol", name, PROTOCOLS)):
            if asked not in known:
                raise InputError(f"{path}: no {kind} {asked!r}; choose from {', '.join(known)}")
        parts = {
            "pair": tuple[str, str],
            "config": METHODS[method].config,
            "fit": FitConfig,
            "source": Source,
            "seed": int,
        }
        given = {"config": {}, **values}
        unknown = set(given) - set(parts)
        if unknown:
            raise InputError(f"{path}: no field {min(unknown)!r}; there are {', '.join(parts)}")
        found = {key: validated(parts[key], value, path, key) for key, value in given.items()}
        kind = type(PROTOCOLS[name])
        named = {"spaces": name} if "spaces" in kind.__dataclass_fields__ else {}
        return cls(protocol=validated(kind, protocol | named, path, "protocol"), **found)
