"""The MoCo-v2 loader on a file of the published format, written here with random weights."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from tpsnet.backbone import MoCo, load_backbone, load_moco
from tpsnet.errors import InputError
from tpsnet.methods import Frozen, FrozenConfig, TPSNet, TPSNetConfig
from tpsnet.types import Images


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = resnet50()
        net.fc = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128))
    return net.eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    """Epoch, architecture, both encoders under a distributed training's names, queue and optimiser."""
    weights = {f"module.encoder_{side}.{k}": v for side in "qk" for k, v in network.state_dict().items()}
    weights |= {"module.queue": torch.randn(128, 64), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    for key in [k for k in weights if k.startswith("module.encoder_k.") and weights[k].is_floating_point()]:
        weights[key] = weights[key] + 1  # so that the wrong encoder would show
    path = tmp_path_factory.mktemp("moco") / "moco_v2_800ep_pretrain.pth.tar"
    optimizer = {
        "state": {0: {"momentum_buffer": torch.zeros(3)}},
        "param_groups": [{"lr": 0.03, "params": [0]}],
    }
    torch.save({"epoch": 800, "arch": "resnet50", "state_dict": weights, "optimizer": optimizer}, path)
    return path


def test_it_computes_what_the_network_computes(file, network):
    backbone = load_moco(file)
    x = torch.rand(2, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = nn.functional.normalize(network((x - mean.view(3, 1, 1)) / std.view(3, 1, 1)), dim=1)
        torch.testing.assert_close(backbone.encode_image(x), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(backbone.encode_image(x, backbone.tower), expected, atol=1e-5, rtol=1e-4)
    assert (backbone.dim, backbone.image_size) == (128, 224)


def test_it_has_an_address(file, network):
    backbone = load_backbone(f"moco:{file}")
    assert isinstance(backbone, MoCo) and backbone.identity == load_moco(file).identity
    pictures = Images("a", torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert Frozen(backbone, FrozenConfig()).embed(pictures).shape == (4, 128)
    with pytest.raises(InputError, match="TPSNet needs a CLIP"):
        TPSNet(backbone, TPSNetConfig(clusters=2))


def test_statistics_stay_those_of_the_pretraining(file):
    backbone = load_moco(file).train()
    before = backbone.tower.bn1.running_mean.clone()
    backbone.encode_image(torch.rand(2, 3, 64, 64))
    assert torch.equal(backbone.tower.bn1.running_mean, before)


def test_other_files_are_one_line(file, tmp_path, network):
    with pytest.raises(InputError, match=r"no file .*absent"):
        load_moco(tmp_path / "absent.pth.tar")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match="not a MoCo-v2 checkpoint"):
        load_moco(tmp_path / "text.pth")
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    with pytest.raises(InputError, match="not a MoCo-v2 checkpoint"):
        load_moco(tmp_path / "bare.pth")
    first = {"module.encoder_q.fc.weight": torch.zeros(128, 2048)}
    torch.save({"state_dict": first}, tmp_path / "v1.pth")
    with pytest.raises(InputError, match="MoCo version 2"):
        load_moco(tmp_path / "v1.pth")
    odd = {
        "module.encoder_q.fc.2.weight": torch.zeros(128, 2048),
        "module.encoder_q.conv1.weight": torch.zeros(1),
    }
    torch.save({"state_dict": odd}, tmp_path / "odd.pth")
    with pytest.raises(InputError, match="does not fit"):
        load_moco(tmp_path / "odd.pth")


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_code_inside_a_checkpoint_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="not a MoCo-v2 checkpoint"):
        load_moco(tmp_path / "evil.pth")
    assert capsys.readouterr().out == ""
