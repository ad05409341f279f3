"""Fixtures shared by every room: seeded randomness, unit rows in float64, the executed notebooks."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from filelock import FileLock
from loky import cpu_count
from open_clip.model import CLIP
from pictures import write_tree
from safetensors.torch import save_file
from torch import Tensor

from tpsnet.cli.notebooks import run_notebook

# Processes of tests beside one another share the cores, and so do the kernels that they start.
if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    threads = max(1, cpu_count() // processes)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first; what needs the notebooks that it executes last."""
    places = {"test_notebooks_executed.py": 0, "test_reopened.py": 2}
    items.sort(key=lambda item: places.get(item.path.name, 1))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own for each session of tests, also for the kernels they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPSNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked, as outside the tests: what is wrong reaches the code itself."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def unit(rng: torch.Generator) -> Callable[[int, int], Tensor]:
    """``unit(n, d)``: n random unit rows of d numbers, float64."""

    def rows(n: int, d: int) -> Tensor:
        x = torch.randn(n, d, generator=rng, dtype=torch.float64)
        return x / x.norm(dim=1, keepdim=True)

    return rows


@pytest.fixture
def circle() -> Callable[..., Tensor]:
    """``circle(0, 90)``: unit vectors in the plane at these degrees."""

    def rows(*degrees: float) -> Tensor:
        radians = torch.tensor(degrees, dtype=torch.float64).deg2rad()
        return torch.stack([radians.cos(), radians.sin()], dim=1)

    return rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three domains of three classes, five pictures each."""
    classes = ("ant", "bee", "cat")
    return write_tree(tmp_path / "pictures", {"flat": classes, "line": classes, "solid": classes})


TINY_TOWERS = {
    "vit": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "pooled": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
    | {"attentional_pool": True, "attn_pooler_queries": 4, "attn_pooler_heads": 2},
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
    "timm": {
        "image_size": 32,
        "timm_model_name": "test_resnet",
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
    },
}


def write_clip(folder: Path, tower: str) -> str:
    """A small CLIP with random weights in open_clip's folder format; returns its local-dir: address."""
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    model = {"embed_dim": 24, "vision_cfg": TINY_TOWERS[tower], "text_cfg": text}
    preprocess = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], "resize_mode": "shortest"}
    folder.mkdir(parents=True)
    config = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = CLIP(**model)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


@pytest.fixture(scope="session", params=["vit", "pooled", "resnet", "timm"])
def any_clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a random CLIP, one for each kind of image tower."""
    return write_clip(tmp_path_factory.mktemp("clips") / request.param, request.param)


@pytest.fixture(scope="session")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Address of a random ViT CLIP."""
    return write_clip(tmp_path_factory.mktemp("clip") / "vit", "vit")


@pytest.fixture(scope="session")
def executed_notebooks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every notebook of the repository executed once, in order, with its defaults; by its name.

    Copies run in ``<folder>/notebooks``, so that what they write to ``../runs`` stays in the folder. Of
    several processes the first executes them, and the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if processes == 1 else base.parent) / "executed"
    sources = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
    outputs = {source.stem: folder / "executed" / source.name for source in sources}
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(sources[0].parent, folder / "notebooks")
            for number, name in enumerate(outputs, 1):
                copy = folder / "notebooks" / f"{name}.ipynb"
                run_notebook(copy, outputs[name], label=f"[{number}/{len(outputs)}]")
            (folder / "complete").touch()
    return outputs
