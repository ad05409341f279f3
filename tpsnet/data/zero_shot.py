r"""The class split of zero-shot retrieval: methods train on seen classes and are scored on unseen ones.

Source: the protocol of zero-shot sketch-based retrieval (Sketchy-Ext, TU-Berlin-Ext; Shen et al., CVPR 2018,
Dutta & Akata, CVPR 2019), which CLAIR (BMVC 2025, arXiv:2508.12290) follows: a list of unseen names, or a
random share. In the *generalised* gallery seen classes lie among the unseen ones.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tpsnet.data.folder import of_classes, shared_classes
from tpsnet.data.spelling import label
from tpsnet.errors import InputError
from tpsnet.types import Domain


@dataclass(frozen=True)
class ZeroShotSplit:
    """Which classes of a pair are trained on, and which are retrieved.

    Attributes:
        seen: Ids of the classes that training may touch, rising.
        unseen: Ids of the classes of the queries, rising.
    """

    seen: tuple[int, ...]
    unseen: tuple[int, ...]

    def train(self, domain: Domain) -> list[int]:
        """Positions of a domain's images of seen classes."""
        return of_classes(domain, self.seen)

    def test(self, domain: Domain) -> list[int]:
        """Positions of a domain's images of unseen classes: the queries, and the gallery."""
        return of_classes(domain, self.unseen)

    def generalised(self, domain: Domain) -> list[int]:
        """Positions of the generalised gallery: seen and unseen classes."""
        return of_classes(domain, (*self.seen, *self.unseen))


def zero_shot_split(
    query: Domain,
    gallery: Domain,
    unseen: Sequence[str] | None = None,
    seen: Sequence[str] | None = None,
    *,
    seed: int = 0,
    share: float = 0.25,
) -> ZeroShotSplit:
    """Divide the classes that both domains have.

    Args:
        query: The domain of the queries.
        gallery: The domain of the gallery.
        unseen: Names of the unseen classes; ``None`` draws them.
        seen: Names of the seen classes; ``None`` takes all others.
        seed: Seed of the draw.
        share: Share of the classes that are drawn, rounded down; must lie between 0 and 1.

    Raises:
        InputError: A name is unknown, doubled or lacking in one domain, the split leaves no seen or no unseen
            class, the share is outside (0, 1), or the domains have no class in common.
    """
    shared = shared_classes(query, gallery)
    if unseen is None:
        if not 0 < share < 1:
            raise InputError(f"the share of unseen classes is {share}; give one between 0 and 1")
        order = torch.randperm(len(shared), generator=torch.Generator().manual_seed(seed))
        chosen = {shared[i] for i in order[: int(share * len(shared))]}
    else:
        chosen = {_class_id(name, query, gallery, shared) for name in unseen}
        if len(chosen) < len(unseen):
            raise InputError("the list of unseen classes names a class twice; name each once")
    others = [c for c in shared if c not in chosen]
    if seen is not None:
        named = {_class_id(name, query, gallery, shared) for name in seen}
        if named & chosen:
            raise InputError(
                f"class {query.class_names[min(named & chosen)]!r} is both seen and unseen; name it once"
            )
        others = [c for c in others if c in named]
    split = ZeroShotSplit(tuple(others), tuple(sorted(chosen)))
    for kind, classes in (("seen", split.seen), ("unseen", split.unseen)):
        if not classes:
            raise InputError(
                f"the split of {len(shared)} classes of {query.name!r} and {gallery.name!r} leaves no {kind} "
                "class; choose other names or another share"
            )
    return split


def _class_id(name: str, query: Domain, gallery: Domain, shared: Sequence[int]) -> int:
    name = label(name)
    if name not in query.class_names:
        near = difflib.get_close_matches(name, query.class_names, n=1, cutoff=0.0)[0]
        raise InputError(f"no class {name!r} to divide by; did you mean {near!r}?")
    found = query.class_names.index(name)
    if found not in shared:
        raise InputError(
            f"class {name!r} is not in both {query.name!r} and {gallery.name!r}; choose another class"
        )
    return found
