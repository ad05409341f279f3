"""Class names as texts in the words of a domain: an ensemble of templates, one unit row a class.

Source: prompt ensembles of CLIP (Radford et al., ICML 2021, section 3.1.4); templates by domain are INFERRED
for CLAIR (BMVC 2025, arXiv:2508.12290), whose abstract names domain-specific texts only as such.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone.clip import Backbone
from tpsnet.types import InputError

TEMPLATES = ("{a_style} of {a_name}", "{a_style} of the {name}", "{a_name}, {style}", "{a_name}")

# What the usual domains are called in words; any other is "a NAME picture".
STYLES = {
    "line": "line drawing",
    "solid": "solid black icon",
    "flat": "flat icon",
    "shaded": "shaded cartoon",
    "rendered": "3D render",
    "art": "painting",
    "clipart": "clip art picture",
    "product": "product photo",
    "real world": "photo",
    "real": "photo",
    "photo": "photo",
    "sketch": "sketch",
    "quickdraw": "doodle",
    "infograph": "infographic",
    "painting": "painting",
}


def captions(name: str, domain: str) -> list[str]:
    """The texts that name a class of a domain, e.g. "a line drawing of an ant".

    Args:
        name: class name; underscores and hyphens count as spaces.
        domain: domain name.
    """
    plain = name.replace("_", " ").replace("-", " ").strip()
    key = domain.lower().replace("_", " ")
    style = STYLES.get(key, f"{key} picture")
    words = {"name": plain, "a_name": _a(plain), "style": style, "a_style": _a(style)}
    return [template.format(**words) for template in TEMPLATES]


def class_texts(backbone: Backbone, names: Sequence[str], domain: str) -> Float[Tensor, "classes dim"]:
    """Mean over the templates of each class, normalised again.

    Args:
        backbone: its text tower.
        names: class names.
        domain: domain name.

    Raises:
        InputError: no name.
    """
    if not names:
        raise InputError(f"no class names for the texts of domain {domain!r}; give those of the seen classes")
    texts = [text for name in names for text in captions(name, domain)]
    rows = torch.cat([backbone.encode_text(texts[i : i + 512]) for i in range(0, len(texts), 512)])
    return F.normalize(rows.unflatten(0, (len(names), len(TEMPLATES))).mean(dim=1), dim=1)


def _a(words: str) -> str:
    return f"an {words}" if words[:1].lower() in tuple("aeiou") else f"a {words}"
