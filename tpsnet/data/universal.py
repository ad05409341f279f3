r"""Label spaces of universal retrieval: which classes ask, and which can be found.

- ``closed``: both domains have the shared classes.
- ``partial``: the query domain has a random half of the gallery's classes.
- ``open``: the gallery has a random half of the query domain's classes; the other queries are private.
- ``opda``: a share is common, another is private to the queries and the rest to the gallery, 10 : 5 : 50 as
  universal domain adaptation splits Office-Home (You et al., CVPR 2019).

Source: the first three are the protocol of UEM (NeurIPS 2024, arXiv:2403.05690), which does not print its
halves. INFERRED: ⌊C/2⌋ of the C shared classes, drawn by a seed.
"""

import torch

from tpsnet.data.folder import of_classes, shared_classes
from tpsnet.types import Domain, InputError

LABEL_SPACES = ("closed", "partial", "open", "opda")
OPDA = (10, 5, 50)  # common : private to the queries : private to the gallery


def restrict(query: Domain, gallery: Domain, setting: str, seed: int) -> tuple[list[int], list[int]]:
    """Positions of the pictures that a setting leaves in either domain, rising.

    Args:
        query: the pictures that ask.
        gallery: the pictures that are searched.
        setting: one of ``LABEL_SPACES``, see above.
        seed: of the draw.

    Raises:
        InputError: an unknown setting, no class in common, or fewer than the setting can divide.
    """
    if setting not in LABEL_SPACES:
        raise InputError(f"no setting {setting!r}; choose one of {', '.join(LABEL_SPACES)}")
    shared = torch.tensor(shared_classes(query, gallery))
    order = shared[torch.randperm(len(shared), generator=torch.Generator().manual_seed(seed))]
    half = len(order) // 2
    common, private, _ = (round(len(order) * part / sum(OPDA)) for part in OPDA)
    asked, found = {
        "closed": (order, order),
        "partial": (order[:half], order),
        "open": (order, order[:half]),
        "opda": (order[: common + private], torch.cat([order[:common], order[common + private :]])),
    }[setting]
    if setting != "closed" and not (half and (setting != "opda" or (common and private))):
        raise InputError(
            f"{query.name!r} and {gallery.name!r} share {len(order)} classes, too few for {setting!r}; "
            "choose another setting or pair"
        )
    return of_classes(query, asked.tolist()), of_classes(gallery, found.tolist())
