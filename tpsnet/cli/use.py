"""``tpsnet embed``, ``tpsnet index`` and ``tpsnet search``: a trained run at work."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tpsnet.errors import InputError
from tpsnet.escape import printable
from tpsnet.experiments import embed_folder, index, search
from tpsnet.settings import Positive, Settings

SUFFIX = ".safetensors"  # of what embed writes; other programs go by the names of files


@dataclass(frozen=True)
class Embed(Settings):
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
        if self.output.suffix not in ("", SUFFIX):
            raise InputError(
                f"{self.output}: what is written is a safetensors file; give a name with {SUFFIX}"
            )
        found = embed_folder(self.run, self.folder, self.domain, self.device)
        found.save(self.output)
        size = f"{len(found)} embeddings of dimension {found.vectors.shape[1]}"
        print(printable(f"wrote {self.output}: {size}"))


@dataclass(frozen=True)
class Index(Settings):
    """Fill a gallery with a run's embeddings and with folders of new images; again to add more."""

    run: tyro.conf.Positional[Path]
    """The run folder of a finished training."""
    folders: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="[FOLDER ...]")] = ()
    """New images; their class is the folder directly below. What the gallery holds already is passed over."""
    gallery: str = dataclasses.field(kw_only=True)
    """Where: faiss:FILE, milvus:FILE.db or http://HOST:PORT."""
    domain: str | None = None
    """Which trained domain the new images belong to; by default the one that each folder is named after."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def __call__(self) -> None:
        """Embed and add; print what came of it."""
        done = index(self.run, self.folders, gallery=self.gallery, domain=self.domain, device=self.device)
        print(printable(f"{self.gallery}: added {done.added:,}; {done.described}"))


@dataclass(frozen=True)
class Search(Settings):
    """Search a gallery with an image, or with a text."""

    run: tyro.conf.Positional[Path]
    """The run folder of a finished training."""
    image: tyro.conf.Positional[Path | None] = None
    """The query image."""
    text: str | None = None
    """The query in words, e.g. "a teapot", instead of an image."""
    k: Annotated[Positive, tyro.conf.arg(aliases=["-k"])] = 20
    """How many results; all images where the gallery has fewer."""
    gallery: str = "memory"
    """Which images: memory (those of the run), or what tpsnet index has filled: faiss:FILE, milvus:FILE.db or
    http://HOST:PORT."""
    gallery_domain: str | None = None
    """The domain to search; by default the second one, or the one that the image is not of."""
    gallery_classes: tuple[str, ...] = ()
    """Only images of these classes."""
    domain: str | None = None
    """The domain of the image; by default a folder above it tells, else it is the one not searched."""
    rerank: Literal["expansion", "diffusion"] | None = None
    """Also use the query's neighbours among the images that the run knows."""
    json: bool = False
    """Print JSON, for machines."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def __call__(self) -> None:
        """Print rank, score, class and path; and which engine ranked, where errors go."""
        asked = {"text": self.text, "k": self.k, "domain": self.domain, "reranking": self.rerank}
        asked |= {"gallery": self.gallery, "gallery_domain": self.gallery_domain}
        asked["gallery_classes"] = self.gallery_classes
        hits = search(self.run, self.image, **asked, device=self.device)
        if self.json:
            print(json.dumps([dataclasses.asdict(hit) for hit in hits], indent=1))
            return
        names = [printable(hit.name) for hit in hits]
        width = max(map(len, names))
        for hit, name in zip(hits, names, strict=True):
            print(f"{hit.rank:4d}  {hit.score:6.3f}  {name:{width}s}  {printable(hit.path)}")
        print(printable(f"ranked by {hits.described}"), file=sys.stderr)
