"""Presets: a data set with weights, protocols and rows as a file. Copy one to write your own.

Every file ``NAME.py`` here defines ``PRESET``; ``tpsnet train --preset NAME`` starts from it, and ``tpsnet
reproduce NAME`` fills its rows beside the published figures. The table of ``docs/presets.md`` is what
``python -m tpsnet.presets`` prints.
"""

import difflib
import importlib
import pkgutil

from tpsnet.errors import InputError
from tpsnet.experiments import Preset

DEFAULT = "emoji"
NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "__main__"))


def preset_name(name: str) -> str:
    """The file of a preset: dashes and underscores, capitals and small letters are the same.

    Raises:
        InputError: there is no such preset; names the nearest.
    """
    found = name.strip().casefold().replace("-", "_")
    if found not in NAMES:
        near = difflib.get_close_matches(found, NAMES, n=1, cutoff=0.0)[0]
        raise InputError(f"no preset {name!r}; did you mean {near!r}? (there are {', '.join(NAMES)})")
    return found


def load_preset(name: str) -> Preset:
    """The preset of a name, see ``preset_name``.

    Raises:
        InputError: there is no such preset.
    """
    return importlib.import_module(f"tpsnet.presets.{preset_name(name)}").PRESET
