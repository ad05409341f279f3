"""Train a method, and bring it back: ``fit`` and ``load_trained``."""

from tpsnet.training.artefact import MODEL, fingerprint, load_trained
from tpsnet.training.checkpoint import check_same_run
from tpsnet.training.loop import FitConfig, fit
from tpsnet.training.runlog import CHECKPOINT, flat, read_log

__all__ = [
    "CHECKPOINT",
    "MODEL",
    "FitConfig",
    "check_same_run",
    "fingerprint",
    "fit",
    "flat",
    "load_trained",
    "read_log",
]
