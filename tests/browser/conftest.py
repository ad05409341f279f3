"""A real JupyterLab in a real headless Chromium: the only place where a dead widget can be seen."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A JupyterLab on a free local port: its folder, and an address with ``{}`` for a file's name.

    Its settings and its store of trusted notebooks are new and empty, so every file is untrusted.
    """
    folder, home = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    folders += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(home / name.lower()) for name in folders}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}", "--port-retries=0"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    # Else a question about news covers a corner of the page.
    news = home / "jupyterlab_settings_dir/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, home / "log")
        yield folder, f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page of the system's Chromium. Without one the tests are skipped, where CI asks for it they fail."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None and os.environ.get("TPSNET_BROWSER") != "required":
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        page = browser.new_page(viewport={"width": 1500, "height": 1100})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=20_000)  # two cores, shared with the kernel
        yield page
        browser.close()


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
        page.goto(address.format(name))
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)
        return page

    return show


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text()[-2000:]
            time.sleep(0.25)
    pytest.fail(f"JupyterLab does not answer: {log.read_text()[-2000:]}")
