"""A JupyterLab of its own and a headless Chromium, for the tests of what is clicked and for its benchmark."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator, Page, expect, sync_playwright

FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
FOLDERS += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")


@contextmanager
def jupyterlab(folder: Path, home: Path, base: str = "/", theme: str = "JupyterLab Light") -> Iterator[str]:
    """A JupyterLab on a free local port, as long as the context lasts.

    Its settings and its store of trusted notebooks are new and empty, so every file is untrusted.

    Args:
        folder: The folder that it shows.
        home: An empty folder for its settings and its log.
        base: Where its addresses begin, as behind a hub's proxy.
        theme: The theme of its pages.

    Yields:
        An address with ``{}`` for the name of a notebook.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {name: str(home / name.lower()) for name in FOLDERS}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}", "--port-retries=0"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += [f"--ServerApp.base_url={base}"]
    settings = home / "jupyterlab_settings_dir/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    # Else a question about news covers a corner of the page.
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    (settings / "themes.jupyterlab-settings").write_text(f'{{"theme": "{theme}"}}')
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}{base}api?token={token}", server, home / "log")
        yield f"http://127.0.0.1:{port}{base}lab/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(20)


def chromium_file() -> str | None:
    """The system's Chromium, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium(flags: Sequence[str] = (), width: int = 1500, height: int = 1100) -> Iterator[Page]:
    """A page of the system's Chromium, without a screen and without a GPU."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *flags]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_file(), args=flags)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=20_000)  # two cores, shared with the kernel
        yield page
        browser.close()


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells, not executed."""
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    book = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel})
    nbformat.write(book, path)


def open_notebook(page: Page, address: str) -> None:
    """Open a notebook and wait until its kernel is ready."""
    page.goto(address)
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=60_000)


def run_cell(page: Page, number: int) -> Locator:
    """Run one code cell of the open notebook, and wait until it is done."""
    cell = page.locator(".jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=60_000)
    return cell


def _wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.25)
    raise RuntimeError(f"JupyterLab does not answer: {log.read_text()[-2000:]}")
