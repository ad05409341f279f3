"""A real JupyterLab in a real headless Chromium: the only place where a dead widget can be seen."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tools.jupyter import chromium, chromium_file, jupyterlab, open_notebook


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A JupyterLab: its folder, and an address with ``{}`` for a file's name."""
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder, tmp_path_factory.mktemp("home")) as address:
        yield folder, address


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of the system's Chromium. Without one the tests are skipped, where CI asks for it they fail."""
    if chromium_file() is None and os.environ.get("TPSNET_BROWSER") != "required":
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with chromium() as page:
        yield page


@pytest.fixture
def reopen(lab: tuple[Path, str], page: Page) -> Callable[[Path], Page]:
    """``reopen(path)``: a new copy of an executed notebook, open in JupyterLab, its kernel ready.

    The copy lies in ``notebooks/``, and what the notebooks have written to ``../runs`` is there too.
    """
    folder, address = lab

    def show(path: Path) -> Page:
        (folder / "notebooks").mkdir(exist_ok=True)
        runs = path.parents[1] / "runs"
        if runs.exists() and not (folder / "runs").exists():
            (folder / "runs").symlink_to(runs)
        name = f"notebooks/{len(list((folder / 'notebooks').iterdir()))}_{path.name}"
        shutil.copy(path, folder / name)
        open_notebook(page, address.format(name))
        return page

    return show
