"""Presets: complete experiments as files, one a data set. Copy one to write your own.

Every file ``NAME.py`` here defines ``EXPERIMENT``; ``tpsnet train --preset NAME`` starts from it.
"""

import importlib
import pkgutil

from tpsnet.errors import InputError
from tpsnet.experiments import Experiment

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def load_preset(name: str) -> Experiment:
    """The experiment of a preset.

    Raises:
        InputError: there is no such preset.
    """
    if name not in NAMES:
        raise InputError(f"no preset {name!r}; choose from {', '.join(NAMES)}")
    return importlib.import_module(f"tpsnet.presets.{name}").EXPERIMENT
