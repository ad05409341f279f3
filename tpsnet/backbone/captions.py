"""Class names in the words of a domain: an ensemble of templates, one L2-normalised row per class.

Source: prompt ensembles of CLIP (Radford et al., ICML 2021, section 3.1.4); templates by domain are INFERRED
for CLAIR (BMVC 2025, arXiv:2508.12290), whose abstract names domain-specific texts only as such.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tpsnet.backbone.clip import Backbone
from tpsnet.errors import InputError

TEMPLATES = ("{a_style} of {a_name}", "{a_style} of the {name}", "{a_name}, {style}", "{a_name}")


def captions(name: str, style: str) -> list[str]:
    """The texts that name a class in the words of a domain, e.g. "a line drawing of an ant".

    Args:
        name: Class name; underscores and hyphens count as spaces.
        style: Words for an image of the domain, e.g. "line drawing".
    """
    plain = name.replace("_", " ").replace("-", " ").strip()
    words = {"name": plain, "a_name": _a(plain), "style": style, "a_style": _a(style)}
    return [template.format(**words) for template in TEMPLATES]


def class_texts(backbone: Backbone, names: Sequence[str], style: str) -> Float[Tensor, "classes dim"]:
    """Mean text embedding over the templates of each class, L2-normalised.

    Args:
        backbone: Backbone whose text tower encodes the texts.
        names: Class names; must not be empty.
        style: Words for an image of the domain, e.g. "line drawing".

    Raises:
        InputError: There is no class name.
    """
    if not names:
        raise InputError(f"no class names for texts in the words {style!r}; give those of the seen classes")
    texts = [text for name in names for text in captions(name, style)]
    rows = torch.cat([backbone.encode_text(texts[i : i + 512]) for i in range(0, len(texts), 512)])
    return F.normalize(rows.unflatten(0, (len(names), len(TEMPLATES))).mean(dim=1), dim=1)


def _a(words: str) -> str:
    return f"an {words}" if words[:1].lower() in tuple("aeiou") else f"a {words}"
