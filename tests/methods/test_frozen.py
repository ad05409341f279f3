"""The baselines: CLIP's vectors as they come, or less the mean of the training images of their domain."""

import pytest
import torch
import torch.nn.functional as F

from tpsnet.backbone import class_texts, embed_all
from tpsnet.errors import InputError
from tpsnet.methods import Frozen, FrozenConfig
from tpsnet.types import Images


@pytest.fixture
def centred(backbone, pair) -> Frozen:
    method = Frozen(backbone, FrozenConfig(centred=True))
    method.prepare(pair)
    return method


def test_uncentred_it_is_the_backbone(backbone, pair):
    """For any domain, with or without training images, and for texts too."""
    method = Frozen(backbone, FrozenConfig())
    photos = Images("photo", pair[0].pixels)
    assert torch.equal(method.embed(photos), embed_all(backbone.encode_image, photos))
    assert torch.equal(method.embed_texts(["ant"], "photo"), class_texts(backbone, ["ant"], "photo"))
    method.prepare(pair)
    assert torch.equal(method.embed(pair[1]), embed_all(backbone.encode_image, pair[1]))
    assert method.stages() == []


def test_centred_it_takes_off_the_means_of_its_training_images(centred, backbone, pair):
    """Also from other images of a domain: what is measured later moves no mean."""
    for images in pair:
        few, plain = images.subset([3, 5]), Frozen(backbone, FrozenConfig())
        expected = F.normalize(plain.embed(few) - plain.embed(images).mean(dim=0), dim=1)
        torch.testing.assert_close(centred.embed(few), expected)


@pytest.mark.parametrize("centre", [False, True])
def test_flipped_it_averages_an_image_with_its_mirror_image(backbone, pair, centre):
    method = Frozen(backbone, FrozenConfig(centred=centre, flipped=True))
    method.prepare(pair)
    line = pair[0]
    mirrored = Images(line.name, line.pixels.flip(-1))
    plain = Frozen(backbone, FrozenConfig())
    expected = F.normalize(plain.embed(line) + plain.embed(mirrored), dim=1)
    if centre:
        expected = F.normalize(expected - expected.mean(dim=0), dim=1)
    torch.testing.assert_close(method.embed(line), expected)
    torch.testing.assert_close(method.embed(mirrored), expected)


def test_centred_it_knows_the_two_domains_of_its_training_only(centred, pair):
    with pytest.raises(InputError, match=r"^domain 'photo' is not one of the trained pair"):
        centred.embed(Images("photo", pair[0].pixels))
    untrained = Frozen(centred.given, FrozenConfig(centred=True))
    with pytest.raises(InputError, match=r"^domain 'line' is not one of the trained pair \[\]"):
        untrained.embed(pair[0])
