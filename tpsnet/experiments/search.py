"""Use of a trained run: embed a folder of images, and search a gallery with an image or a text."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from tpsnet.data import decoded_image, label, load_images, resized, single_image, unlabelled_folder
from tpsnet.errors import InputError
from tpsnet.evaluation import RERANKINGS
from tpsnet.experiments.experiment import CONFIG, Experiment
from tpsnet.galleries import Gallery, Record, open_gallery
from tpsnet.methods import Method
from tpsnet.paths import user_path
from tpsnet.settings import Positive, check
from tpsnet.training import fingerprint, load_trained
from tpsnet.types import Embeddings, Images


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


class Hits(list[Hit]):
    """Results, best first.

    Attributes:
        described: The engine that ranked, whether it is exact, and how many images it holds.
    """

    def __init__(self, hits: Iterable[Hit], described: str) -> None:
        super().__init__(hits)
        self.described = described


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
    name = domain_names(run)(domain or found.name)
    method.domain_index(name)
    kept, images = load_images(found, method.given.resize)
    vectors = method.embed(images, name)
    return Embeddings(name, vectors, kept.labels, kept.class_names, kept.paths)


def search(
    run: Path,
    image: Path | None = None,
    *,
    text: str | None = None,
    k: int = 20,
    gallery: str = "memory",
    gallery_domain: str | None = None,
    gallery_classes: Sequence[str] = (),
    domain: str | None = None,
    reranking: str | None = None,
    device: str = "cpu",
) -> Hits:
    """Search a gallery with an image or with a text.

    Args:
        run: The run folder.
        image: The query image.
        text: The query as words, instead of an image.
        k: How many results; all images where the gallery has fewer.
        gallery: Address of the gallery, see ``galleries.open_gallery``; ``memory`` holds the embeddings that
            the training left in its run folder.
        gallery_domain: The domain to search; by default the second one, or the one that the query is not of.
        gallery_classes: Only images of these classes.
        domain: The domain of the query image; by default the one that its folder is named after, else the
            one that is not searched.
        reranking: A rule of ``evaluation.RERANKINGS``: the query is tied to its neighbours among the images
            that the run has embedded.
        device: Where to compute.

    Raises:
        InputError: neither or both of image and text; an unknown domain or rule; a text to a method without
            texts; a gallery of another model, or without such images; a re-ranking of a gallery that is not
            in memory; see ``load_trained`` and ``open_gallery``.
    """
    if (image is None) == (text is None):
        raise InputError("a search takes one image or one --text; give one of the two")
    if reranking is not None and reranking not in RERANKINGS:
        raise InputError(f"no re-ranking {reranking!r}; choose from {', '.join(RERANKINGS)}")
    if reranking is not None and gallery != "memory":
        raise InputError(
            f"a re-ranking moves the images of the run, not those of {gallery}; leave one of them out"
        )
    check("k", Positive, k)
    method = load_trained(run, device)
    named = domain_names(run)
    searched, domain = (name and named(name) for name in (gallery_domain, domain))
    for name in filter(None, (searched, domain)):
        method.domain_index(name)
    first, second = method.domains
    if text is not None:
        if not text.strip():
            raise InputError("the text of the query is empty; give some words")
        searched = searched or second
        vectors = method.embed_texts([text], searched)
    else:
        query = single_image(image)
        above = (named(folder.name) for folder in query.paths[0].parents)
        own = domain or next((name for name in above if name in method.domains), None)
        searched = searched or (first if own == second else second)
        own = own or (first if searched == second else second)
        vectors = method.embed(decoded_image(query.paths[0], method.given.resize), own)
    if gallery == "memory":
        known = load_known(run)
        if reranking is not None:
            rows = {name: part.vectors for name, part in known.items()}
            vectors, moved = RERANKINGS[reranking](vectors, list(rows.values()))
            known[searched] = replace(known[searched], vectors=moved[list(rows).index(searched)])
        with open_gallery(gallery) as opened:
            opened.add([(known[searched].vectors, records_of(known[searched]))], fingerprint(method))
            return _hits(opened, vectors, k, searched, gallery_classes)
    with open_gallery(gallery) as opened:
        opened.check_model(fingerprint(method))
        return _hits(opened, vectors, k, searched, gallery_classes)


def embedder(method: Method) -> Callable[[str | Image.Image, str], Tensor]:
    """What the browser asks with texts and pictures of one's own: from one of them to an embedding.

    Args:
        method: A trained method, e.g. of ``load_trained``.

    Returns:
        A function of a text or an image and of the domain whose style it has, to one L2-normalised row. It
        raises ``InputError`` where the method has no texts.
    """

    def embed(given: str | Image.Image, domain: str) -> Tensor:
        if isinstance(given, str):
            return method.embed_texts([given], domain)
        pixels = resized(given, method.given.resize)
        return method.embed(Images(domain, pixels[None]), domain)

    return embed


def load_known(run: Path) -> dict[str, Embeddings]:
    """The embeddings of both domains that a training left in its run folder, by domain.

    Raises:
        InputError: they are not there.
    """
    experiment = Experiment.load(run / CONFIG)
    folder = run / "embeddings" / experiment.protocol.name / experiment.method
    both = (Embeddings.load(folder / f"{role}.safetensors") for role in ("query", "gallery"))
    return {part.domain: part for part in both}


def domain_names(run: Path) -> Callable[[str], str]:
    """From a domain's name, or another one that the run's data set knows it by, to its name in training."""
    file = user_path(run) / CONFIG
    dataset = Experiment.load(file).source.known if file.is_file() else None

    def named(name: str) -> str:
        with suppress(InputError):
            return dataset.domain(name).name if dataset else label(name)
        return label(name)

    return named


def records_of(part: Embeddings) -> list[Record]:
    """What a gallery keeps of some embeddings beside their vectors."""
    names = (part.class_names[label] for label in part.labels.tolist())
    return [Record(part.domain, name, str(path)) for name, path in zip(names, part.paths, strict=True)]


def _hits(gallery: Gallery, vectors: Tensor, k: int, domain: str, classes: Sequence[str]) -> Hits:
    ids, scores = gallery.search(vectors, k, domain=domain, classes=tuple(map(label, classes)))
    numbers = [number for number in ids.flatten().tolist() if number >= 0]
    if not numbers:
        of = f" of class {' or '.join(map(repr, classes))}" if classes else ""
        raise InputError(
            f"{gallery.address} holds no image of domain {domain!r}{of}; look for it without a filter"
        )
    found = zip(scores[0].tolist(), gallery.records(numbers), strict=False)
    hits = (Hit(place, score, of.name, of.path) for place, (score, of) in enumerate(found, 1))
    return Hits(hits, gallery.described)
