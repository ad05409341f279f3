"""Encoding a whole domain: order, unit rows, refusal of NaN."""

import pytest
import torch

from tpsnet.backbone import embed_all
from tpsnet.errors import InputError
from tpsnet.types import Images


def test_batches_do_not_change_order_or_value(rng):
    images = Images("line", torch.randint(0, 256, (10, 3, 4, 4), generator=rng, dtype=torch.uint8))
    vectors = embed_all(lambda x: x.flatten(1), images, batch_size=3)
    whole = images.pixels.flatten(1).float()
    torch.testing.assert_close(vectors, whole / whole.norm(dim=1, keepdim=True))
    assert not vectors.requires_grad


def test_nan_is_named(rng):
    images = Images("line", torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(InputError, match=r"'line'.*NaN"):
        embed_all(lambda x: x.flatten(1) * float("nan"), images)
