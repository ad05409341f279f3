"""``tpsnet embed`` and ``tpsnet search``: a trained run at work."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tpsnet.experiments import embed_folder, search


@dataclass(frozen=True)
class Embed:
    """Embed every image below a folder with a trained run, also images that training never saw."""

    run: tyro.conf.Positional[Path]
    """The run folder of a finished training."""
    folder: tyro.conf.Positional[Path]
    """The images; sub-folders are searched too."""
    output: tyro.conf.Positional[Path]
    """The safetensors file to write: vectors (one L2-normalised row an image) and the paths."""
    domain: str | None = None
    """Which trained domain the images belong to; by default the one that the folder is named after."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def __call__(self) -> None:
        """Embed and write."""
        found = embed_folder(self.run, self.folder, self.domain, self.device)
        found.save(self.output)
        print(f"wrote {self.output}: {len(found)} embeddings of dimension {found.vectors.shape[1]}")


@dataclass(frozen=True)
class Search:
    """Search the gallery of a trained run with an image, or with a text."""

    run: tyro.conf.Positional[Path]
    """The run folder of a finished training."""
    image: tyro.conf.Positional[Path | None] = None
    """The query image."""
    text: str | None = None
    """The query in words, e.g. "a teapot", instead of an image."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 20
    """How many results."""
    gallery: str | None = None
    """The domain to search; by default the second one, or the one that the image is not of."""
    domain: str | None = None
    """The domain of the image; by default a folder above it tells, else it is the one not searched."""
    rerank: Literal["expansion", "diffusion"] | None = None
    """Also use the query's neighbours among the images that the run knows."""
    json: bool = False
    """Print JSON, for machines."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def __call__(self) -> None:
        """Print rank, score, class and path."""
        asked = {"text": self.text, "k": self.k, "gallery": self.gallery, "domain": self.domain}
        asked["reranking"] = self.rerank
        hits = search(self.run, self.image, **asked, device=self.device)
        if self.json:
            print(json.dumps([dataclasses.asdict(hit) for hit in hits], indent=1))
            return
        width = max(len(hit.name) for hit in hits)
        for hit in hits:
            print(f"{hit.rank:4d}  {hit.score:6.3f}  {hit.name:{width}s}  {hit.path}")
