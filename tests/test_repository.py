"""What the repository says of its environment, said once: pyproject, constraints, conda and README agree."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def requirements(lines):
    return [Requirement(line) for line in lines]


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return requirements(line for line in lines if line.strip() and not line.startswith("#"))


def pin(name: str) -> Version:
    (found,) = (p for p in pins() if canonicalize_name(p.name) == canonicalize_name(name))
    (specifier,) = found.specifier
    return Version(specifier.version)


def test_constraints_are_exact_and_name_each_package_once():
    for requirement in pins():
        (specifier,) = requirement.specifier
        assert specifier.operator == "==" and "*" not in specifier.version, requirement
        assert not requirement.url
    names = [canonicalize_name(p.name) for p in pins()]
    assert sorted(set(names)) == sorted(names)


DIRECT = requirements([*PROJECT["dependencies"], *chain(*EXTRAS.values())])


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement):
    assert requirement.specifier.contains(pin(requirement.name))


def imported(folder: str) -> dict[str, Path]:
    """Every top-level module that a folder's files import, with one file that does."""
    modules = {}
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules[node.module.split(".")[0]] = path
    return modules


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("tpsnet", ["cpu", "milvus-lite", "cluster"]),
        *((f, list(EXTRAS)) for f in ("tools", "tests", "benchmarks")),
    ],
)
def test_what_is_imported_is_declared(folder, extras):
    lines = chain(PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras))
    declared = {canonicalize_name(r.name) for r in requirements(lines)}
    here = {path.stem for path in chain(ROOT.iterdir(), (ROOT / "tests").iterdir())}
    distributions = packages_distributions()
    for module, path in imported(folder).items():
        if module not in sys.stdlib_module_names and module not in here:
            owners = {canonicalize_name(owner) for owner in distributions.get(module, [module])}
            assert owners & declared, f"{path} imports {module}, which pyproject.toml does not declare"


def test_what_the_cuda_wheels_are_pinned_for():
    """Those pins hold for one platform; without a marker they would break the others."""
    for requirement in pins():
        if re.match(r"(nvidia-|cuda-|triton$)", requirement.name):
            assert not requirement.marker.evaluate({"sys_platform": "darwin", "platform_machine": "arm64"})
            assert requirement.marker.evaluate({"sys_platform": "linux", "platform_machine": "x86_64"})
        else:
            assert requirement.marker is None, requirement


def test_torch_and_torchvision_are_pinned_as_the_tested_pair():
    """The pins are what these tests run on, and torchvision's own metadata accepts that torch."""
    assert {"torch", "torchvision"} <= {r.name for r in requirements(PROJECT["dependencies"])}
    for name in ("torch", "torchvision"):
        assert Version(Version(version(name)).public) == pin(name)
    wanted = [r for r in requirements(requires("torchvision")) if r.name == "torch"]
    assert wanted and all(r.specifier.contains(pin("torch")) for r in wanted)


def test_the_faiss_packages_never_meet():
    assert [r.name for r in requirements(EXTRAS["cpu"])] == ["faiss-cpu"]
    assert [r.name for r in requirements(EXTRAS["gpu"])] == ["faiss-gpu"]
    others = requirements([*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["assets"]])
    assert not [r for r in others if "faiss" in r.name]
    assert pin("faiss-cpu") == pin("faiss-gpu")


def test_the_conda_environment_is_this_package_with_faiss_gpu():
    conda = [line for line in CONDA["dependencies"] if isinstance(line, str)]
    (pip,) = (line["pip"] for line in CONDA["dependencies"] if isinstance(line, dict))
    assert "faiss-gpu" in conda and "pip" in conda and "faiss-cpu" not in conda
    assert "-c constraints.txt" in pip
    (package,) = (line for line in pip if line.startswith("-e ."))
    extras = set(re.search(r"\[(.*)\]", package).group(1).split(","))
    assert extras <= set(EXTRAS) and "cpu" not in extras
    assert CONDA["name"] == PROJECT["name"]


def test_the_python_versions_agree():
    (conda,) = (line for line in CONDA["dependencies"] if str(line).startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(conda.removeprefix("python="))
    floor = PROJECT["requires-python"].removeprefix(">=")
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["target-version"]
    assert ruff == "py" + floor.replace(".", "")
    assert f"({floor.replace('.', ', ')})" in (ROOT / "Makefile").read_text()


def test_an_empty_python_is_the_usual_one(tmp_path):
    """Else the lines begin with "-c", and make ignores that they fail."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(["make", "-n", "PYTHON=", "test"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "python3 -m venv .venv" in done.stdout


def test_make_names_no_package_index():
    for name in ("Makefile", ".ci/run", "constraints.txt", "environment.yml"):
        assert not re.search(r"https?://|index-url|find-links", (ROOT / name).read_text()), name


def test_the_front_door_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
