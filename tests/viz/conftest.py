"""Small domains on disk: every image's colour says its class, every vector its class and noise."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tpsnet.types import Embeddings
from tpsnet.viz.browser import RetrievalBrowser

CLASSES = ("apple", "boat", "cat", "drum")


@pytest.fixture
def domain(tmp_path: Path, rng: torch.Generator) -> Callable[..., Embeddings]:
    """``domain(name, n, noise)``: n images of four classes, as files and as noisy unit rows."""

    def make(name: str, n: int = 20, noise: float = 0.8) -> Embeddings:
        labels = torch.arange(n) % len(CLASSES)
        vectors = torch.eye(8)[labels] + noise * torch.randn(n, 8, generator=rng)
        paths = []
        for i, label in enumerate(labels.tolist()):
            path = tmp_path / name / CLASSES[label] / f"{i}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (60 * label, 255 - 12 * i % 255, 128)).save(path)
            paths.append(path)
        return Embeddings(name, vectors / vectors.norm(dim=1, keepdim=True), labels, CLASSES, tuple(paths))

    return make


@pytest.fixture
def noisier(rng: torch.Generator) -> Callable[[Embeddings], Embeddings]:
    """The same images under a worse model."""

    def make(domain: Embeddings) -> Embeddings:
        vectors = domain.vectors + torch.randn(domain.vectors.shape, generator=rng)
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
        return Embeddings(domain.domain, vectors, domain.labels, domain.class_names, domain.paths)

    return make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thumbnails of this test alone."""
    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pairs(domain, noisier) -> dict[str, tuple[Embeddings, Embeddings]]:
    """Two models of the same two domains."""
    query, gallery = domain("line", 22), domain("flat", 18)
    return {"good": (query, gallery), "poor": (noisier(query), noisier(gallery))}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict, list[bytes]]]:
    """What the page receives."""
    messages = []
    monkeypatch.setattr(
        RetrievalBrowser, "send", lambda self, content, buffers=(): messages.append((content, list(buffers)))
    )
    return messages


@pytest.fixture
def browser(pairs, sent) -> RetrievalBrowser:
    """A browser of both models; what "good" is asked looks like the fifth image of the gallery."""

    def embed(given, domain):
        return pairs["good"][1].vectors[4, None]

    return RetrievalBrowser(pairs, k=6, page_size=8, sample=3, embedders={"good": embed})
