"""The start-up check names the clash and the mismatch, and is silent about a sound installation."""

import importlib
from types import SimpleNamespace

import pytest

from tpsnet.cli import startup
from tpsnet.cli.startup import check_installation, faiss_clash, pair_mismatch
from tpsnet.errors import InputError

SOUND = {"torch": "2.15.0", "torchvision": "0.29.2", "faiss-cpu": "1.15.1"}


def test_this_installation_is_sound():
    check_installation()


@pytest.mark.parametrize("second", ["faiss-gpu", "faiss-gpu-cu12"])
def test_two_faiss_packages_are_named(second):
    line = faiss_clash(SOUND | {second: "1.15.1"})
    assert "faiss-cpu" in line and second in line and "pip uninstall" in line and "\n" not in line


@pytest.mark.parametrize("installed", [{}, {"faiss-cpu": "1"}, {"faiss-gpu": "1"}])
def test_one_faiss_or_none_is_fine(installed):
    assert faiss_clash(installed) is None


@pytest.mark.parametrize(
    ("torch", "wanted", "fine"),
    [
        ("2.15.0", ">=2.14.0", True),
        ("2.15.0+cu132", "==2.15.0", True),
        ("2.16.0.dev20260101", ">=2.14.0", True),
        ("2.15.0", None, True),
        ("2.13.1", ">=2.14.0", False),
        ("2.15.1", "==2.15.0", False),
    ],
)
def test_the_pair(torch, wanted, fine):
    line = pair_mismatch(SOUND | {"torch": torch}, wanted)
    assert (line is None) == fine
    if not fine:
        assert torch in line and wanted in line and "0.29.2" in line and "pip install" in line


@pytest.mark.parametrize("half", ["torch", "torchvision"])
def test_a_missing_half_is_named(half):
    installed = {name: version for name, version in SOUND.items() if name != half}
    assert pair_mismatch(installed, None).startswith(f"{half} is not installed")


def test_the_check_looks_at_the_environment(monkeypatch):
    """Both rules reach the user as an ``InputError``, through the metadata of the environment."""
    monkeypatch.setattr(startup, "requires", lambda name: ["numpy", "torch (==1.0.0)", "pillow>=5"])
    with pytest.raises(InputError, match=r"asks for torch==1\.0\.0, found torch 2"):
        check_installation()

    both = [SimpleNamespace(name=f"faiss_{kind}", version="1.15.1") for kind in ("cpu", "gpu")]
    real = list(startup.distributions())
    monkeypatch.setattr(startup, "distributions", lambda: [*real, *both])
    with pytest.raises(InputError, match="faiss-cpu and faiss-gpu are both installed"):
        check_installation()


def test_a_torchvision_that_does_not_load_is_one_line(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist\nmore\nlines")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(InputError, match="nms does not exist") as caught:
        check_installation()
    assert "\n" not in str(caught.value) and "pip install" in str(caught.value)
