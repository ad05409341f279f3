"""The start-up check: broken installations are named in one line before anything long begins.

Two of them are common, install without a complaint, and fail later far from their cause: both faiss
packages at once (they own the same import name), and a torchvision next to a torch it was not built for.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tpsnet.errors import InputError

FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu11", "faiss-gpu-cu12")
MEND_PAIR = "install the tested pair: pip install --force-reinstall -c constraints.txt torch torchvision"


def faiss_clash(installed: Mapping[str, str]) -> str | None:
    """Name two faiss packages in one environment.

    Args:
        installed: Version of each distribution, by its canonical name.

    Returns:
        One line with the way to mend it, or ``None``.
    """
    found = [name for name in FAISS if name in installed]
    if len(found) < 2:
        return None
    return (
        f"{' and '.join(found)} are both installed and overwrite each other; "
        f"pip uninstall {' '.join(found)}, then install one of them"
    )


def pair_mismatch(installed: Mapping[str, str], wanted: str | None) -> str | None:
    """Name a torch that torchvision does not accept, or a missing half of the pair.

    Args:
        installed: Version of each distribution, by its canonical name.
        wanted: Versions of torch that torchvision accepts, e.g. ``">=2.14.0"``; ``None`` stands for any.

    Returns:
        One line with the way to mend it, or ``None``.
    """
    for half in ("torch", "torchvision"):
        if half not in installed:
            return f"{half} is not installed; {MEND_PAIR}"
    torch = installed["torch"]
    if wanted is None or Requirement(f"torch{wanted}").specifier.contains(torch, prereleases=True):
        return None
    return f"torchvision {installed['torchvision']} asks for torch{wanted}, found torch {torch}; {MEND_PAIR}"


def check_installation() -> None:
    """Raise ``InputError`` in front of an installation that cannot work.

    The last step imports torchvision: a wheel for another build of torch (a CPU-only torch from another
    index, say) may agree in its version and yet not load.
    """
    installed = {canonicalize_name(d.name): d.version for d in distributions()}
    problem = faiss_clash(installed) or pair_mismatch(installed, _torch_wanted_by_torchvision())
    if problem:
        raise InputError(problem)
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        versions = f"torchvision {installed['torchvision']} does not load with torch {installed['torch']}"
        raise InputError(f"{versions} ({reason}); {MEND_PAIR}") from None


def _torch_wanted_by_torchvision() -> str | None:
    """The version range of torch in torchvision's own metadata, ``None`` when it names none."""
    try:
        requirements = [Requirement(line) for line in requires("torchvision") or ()]
    except PackageNotFoundError:
        return None
    return next((str(r.specifier) for r in requirements if r.name == "torch"), None)
