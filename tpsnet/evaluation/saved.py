"""Embeddings of several methods on disk, so that they are compared without any model.

A folder holds ``<protocol>/<method>/query.safetensors`` and ``gallery.safetensors`` beside it.
"""

from collections.abc import Sequence
from pathlib import Path

from tpsnet.data import LABEL_SPACES
from tpsnet.errors import InputError
from tpsnet.evaluation.metrics import Scores, evaluate
from tpsnet.evaluation.rerank import RERANKINGS, rerank
from tpsnet.types import Embeddings

Both = tuple[Embeddings, Embeddings]  # queries and gallery
ORDER = (*LABEL_SPACES, "zero-shot")


def save_both(folder: Path, protocol: str, method: str, both: Both) -> None:
    """Write the queries and the gallery of one method under one protocol.

    Raises:
        InputError: The folder cannot be written. Half a pair is never taken for a whole one.
    """
    query, gallery = (folder / protocol / method / f"{role}.safetensors" for role in ("query", "gallery"))
    try:
        gallery.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot replace {gallery} ({error}); choose another folder") from None
    both[0].save(query)
    both[1].save(gallery)


def load_saved(folder: Path, baselines: Sequence[str] = ()) -> dict[str, dict[str, Both]]:
    """All that ``save_both`` has left in a folder: protocol to method to queries and gallery.

    Args:
        folder: Folder that ``save_both`` has written to.
        baselines: Methods that stand in front, in this order; the others follow by name.

    Raises:
        InputError: Nothing is there, half of a pair is missing, or methods of one protocol embed
            other images.
    """

    def place(query: Path) -> tuple:
        protocol, method = query.parts[-3:-1]
        first = [*ORDER, protocol].index(protocol), [*baselines, method].index(method)
        return first[0], protocol, first[1], method

    found: dict[str, dict[str, Both]] = {}
    for query in sorted(folder.glob("*/*/query.safetensors"), key=place):
        both = Embeddings.load(query), Embeddings.load(query.with_name("gallery.safetensors"))
        found.setdefault(query.parents[1].name, {})[query.parent.name] = both
    if not found:
        raise InputError(
            f"{folder} holds no PROTOCOL/METHOD/query.safetensors; save embeddings there, or name a folder "
            "that a run or a table has kept them in"
        )
    for protocol, methods in found.items():
        (first, ours), *others = methods.items()
        for name, theirs in others:
            if any(a.paths != b.paths for a, b in zip(ours, theirs, strict=True)):
                raise InputError(
                    f"{folder / protocol}: {first!r} and {name!r} embed different images; remove the older"
                )
    return found


def is_saved(folder: Path, protocol: str, method: str) -> bool:
    """Whether ``save_both`` has written this one."""
    return (folder / protocol / method / "gallery.safetensors").is_file()


def score_saved(
    saved: dict[str, dict[str, Both]], reranking: str | None = None
) -> dict[str, dict[str, Scores]]:
    """Scores of all methods by the same rules under every protocol, so that mAP is nowhere interpolated.

    Args:
        saved: What ``load_saved`` returns.
        reranking: A rule of ``RERANKINGS``; rejections, which only a method can decide anew, then have no
            numbers. Queries are known together but for ``"zero-shot"``.

    Raises:
        InputError: There is no such rule.
    """
    if reranking is not None and reranking not in RERANKINGS:
        raise InputError(f"no re-ranking {reranking!r}; choose from {', '.join(RERANKINGS)}")
    scores: dict[str, dict[str, Scores]] = {}
    for protocol, methods in saved.items():
        known = protocol in LABEL_SPACES
        shown = (rerank(b, reranking, known_queries=known) if reranking else b for b in methods.values())
        scores[protocol] = {name: evaluate(*both) for name, both in zip(methods, shown, strict=True)}
    return scores


def method_of(saved: dict[str, dict[str, Both]], protocol: str, method: str) -> Both:
    """Queries and gallery of one method.

    Raises:
        InputError: There is no such protocol or method.
    """
    if protocol not in saved:
        there = ", ".join(saved)
        raise InputError(f"no protocol {protocol!r} among the saved embeddings; choose from {there}")
    if method not in saved[protocol]:
        there = ", ".join(saved[protocol])
        raise InputError(f"no method {method!r} saved under {protocol!r}; choose from {there}")
    return saved[protocol][method]
