"""Train a method, and bring it back: ``fit`` and ``load_trained``."""

from tpsnet.training.artefact import MODEL, load_trained
from tpsnet.training.loop import FitConfig, fit
from tpsnet.training.runlog import CHECKPOINT

__all__ = ["CHECKPOINT", "MODEL", "FitConfig", "fit", "load_trained"]
