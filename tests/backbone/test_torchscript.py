"""TorchScript archives: the same tensors as torch's own reader, and nothing run, whatever is in one."""

import os
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from archives import rewrite
from torch import nn

from tpsnet.backbone.torchscript import is_torchscript, read_torchscript
from tpsnet.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")


class Several(nn.Module):
    """Every kind of attribute that an archive holds."""

    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Linear(3, 4).half()
        self.inner = nn.Sequential(
            nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last), nn.BatchNorm2d(4)
        )
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.rows = nn.Parameter(torch.rand(4, 6)[:, ::2])
        self.exact = nn.Parameter(torch.rand(2, dtype=torch.float64))
        self.brain = nn.Parameter(torch.rand(2).bfloat16())
        self.register_buffer("count", torch.tensor(7))
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("none", torch.zeros(0, 3))
        self.sizes, self.names, self.shares, self.word = [1, 2], {"a": 1}, [0.5, 1.0], "text"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + self.sizes[0] + self.names["a"] + self.shares[0]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("archive") / "several.pt"
    torch.jit.save(torch.jit.script(Several().eval()), file)
    return file


@pytest.mark.parametrize("how", ["script", "trace"])
def test_tensors_are_those_that_torch_reads(tmp_path, monkeypatch, how):
    module = Several().eval()
    made = torch.jit.script(module) if how == "script" else torch.jit.trace(module, torch.rand(1, 3, 8, 8))
    torch.jit.save(made, tmp_path / "x.pt")
    expected = torch.jit.load(tmp_path / "x.pt").state_dict()
    monkeypatch.setattr("torch.jit.load", None)
    monkeypatch.setattr("torch.load", None)
    assert is_torchscript(tmp_path / "x.pt")
    found = read_torchscript(tmp_path / "x.pt")
    assert set(found) == set(expected) and len(found) == 16
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor.float() if tensor.is_floating_point() else tensor), name


def test_other_files_are_told_apart(tmp_path, archive):
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_text("text")
    with zipfile.ZipFile(tmp_path / "z.pt", "w") as other:
        other.writestr("a/b/constants.pkl", "")
    assert not any(is_torchscript(tmp_path / name) for name in ("x.pt", "y.pt", "z.pt", "absent.pt"))
    assert not is_torchscript(tmp_path) and is_torchscript(archive)


