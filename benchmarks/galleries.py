"""How galleries grow: build time, query time, memory and recall of each engine, beside a plain ``topk``.

The plain reference is a float32 product of a batch of queries with all vectors in memory, and ``topk``, which
leaves ties in any order. Each gallery is built and searched in a process of its own, from a stream that never
holds all vectors; memory is what the process has at its peak above what it has with the engine opened. Times
are ratios to the reference of the same size in the same run.
"""

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
import torch
import torch.nn.functional as F
import tyro
from PIL import Image
from plotly.subplots import make_subplots
from torch import Tensor

from tpsnet.galleries import Record, open_gallery
from tpsnet.viz.stills import still

SIZES, DIM, QUERIES, K, AT_ONCE, CLASSES, EACH = (10_000,), 128, 100, 10, 5000, 1000, 16
ENGINES = {
    "memory": "memory",
    "faiss flat": "faiss:{folder}/flat.faiss",
    "faiss IVF": "faiss:{folder}/lists.faiss?index=ivf&lists={lists}&probes=16",
    "Milvus Lite flat": "milvus:{folder}/flat.db",
    "Milvus Lite HNSW": "milvus:{folder}/graph.db?index=hnsw",
}
MILVUS_MOST = 100_000  # Milvus Lite takes minutes for more


def vectors(n: int) -> Iterator[Tensor]:
    """Unit rows of a thousand classes, sixteen to a kind within one: the same ones for every engine."""
    classes = torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(2))
    for start in range(0, n, AT_ONCE):
        own = torch.Generator().manual_seed(start)
        kinds = torch.randn(AT_ONCE // EACH + 1, DIM, generator=own)
        kinds += classes[torch.randint(CLASSES, (len(kinds),), generator=own)]
        rows = kinds.repeat_interleave(EACH, dim=0)[:AT_ONCE] + torch.randn(AT_ONCE, DIM, generator=own)
        yield F.normalize(rows, dim=1)[: n - start]


def queries() -> Tensor:
    """Rows beside those of the first part."""
    first = next(vectors(AT_ONCE))[:: AT_ONCE // QUERIES]
    noise = torch.randn(QUERIES, DIM, generator=torch.Generator().manual_seed(1))
    return F.normalize(first + 0.7 * F.normalize(noise, dim=1), dim=1)


def plain(n: int) -> tuple[float, list[list[int]]]:
    """Seconds of the reference for all queries, and the numbers that it finds."""
    gallery, asked = torch.cat(list(vectors(n))), queries()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        found = (asked @ gallery.T).topk(K).indices
        seconds.append(time.perf_counter() - start)
    return min(seconds), found.tolist()


def peak() -> int:
    """Most bytes that this process has had; ``ru_maxrss`` would count what the parent had as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def measure(address: str, n: int) -> dict:
    """Build and search one gallery, in this process."""
    asked = queries()
    with open_gallery(address) as gallery:
        before, start = peak(), time.perf_counter()
        places = ([Record("a", "b", f"/{p}/{i}") for i in range(AT_ONCE)] for p in range(n))
        gallery.add(
            ((rows, some[: len(rows)]) for rows, some in zip(vectors(n), places, strict=False)), "model"
        )
        build = time.perf_counter() - start
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            ids, _ = gallery.search(asked, K)
            seconds.append(time.perf_counter() - start)
    return {"build": build, "query": min(seconds), "memory": peak() - before, "ids": ids.tolist()}


def measured(engine: str, n: int, here: bool) -> dict:
    """``measure`` in a process of its own, whose memory is the gallery's; or in this one."""
    with tempfile.TemporaryDirectory() as folder:
        address = ENGINES[engine].format(folder=folder, lists=round(n**0.5))
        if here:
            return measure(address, n)
        call = [sys.executable, __file__, "--measure", address, str(n)]
        return json.loads(
            subprocess.run(call, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )


def main(sizes: tuple[int, ...] = SIZES, figure: Path | None = None, quick: bool = False) -> None:
    """One line an engine and size.

    Args:
        sizes: Numbers of vectors.
        figure: Also draw the columns into this WebP file.
        quick: Few vectors, to see that it runs.
    """
    print(f"dimension {DIM}, {QUERIES} queries, k = {K}, {torch.get_num_threads()} threads")
    print("| vectors | engine | build / plain | query / plain | memory / vectors' | recall@10 |")
    print("| --- | --- | --: | --: | --: | --: |")
    rows = []
    for n in (1000,) if quick else sizes:
        reference, exact = plain(n)
        for engine in ENGINES:
            if engine.startswith("Milvus") and n > MILVUS_MOST:
                continue
            got = measured(engine, n, here=quick)
            found = [len(set(a) & set(b)) / K for a, b in zip(got["ids"], exact, strict=True)]
            row = (got["build"] / reference, got["query"] / reference, got["memory"] / (4 * n * DIM))
            rows.append((n, engine, *row, sum(found) / len(found)))
            print("| {} | {} | {:.0f} | {:.2f} | {:.2f} | {:.3f} |".format(*rows[-1]), flush=True)
        print(f"| {n} | plain topk, {1000 * reference:.1f} ms | 0 | 1 | 1 | 1 |", flush=True)
    if figure:
        draw(rows, figure)


def draw(rows: list[tuple], figure: Path) -> None:
    """The four columns over the number of vectors, a line an engine."""
    titles = (
        "build, in plain query batches",
        "query, in plain query batches",
        "memory / vectors'",
        "recall@10",
    )
    drawn = make_subplots(1, 4, subplot_titles=titles)
    for engine, colour in zip(ENGINES, ("#000000", "#0072b2", "#56b4e9", "#d55e00", "#e69f00"), strict=True):
        own = [row for row in rows if row[1] == engine]
        for column in range(4):
            line = go.Scatter(
                x=[row[0] for row in own],
                y=[row[2 + column] for row in own],
                name=engine,
                legendgroup=engine,
                showlegend=not column,
                mode="lines+markers",
                line_color=colour,
            )
            drawn.add_trace(line, 1, column + 1)
    drawn.update_xaxes(type="log", title_text="vectors", dtick=1)
    for column in (1, 2):
        drawn.update_yaxes(type="log", col=column)
    drawn.update_yaxes(rangemode="tozero", col=3)
    drawn.update_layout(
        width=1200, height=340, template="plotly_white", legend_orientation="h", legend_y=-0.3
    )
    Image.open(io.BytesIO(still(drawn))).convert("RGB").save(figure, "WEBP", lossless=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        tyro.cli(main)
