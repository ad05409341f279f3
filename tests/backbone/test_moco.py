"""The MoCo-v2 loader on a file of the published format, written here with random weights."""

import zipfile

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
    assert (backbone.dim, backbone.resize.size) == (128, 224)


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


HEAD = "module.encoder_q.fc.2.weight"
OTHER_FILES = {
    "a list": ([torch.zeros(1)], "holds a list, not tensors by name"),
    "bare tensors": ({"conv1.weight": torch.zeros(1)}, "holds a NoneType, not tensors by name"),
    "a text": ({"state_dict": "weights"}, "holds a str, not tensors by name"),
    "number names": ({"state_dict": {3: torch.zeros(1)}}, "3 is a Tensor, not a tensor"),
    "texts as weights": ({"state_dict": {HEAD: "x"}}, "is a str, not a tensor"),
    "version 1": (
        {"state_dict": {"module.encoder_q.fc.weight": torch.zeros(2)}},
        r"fc\.2\.weight is missing",
    ),
    "one axis": ({"state_dict": {HEAD: torch.zeros(128)}}, r"fc\.2\.weight is \(128,\)"),
    "no rows": ({"state_dict": {HEAD: torch.zeros(0, 4)}}, r"fc\.2\.weight is \(0, 4\)"),
    "wide": ({"state_dict": {HEAD: torch.zeros(1, 2**15)}}, r"fc\.2\.weight is \(1, 32768\)"),
    "no end": ({"state_dict": {HEAD: torch.zeros(1).expand(10**5, 10**6)}}, "more numbers than the file"),
    "sparse": ({"state_dict": {HEAD: torch.zeros(2, 2).to_sparse()}}, "not a tensor"),
    "one layer": ({"state_dict": {HEAD: torch.zeros(8, 16)}}, r"does not fit .* is missing, not \(64,\)"),
}


@pytest.mark.parametrize("case", OTHER_FILES)
def test_other_files_are_one_line_before_anything_is_built(tmp_path, case, monkeypatch):
    content, reason = OTHER_FILES[case]
    torch.save(content, tmp_path / "moco.pth")
    monkeypatch.setattr("tpsnet.backbone.moco.MoCo", None)
    with pytest.raises(InputError, match=reason) as caught:
        load_moco(tmp_path / "moco.pth")
    assert "\n" not in str(caught.value) and str(tmp_path / "moco.pth") in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_a_deeper_network_does_not_fit(file, tmp_path):
    weights = torch.load(file, weights_only=True)["state_dict"]
    weights["module.encoder_q.layer3.6.conv1.weight"] = torch.zeros(256, 1024, 1, 1)
    torch.save({"state_dict": weights}, tmp_path / "deep.pth")
    with pytest.raises(InputError, match=r"does not fit .*layer3\.6\.conv1\.weight is \(256, 1024, 1, 1\)"):
        load_moco(tmp_path / "deep.pth")


def test_what_is_no_checkpoint_is_one_line(file, tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*absent.* \(No such file.*; check the path"):
        load_moco(tmp_path / "absent.pth.tar")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pth is damaged or holds more than tensors.*MoCo version 2"):
        load_moco(tmp_path / "text.pth")
    (tmp_path / "pointer.pth").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
    )
    with pytest.raises(InputError, match=r"pointer\.pth is a git-lfs pointer.*git lfs pull"):
        load_moco(tmp_path / "pointer.pth")
    (tmp_path / "cut.pth").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.pth is damaged"):
        load_moco(tmp_path / "cut.pth")
    with zipfile.ZipFile(tmp_path / "small.pth", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data/0", bytes(10**6))
    with pytest.raises(InputError, match=r"small\.pth is compressed"):
        load_moco(tmp_path / "small.pth")


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_code_inside_a_checkpoint_is_refused(tmp_path, capsys):
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="holds more than tensors, which is not run") as caught:
        load_moco(tmp_path / "evil.pth")
    assert capsys.readouterr().out == "" and "weights_only" not in str(caught.value)