class Runs:
    """Unpickled, it would run a command."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def tensor(
    *, key: bytes = b"0", kind: bytes = b"torch\nFloatStorage", n: int = 1, size: int = 1, step: int = 1
):
    """A pickle of a module with one tensor, instruction by instruction."""
    number = struct.Struct("<i").pack
    storage = (
        b"(X\x07\x00\x00\x00storagec"
        + kind
        + b"\nX"
        + number(len(key))
        + key
        + b"X\x03\x00\x00\x00cpuJ"
        + number(n)
    )
    body = (
        b"J\x00\x00\x00\x00J"
        + number(size)
        + b"\x85J"
        + number(step)
        + b"\x85\x89ccollections\nOrderedDict\n)R"
    )
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + body + b"tR"
    return module(b"X\x01\x00\x00\x00a" + made)


def module(attributes: bytes) -> bytes:
    return b"\x80\x02c__torch__\nM\n)\x81}(" + attributes + b"ub."


def nested(times: int) -> bytes:
    """Each module holds the one before it twice: a few bytes stand for 2 ** times modules."""
    first = b"c__torch__\nM\n)\x81"
    found = b"X\x01\x00\x00\x00t(" + first + b"q\x00"
    for below in range(times):
        twice = b"X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%c" % (below, below)
        found += first + b"}(" + twice + b"ubq%c" % (below + 1)
    return module(found + b"tX\x01\x00\x00\x00ah%c" % times)


HOSTILE = {
    "a command": (pickle.dumps(Runs(), protocol=2), r"that names (posix|nt)\.system"),
    "a global of ours": (b"\x80\x02ctpsnet.io\nwrite_text\n.", r"that names tpsnet\.io\.write_text"),
    "builtins": (b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.", r"that names builtins\.eval"),
    "a class called": (b"\x80\x02c__torch__\nM\n)R.", r"that calls __torch__\.M"),
    "a class with arguments": (b"\x80\x02c__torch__\nM\nK\x01\x85\x81.", r"that makes a __torch__\.M"),
    "hooks with arguments": (b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.", r"calls collections\.Ord"),
    "another state": (b"\x80\x02c__torch__\nM\n)\x81K\x01b.", "with a int in the place of a dict"),
    "an instance": (b"(i__torch__\nM\n.", "with the instruction INST"),
    "a named global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "with the instruction STACK_GLOBAL"),
    "an extension": (b"\x80\x02\x82\x01.", "with the instruction EXT1"),
    "keys that are lists": (b"\x80\x02}]K\x01s.", "with keys that are no names"),
    "no module": (b"\x80\x02K\x01.", "with a int in the place of a _Module"),
    "an empty stack": (b"\x80\x02\x85.", "with a broken pickle"),
    "cut": (tensor()[:-9], "damaged TorchScript"),
    "no pickle": (b"text", "damaged TorchScript"),
    "absurd memo": (b"\x80\x02K\x01r\xff\xff\xff\x7f.", "with a int in the place of a _Module"),
    "absurd text": (b"\x80\x02X\xff\xff\xff\x7fa.", "damaged TorchScript"),
    "a missing record": (tensor(key=b"77"), "without data/77"),
    "a path as a key": (tensor(key=b"../x"), "with numbers of the kind"),
    "another storage": (tensor(kind=b"torch\nQInt8Storage"), r"that names torch\.QInt8Storage"),
    "a name as a storage": (tensor(kind=b"__torch__\nM"), r"with numbers of the kind __torch__\.M"),
    "another length": (tensor(n=2), r"whose data/0 has 4 bytes, not 2 of torch\.float32"),
    "more numbers": (tensor(size=2), "claims more numbers than it holds"),
    "repeated numbers": (tensor(size=2**30, step=0), "claims more numbers than it holds"),
    "negative": (tensor(size=-1), "with a tensor of no shape"),
    "no tensor": (module(b""), "without tensors"),
    "modules in modules": (nested(40), "with too many modules"),
    "a million modules": (nested(20), "with too many modules"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused_in_one_line(tmp_path, monkeypatch, archive, name):
    content, reason = HOSTILE[name]
    monkeypatch.chdir(tmp_path)
    file = rewrite(archive, tmp_path / "x.pt", data_pkl=content, data_0=bytes(4))
    with pytest.raises(InputError, match=reason) as caught:
        read_torchscript(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_the_pickles_made_by_hand_are_sound(tmp_path, archive):
    """Else the refusals above would be for another reason."""
    file = rewrite(archive, tmp_path / "x.pt", data_pkl=tensor(), data_0=struct.pack("<f", 2.5))
    assert read_torchscript(file) == {"a": torch.tensor([2.5])}


def test_one_tensor_under_very_many_names_does_not_fill_the_memory(tmp_path, archive):
    """Each would become a float32 tensor of its own."""
    size = 2**16
    one = tensor(kind=b"torch\nHalfStorage", n=size, size=size)
    head = one[: one.index(b"ctorch._utils")]
    rest = b"".join(b"X\x03\x00\x00\x00%03dh\x00" % i for i in range(999))
    content = head + one[len(head) : -3] + b"q\x00" + rest + b"ub."
    file = rewrite(archive, tmp_path / "x.pt", data_pkl=content, data_0=bytes(2 * size))
    with pytest.raises(InputError, match="whose tensors claim more numbers than it holds"):
        read_torchscript(file)


@pytest.mark.parametrize("part", ["data_pkl", "data_0"])
def test_a_missing_part_is_named(tmp_path, archive, part):
    file = rewrite(archive, tmp_path / "x.pt", **{part: None})
    with pytest.raises(InputError, match=f"without {part.replace('_', '.' if part == 'data_pkl' else '/')}"):
        read_torchscript(file)


def test_what_unpacks_to_more_than_the_file_is_refused(tmp_path, archive):
    with (
        zipfile.ZipFile(archive) as old,
        zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            new.writestr(
                entry.filename, bytes(10**8) if entry.filename.endswith("/data/0") else old.read(entry)
            )
    with pytest.raises(InputError, match=r"is compressed, so that its size is unbounded"):
        read_torchscript(tmp_path / "x.pt")


def test_a_part_that_claims_more_than_the_file_is_refused(tmp_path, archive):
    """The list of parts at the end of the file says a terabyte, twice."""
    content = bytearray(rewrite(archive, tmp_path / "x.pt").read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 20 : at + 28] = struct.pack("<II", 2**32 - 2, 2**32 - 2)
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match="whose parts are larger than the file"):
        read_torchscript(tmp_path / "x.pt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_parts_of_one_name_and_another_byte_order_are_refused(tmp_path, archive):
    with zipfile.ZipFile(rewrite(archive, tmp_path / "x.pt"), "a") as file:
        file.writestr(f"{file.namelist()[0].split('/')[0]}/data.pkl", tensor())
    with pytest.raises(InputError, match="with two parts of one name"):
        read_torchscript(tmp_path / "x.pt")
    with pytest.raises(InputError, match="of a big-endian machine"):
        read_torchscript(rewrite(archive, tmp_path / "y.pt", byteorder=b"big"))


def test_changed_numbers_are_noticed(tmp_path, archive):
    """By the archive's own checksums."""
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as parts:
        entry = next(e for e in parts.infolist() if e.filename.endswith("/data/0"))
    start = entry.header_offset + 30 + sum(struct.unpack_from("<HH", content, entry.header_offset + 26))
    content[start] ^= 1
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match="is a damaged TorchScript archive; fetch it anew"):
        read_torchscript(tmp_path / "x.pt")
