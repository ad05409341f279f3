"""Use of a trained run: embed a folder of images, and search its gallery with an image or a text."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from tpsnet.data import load_images, single_image, unlabelled_folder
from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS, rank
from tpsnet.experiments.experiment import CONFIG, Experiment
from tpsnet.methods import Method
from tpsnet.training import load_trained
from tpsnet.types import Domain, Embeddings


@dataclass(frozen=True)
class Hit:
    """A result of a search.

    Attributes:
        rank: Place, from 1.
        score: Cosine similarity, of what a re-ranking has made of both where one was asked for.
        name: Class of the gallery image, by its folder.
        path: The gallery image.
    """

    rank: int
    score: float
    name: str
    path: str


def embed_folder(run: Path, folder: Path, domain: str | None = None, device: str = "cpu") -> Embeddings:
    """Embed every image below a folder with a trained run.

    Args:
        run: The run folder.
        folder: The images; sub-folders are searched too.
        domain: Which trained domain they belong to; by default the one that the folder is named after.
        device: Where to compute.

    Raises:
        InputError: see ``load_trained``; the folder holds no image, or belongs to no trained domain.
    """
    method = load_trained(run, device)
    found = unlabelled_folder(folder)
    method.domain_index(domain or found.name)
    kept, vectors = _embedded(method, found, domain or found.name)
    return Embeddings(domain or found.name, vectors, kept.labels, kept.class_names, kept.paths)


def search(
    run: Path,
    image: Path | None = None,
    *,
    text: str | None = None,
    k: int = 20,
    gallery: str | None = None,
    domain: str | None = None,
    reranking: str | None = None,
    device: str = "cpu",
) -> list[Hit]:
    """Search the gallery that a training left in its run folder, with an image or with a text.

    Args:
        run: The run folder.
        image: The query image.
        text: The query as words, instead of an image.
        k: How many results.
        gallery: The domain to search; by default the second one, or the one that the query is not of.
        domain: The domain of the query image; by default the one that its folder is named after, else the
            one that is not searched.
        reranking: A rule of ``evaluation.RERANKINGS``: the query is tied to its neighbours among the images
            that the run has embedded.
        device: Where to compute.

    Raises:
        InputError: neither or both of image and text; an unknown domain or rule; a text to a method without
            texts; see ``load_trained`` and ``rank``.
    """
    if (image is None) == (text is None):
        raise InputError("a search takes one image or one --text; give one of the two")
    if reranking is not None and reranking not in RERANKINGS:
        raise InputError(f"no re-ranking {reranking!r}; choose from {', '.join(RERANKINGS)}")
    method = load_trained(run, device)
    for name in filter(None, (gallery, domain)):
        method.domain_index(name)
    first, second = method.domains
    if text is not None:
        gallery = gallery or second
        vectors = method.embed_texts([text], gallery)
    else:
        query = single_image(image)
        own = domain or next((p.name for p in query.paths[0].parents if p.name in method.domains), None)
        gallery = gallery or (first if own == second else second)
        own = own or (first if gallery == second else second)
        vectors = _embedded(method, query, own)[1]
    known = load_known(run)
    if reranking is not None:
        rows = {name: part.vectors for name, part in known.items()}
        vectors, moved = RERANKINGS[reranking](vectors, list(rows.values()))
        known[gallery] = replace(known[gallery], vectors=moved[list(rows).index(gallery)])
    return _hits(vectors, known[gallery], k)


def load_known(run: Path) -> dict[str, Embeddings]:
    """The embeddings of both domains that a training left in its run folder, by domain.

    Raises:
        InputError: they are not there.
    """
    experiment = Experiment.load(run / CONFIG)
    folder = run / "embeddings" / experiment.protocol.name / experiment.method
    both = (Embeddings.load(folder / f"{role}.safetensors") for role in ("query", "gallery"))
    return {part.domain: part for part in both}


def _embedded(method: Method, found: Domain, domain: str) -> tuple[Domain, Tensor]:
    kept, images = load_images(found, method.given.image_size)
    return kept, method.embed(images, domain)


def _hits(vectors: Tensor, gallery: Embeddings, k: int) -> list[Hit]:
    unlabelled = torch.zeros(1, dtype=torch.long)
    query = Embeddings("query", vectors, unlabelled, gallery.class_names, (Path("query"),))
    found = rank(query, gallery, k)
    return [
        Hit(place, score, gallery.class_names[gallery.labels[i]], str(gallery.paths[i]))
        for place, (i, score) in enumerate(
            zip(found.indices[0].tolist(), found.scores[0].tolist(), strict=True), 1
        )
    ]
