"""From a click to 24 painted tiles, in a real JupyterLab and a headless Chromium; the first display; memory.

Then how long a map of many points takes for a frame while it is moved.

Run ``python -m benchmarks.browser`` on a machine that does nothing else. Galleries: the embedded images'
size, 20,000 and 100,000 images with vectors of 512 numbers, and photographs of 12 megapixels. Each line has
the median of twenty clicks, first with no thumbnail made yet, then again on the same queries. Beside them
stands a plain way: a float32 product with all of the gallery and ``topk``, without images or a page.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import tyro
from PIL import Image
from playwright.sync_api import Page

from tools.jupyter import chromium, jupyterlab, open_notebook, run_cell, write_notebook
from tpsnet.data import embedded_root, image_folder
from tpsnet.types import Embeddings

DIM, CLASSES, QUERIES, PHOTOS = 512, 100, 1600, 120
CELLS = [
    "import os\nfrom pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.browser import RetrievalBrowser\nos.environ['TPSNET_CACHE'] = '{cache}'\n"
    "both = [Embeddings.load(Path('{folder}') / name) for name in ('query', 'gallery')]",
    "RetrievalBrowser({{'m': both}}, k=24)",
    "import re\nprint(int(re.search(r'VmRSS:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]))",
]
MAP = [
    "import torch\nfrom pathlib import Path\nfrom tpsnet.types import Embeddings\n"
    "from tpsnet.viz.hover_map import HoverMap\nboth = [Embeddings.load(Path('{folder}') / 'gallery')]",
    "HoverMap({{'m': (both, torch.randn(len(both[0]), 2))}})",
]
# Drags the map to and fro; how far apart its frames are.
FRAMES = """async (n) => {
  const canvas = document.querySelector(".tps-map canvas"), box = canvas.getBoundingClientRect(), taken = [];
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  const send = (kind, i) => canvas.dispatchEvent(new PointerEvent(kind,
    { bubbles: true, pointerId: 1, buttons: 1, clientX: x + 40 * Math.sin(i), clientY: y }));
  canvas.setPointerCapture = () => {};
  send("pointerdown", 0);
  for (let i = 0, last = 0; i < n; i++) {
    send("pointermove", i);
    const now = await new Promise(requestAnimationFrame);
    if (last) taken.push(now - last);
    last = now;
  }
  send("pointerup", n);
  return taken;
}"""
# Clicks query after query; a click is over when every image of the new grid is there and a frame was drawn.
CLICKS = """async (n) => {
  const root = document.querySelector(".tps-browser"), taken = [];
  const grid = () => root.querySelector(".tps-results");
  for (let i = 0; i < n; i++) {
    const faces = root.querySelectorAll(".tps-query .tps-face"), old = grid(), start = performance.now();
    faces[(i + 1) % faces.length].click();
    await new Promise((done) => {
      const look = () => {
        const images = grid() === old ? [] : [...grid().querySelectorAll("img")];
        const ready = images.length && images.every((image) => image.complete && image.naturalWidth);
        requestAnimationFrame(ready ? () => done() : look);
      };
      look();
    });
    taken.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 100));
  }
  return taken;
}"""


def embeddings(name: str, n: int, files: list[Path], rng: torch.Generator) -> Embeddings:
    """Unit rows scattered around their class's centre; the files repeat where there are too few."""
    centres = torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(n) % CLASSES
    rows = centres[labels] + 2 * torch.randn(n, DIM, generator=rng)
    paths = tuple(files[i % len(files)] for i in range(n))
    return Embeddings(name, rows / rows.norm(dim=1, keepdim=True), labels, tuple(map(str, range(100))), paths)


def photographs(folder: Path) -> list[Path]:
    """JPEG files of 4000 × 3000 px."""
    rng, files = np.random.default_rng(0), []
    for i in range(PHOTOS):
        small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8))
        files.append(folder / f"{i}.jpg")
        small.resize((4000, 3000), Image.Resampling.BICUBIC).save(files[-1], quality=90)
    return files


