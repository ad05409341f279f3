"""Class names as texts: wording, the mean over templates, chunks, and no names."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.backbone import captions, class_texts, load_backbone
from tpsnet.backbone.captions import TEMPLATES
from tpsnet.errors import InputError


def test_wording():
    assert captions("ice_cream", "line drawing") == [
        "a line drawing of an ice cream",
        "a line drawing of the ice cream",
        "an ice cream, line drawing",
        "an ice cream",
    ]
    assert captions("T-shirt", "photo")[0] == "a photo of a T shirt"
    assert captions("ant", "infographic")[0] == "an infographic of an ant"


def test_a_class_is_the_mean_of_its_templates(small_clip):
    backbone = load_backbone(small_clip)
    names = [f"thing {i}" for i in range(200)]  # 800 texts, more than one chunk
    found = class_texts(backbone, names, "solid black icon")
    assert found.shape == (200, backbone.dim)
    for i in (0, 130, 199):
        rows = backbone.encode_text(captions(names[i], "solid black icon"))
        assert len(rows) == len(TEMPLATES)
        torch.testing.assert_close(found[i], F.normalize(rows.mean(dim=0), dim=0), atol=1e-5, rtol=1e-4)
    other = class_texts(backbone, names[:1], "line drawing")
    assert not torch.allclose(other[0], found[0])


def test_no_names_is_one_line(small_clip):
    with pytest.raises(InputError, match=r"no class names.*'line drawing'"):
        class_texts(load_backbone(small_clip), [], "line drawing")
