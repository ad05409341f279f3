r"""Label spaces of universal retrieval: which classes the queries have, and which the gallery.

- ``closed``: both have the shared classes.
- ``partial``: the queries have a random half of the gallery's classes.
- ``open``: the gallery has a random half of the queries' classes; the other queries are without a match.
- ``opda``: some classes are common, some are the queries' own and the rest are the gallery's own, 10 : 5 : 50
  as universal domain adaptation splits Office-Home (You et al., CVPR 2019).

Source: the first three are the protocol of UEM (NeurIPS 2024, arXiv:2403.05690), which does not print its
halves. INFERRED: ⌊C/2⌋ of the C shared classes, drawn by a seed.
"""

import torch

from tpsnet.data.folder import of_classes, shared_classes
from tpsnet.errors import InputError
from tpsnet.types import Domain

LABEL_SPACES = ("closed", "partial", "open", "opda")
OPDA = (10, 5, 50)  # common : of the queries alone : of the gallery alone


def restrict(query: Domain, gallery: Domain, spaces: str, seed: int) -> tuple[list[int], list[int]]:
    """Positions of the images that some label spaces leave in either domain, rising.

    Args:
        query: The domain of the queries.
        gallery: The domain of the gallery.
        spaces: One of ``LABEL_SPACES``.
        seed: Seed of the draw of classes.

    Raises:
        InputError: The label spaces are unknown, the domains have no class in common, or fewer than the
            label spaces can divide.
    """
    if spaces not in LABEL_SPACES:
        raise InputError(f"no label spaces {spaces!r}; choose one of {', '.join(LABEL_SPACES)}")
    shared = torch.tensor(shared_classes(query, gallery))
    order = shared[torch.randperm(len(shared), generator=torch.Generator().manual_seed(seed))]
    half = len(order) // 2
    common, query_only, _ = (round(len(order) * part / sum(OPDA)) for part in OPDA)
    of_query, of_gallery = {
        "closed": (order, order),
        "partial": (order[:half], order),
        "open": (order, order[:half]),
        "opda": (order[: common + query_only], torch.cat([order[:common], order[common + query_only :]])),
    }[spaces]
    if spaces != "closed" and not (half and (spaces != "opda" or (common and query_only))):
        raise InputError(
            f"{query.name!r} and {gallery.name!r} share {len(order)} classes, too few for {spaces!r}; "
            "choose other label spaces or another pair"
        )
    return of_classes(query, of_query.tolist()), of_classes(gallery, of_gallery.tolist())
