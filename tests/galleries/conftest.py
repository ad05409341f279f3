"""Galleries of every engine over the same vectors: the frozen embeddings of the embedded images."""

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tpsnet.galleries import Gallery, Record, open_gallery

MODEL = "Frozen of line and flat (00000000)"
ENGINES = {
    "memory": "memory",
    "faiss": "faiss:{folder}/gallery.faiss",
    "faiss-all-lists": "faiss:{folder}/gallery.faiss?index=ivf&lists=8&probes=8",
    "faiss-ivf": "faiss:{folder}/gallery.faiss?index=ivf&lists=8&probes=4",
    "milvus-lite": "milvus:{lite}?collection={name}",
    "milvus-server": "{server}?collection={name}",
    "milvus-hnsw": "milvus:{lite}?collection={name}&index=hnsw",
}
EXACT = ("memory", "faiss", "faiss-all-lists", "milvus-lite", "milvus-server")


@contextmanager
def milvus_server(folder: Path) -> Iterator[str]:
    """A server that speaks Milvus's protocol on a free port of this machine."""
    from milvus_lite.adapter.grpc.server import start_server_in_thread

    server, base, port = start_server_in_thread(str(folder))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(grace=0).wait()
        base.close()


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Where Milvus Lite and the server are; each test has collections of its own."""
    folder = tmp_path_factory.mktemp("milvus")
    with milvus_server(folder / "server") as address, open_gallery(f"milvus:{folder}/lite.db"):  # kept open
        yield {"lite": folder / "lite.db", "server": address}


@pytest.fixture
def address(places, tmp_path: Path) -> Callable[[str], str]:
    """``address(engine)``: a place for a gallery of that engine, the same one each time in a test."""
    name = f"c{zlib.crc32(str(tmp_path).encode())}"
    return lambda engine: ENGINES[engine].format(folder=tmp_path, name=name, **places)


def parts(rows: Tensor, records: list[Record], at_once: int = 64) -> Iterator[tuple[Tensor, list[Record]]]:
    """Rows and records as a stream."""
    for start in range(0, len(rows), at_once):
        yield rows[start : start + at_once], records[start : start + at_once]


@pytest.fixture(scope="session")
def embedded() -> tuple[Tensor, Tensor, list[Record]]:
    """Queries, vectors and records: embedded line and flat images under the embedded CLIP, frozen."""
    from tpsnet.backbone import embed_all, load_backbone
    from tpsnet.data import embedded_root, image_folder, load_images

    backbone = load_backbone()
    vectors, records = {}, []
    for name, domain in image_folder(embedded_root(), ("line", "flat")).items():
        half = domain.subset(range(0, len(domain), 2))
        kept, images = load_images(half, backbone.resize)
        with torch.no_grad():
            vectors[name] = embed_all(backbone.encode_image, images)
        classes = (kept.class_names[label] for label in kept.labels.tolist())
        records += [Record(name, c, str(path)) for c, path in zip(classes, kept.paths, strict=True)]
    return vectors["line"][::8], torch.cat(list(vectors.values())), records


@pytest.fixture
def filled(address, embedded) -> Iterator[Callable[[str], Gallery]]:
    """``filled(engine)``: a gallery of the embedded images, opened anew after it was filled."""
    opened = []

    def fill(engine: str) -> Gallery:
        gallery = open_gallery(address(engine))
        opened.append(gallery)
        assert gallery.add(parts(*embedded[1:]), MODEL) == len(embedded[1])
        if engine != "memory":
            gallery.close()
            opened.append(gallery := open_gallery(address(engine)))
        return gallery

    yield fill
    for gallery in opened:
        gallery.close()
