"""Images: in memory and in a file they are the same, part by part, and a file is read by batch."""

import copy
import pickle
import zlib

import numpy as np
import pytest
import torch

from tpsnet.backbone import embed_all
from tpsnet.errors import InputError
from tpsnet.io import RowFile, joined_crc32
from tpsnet.types import Images

START = 7  # bytes before the first row


@pytest.fixture
def pixels(rng) -> torch.Tensor:
    return torch.randint(0, 256, (9, 3, 4, 5), generator=rng, dtype=torch.uint8)


@pytest.fixture
def file(pixels, tmp_path) -> RowFile:
    (tmp_path / "rows").write_bytes(b"x" * START + pixels.numpy().tobytes())
    crcs = np.array([zlib.crc32(image) for image in pixels.numpy()], np.uint32)
    return RowFile(tmp_path / "rows", START, (3, 4, 5), crcs)


INDICES = {
    "a list": [4, 0, 8, 8],
    "a tensor": torch.tensor([3, 4, 5, 1]),
    "a table": torch.tensor([[3, 4], [8, 0]]),
    "a slice": slice(2, 7),
    "every second": slice(None, None, 2),
    "one": 5,
    "the last": -1,
    "none": torch.tensor([], dtype=torch.int64),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_a_file_gives_what_memory_gives(pixels, file, index):
    assert torch.equal(Images("line", file)[index], pixels[index])
    assert torch.equal(Images("line", pixels)[index], pixels[index])


def test_a_part_of_a_part_and_its_whole(pixels, file):
    for stored in (pixels, file):
        part = Images("line", stored).subset([8, 1, 4, 5, 0])
        few = part.subset([4, 0, 2])
        assert (len(part), len(few), few.shape) == (5, 3, (3, 3, 4, 5))
        assert torch.equal(part.pixels, pixels[[8, 1, 4, 5, 0]]) and torch.equal(
            few.pixels, pixels[[0, 8, 4]]
        )
        assert len(part.subset([])) == 0 and part.subset([]).pixels.shape == (0, 3, 4, 5)
        assert [len(some) for some in part.split(2)] == [2, 2, 1]
        assert torch.equal(torch.cat(list(part.split(2))), part.pixels)


def test_a_part_is_a_list_of_rows_and_no_copy(pixels, file):
    assert Images("line", file).subset([1, 2]).subset([0]).stored is file
    assert Images("line", pixels).subset([1, 2]).stored is pixels


def test_a_position_that_is_not_there(file):
    with pytest.raises(IndexError):
        Images("line", file)[[9]]
    with pytest.raises(IndexError):
        Images("line", file).subset([2, 9])


@pytest.mark.parametrize("keep", [range(9), [3], [8, 0, 4], []], ids=["all", "one", "some", "none"])
def test_the_identity_is_the_checksum_of_the_pixels_wherever_they_lie(pixels, file, keep):
    expected = f"line, {len(keep)} images, {zlib.crc32(pixels[list(keep)].numpy().tobytes()):08x}"
    for stored in (pixels, file):
        assert Images("line", stored).subset(keep).identity == expected


def test_the_identity_of_a_file_reads_no_pixels(file):
    file.path.write_bytes(b"")
    assert Images("line", file).identity.startswith("line, 9 images, ")


@pytest.mark.parametrize("size", [1, 5, 256])
def test_checksums_are_joined(rng, size):
    parts = [bytes(torch.randint(0, 256, (size,), generator=rng).tolist()) for _ in range(20)]
    for n in (0, 1, 2, 20):
        assert joined_crc32(map(zlib.crc32, parts[:n]), size) == zlib.crc32(b"".join(parts[:n]))


def test_damaged_rows_are_told(file):
    content = bytearray(file.path.read_bytes())
    for row in (2, 7):
        content[START + row * 60 + 11] ^= 1
    file.path.write_bytes(content)
    assert file.damaged(np.array([7, 1, 2])) == [7, 2]


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*absent \(No such file"):
        RowFile(tmp_path / "absent", 0, (3, 4, 5), np.zeros(1, np.uint32))


def test_a_copy_reads_the_same_file(pixels, file):
    """Methods that are copied keep their images."""
    copied = copy.deepcopy(Images("line", file).subset([3, 1]))
    assert torch.equal(copied.pixels, pixels[[3, 1]])


def test_another_process_reads_the_same_file(pixels, file):
    """As the workers of a data loader get it."""
    sent = pickle.loads(pickle.dumps(Images("line", file).subset([3, 1])))
    assert torch.equal(sent.pixels, pixels[[3, 1]])


def test_embedding_a_file_never_has_more_than_a_batch_in_memory(file, monkeypatch):
    read, sizes = RowFile.read, []

    def counted(self, rows):
        sizes.append(len(rows))
        return read(self, rows)

    monkeypatch.setattr(RowFile, "read", counted)
    vectors = embed_all(lambda x: x.flatten(1) + 0.1, Images("line", file).subset([1, 7, 2]), batch_size=2)
    assert sizes == [2, 1] and vectors.shape == (3, 60)
