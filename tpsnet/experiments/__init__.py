"""Experiments: a method on a pair under a protocol, as a run, a file, a table row, and in use afterwards."""

from tpsnet.experiments.experiment import Experiment
from tpsnet.experiments.indexing import index
from tpsnet.experiments.launch import train_detached
from tpsnet.experiments.preset import Preset, Sweep
from tpsnet.experiments.protocols import PROTOCOLS, Closed, Protocol, Universal, ZeroShot
from tpsnet.experiments.run import Run, make, run
from tpsnet.experiments.search import embed_folder, embedder, search
from tpsnet.experiments.source import Source
from tpsnet.experiments.table import Table, all_pairs, chain, fill, variants
from tpsnet.experiments.variants import (
    BASELINES,
    ORACLE,
    PRINTED,
    TRAINED,
    UNIVERSAL,
    VARIANTS,
    ZERO_SHOT,
    Variant,
)

__all__ = [
    "BASELINES",
    "ORACLE",
    "PRINTED",
    "PROTOCOLS",
    "TRAINED",
    "UNIVERSAL",
    "VARIANTS",
    "ZERO_SHOT",
    "Closed",
    "Experiment",
    "Preset",
    "Protocol",
    "Run",
    "Source",
    "Sweep",
    "Table",
    "Universal",
    "Variant",
    "ZeroShot",
    "all_pairs",
    "chain",
    "embed_folder",
    "embedder",
    "fill",
    "index",
    "make",
    "run",
    "search",
    "train_detached",
    "variants",
]