def plain(both: tuple[Embeddings, Embeddings]) -> float:
    """Median milliseconds of a float32 product and ``topk`` for one query."""
    query, gallery = (part.vectors for part in both)
    taken = []
    for i in range(20):
        start = time.perf_counter()
        (gallery @ query[i]).topk(24)
        taken.append(1000 * (time.perf_counter() - start))
    return float(np.median(taken))


def measure(page: Page, address: str, lab: Path, both: tuple[Embeddings, Embeddings]) -> dict[str, float]:
    """The numbers of one gallery."""
    folder = Path(tempfile.mkdtemp(dir=lab))
    for part, name in zip(both, ("query", "gallery"), strict=True):
        part.save(folder / name)
    name = f"{folder.name}.ipynb"
    write_notebook(lab / name, [cell.format(folder=folder, cache=folder / "cache") for cell in CELLS])
    open_notebook(page, address.format(name))
    run_cell(page, 0)
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").click()
    start = time.perf_counter()
    page.keyboard.press("Shift+Enter")
    page.locator(".tps-result img").first.wait_for()
    first = time.perf_counter() - start
    page.wait_for_timeout(2000)
    cold, warm = (float(np.median(page.evaluate(CLICKS, 20))) for _ in range(2))
    memory = int(run_cell(page, 2).locator(".jp-OutputArea-output").inner_text()) / 1e6
    vectors = sum(part.vectors.nbytes for part in both) / 1e9
    return {
        "first": first,
        "cold": cold,
        "warm": warm,
        "plain": plain(both),
        "gb": memory,
        "vectors": vectors,
    }


def frames(page: Page, address: str, lab: Path, points: Embeddings) -> float:
    """Median milliseconds of a frame while a map of these images is dragged."""
    folder = Path(tempfile.mkdtemp(dir=lab))
    points.save(folder / "gallery")
    name = f"{folder.name}.ipynb"
    write_notebook(lab / name, [cell.format(folder=folder) for cell in MAP])
    open_notebook(page, address.format(name))
    for number in range(len(MAP)):
        run_cell(page, number)
    page.locator(".tps-map canvas").first.scroll_into_view_if_needed()
    page.wait_for_timeout(2000)
    return float(np.median(page.evaluate(FRAMES, 60)))


def main(quick: bool = False) -> None:
    """Print the tables.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    rng = torch.Generator().manual_seed(0)
    domains = image_folder(embedded_root())
    line, rendered = list(domains["line"].paths), list(domains["rendered"].paths)
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as home, chromium() as page:
        files = [] if quick else photographs(Path(place))
        shapes = {f"{n:,} drawings": (QUERIES, n, line, rendered) for n in (1600, 20_000, 100_000)}
        shapes["60 photographs of 12 MP"] = (60, 60, files[:60], files[60:])
        shapes = dict([*shapes.items()][:1]) if quick else shapes
        print(
            "| gallery | first display, s | click, ms | again, ms | product, ms | memory, GB | vectors, GB |"
        )
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        with jupyterlab(Path(place), Path(home)) as address:
            for name, (n, m, ours, theirs) in shapes.items():
                both = embeddings("query", n, ours, rng), embeddings("gallery", m, theirs, rng)
                r = measure(page, address, Path(place), both)
                print(
                    f"| {name} | {r['first']:.2f} | {r['cold']:.0f} | {r['warm']:.0f} | {r['plain']:.1f} "
                    f"| {r['gb']:.2f} | {r['vectors']:.2f} |",
                    flush=True,
                )
            print("\n| points of a moving map | a frame, ms |\n| ---: | ---: |")
            for n in (3200,) if quick else (3200, 20_000, 100_000):
                points = embeddings("gallery", n, line, rng)
                print(f"| {n:,} | {frames(page, address, Path(place), points):.1f} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
