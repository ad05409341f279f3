"""What lies in the cache of decoded images and is no more of use: what it takes, and its removal."""

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from tpsnet.data.blocks import Entry
from tpsnet.data.digests import Record, all_held
from tpsnet.data.home import in_bytes, pixels_home
from tpsnet.paths import remove

EARLIER, GONE = "of earlier pictures", "of folders that are gone"
OTHERWISE = "in other sizes or ways of resizing"
_FILE = re.compile(r"([0-9a-f]{32})\.(npy|part|journal)")


class LeftBehind:
    """The entries of some folders that are not their newest ones, and all entries of folders that are gone.

    What is the newest entry of another folder is none of them, nor is that of other classes of the same
    folder, nor an entry of which no folder is known.

    Args:
        records: The folders.
        way: How their newest entries are decoded.

    Attributes:
        kinds: The keys of the entries, by why they are here.
    """

    def __init__(self, records: Sequence[Record], way: str) -> None:
        every = all_held()
        held = {record.file: record.held for record in records}
        readings = {(record.file, record.reading) for record in records}
        others = {file: found for file, found in every.items() if file not in held}
        self._gone = {file: found for file, found in others.items() if found.gone}
        needed = {key for file in others.keys() - self._gone.keys() for key in others[file].built.values()}
        sizes = set[str]()
        for file, found in held.items():
            for name, key in found.built.items():
                how, _, reading = name.rpartition("/")
                (needed if how == way or (file, reading) not in readings else sizes).add(key)
        sizes -= needed
        earlier = {key for found in held.values() for key in found.older} - needed - sizes
        gone = {key for found in self._gone.values() for key in (*found.built.values(), *found.older)}
        self.kinds = {EARLIER: earlier, OTHERWISE: sizes, GONE: gone - needed - sizes - earlier}

    def described(self) -> str:
        """What they take of the disk, by why; empty where there is nothing."""
        sizes = _sizes()
        taken = {why: sum(sizes.get(key, 0) for key in keys) for why, keys in self.kinds.items()}
        return ", ".join(f"{in_bytes(number)} {why}" for why, number in taken.items() if number)

    def remove(self) -> str:
        """Remove them, but what a process builds or reads; returns the size of the cache before and after."""
        before = _sizes()
        left = {key for keys in self.kinds.values() for key in keys & before.keys() if not _discard(key)}
        for file, found in self._gone.items():  # last, so that a killed call is not the end of what is left
            if not left & {*found.built.values(), *found.older}:
                remove(file)
        after = _sizes()
        told = (
            f"{pixels_home()}: {in_bytes(sum(before.values()))} before, {in_bytes(sum(after.values()))} after"
        )
        in_use = sum(after.get(key, 0) for key in left)
        return f"{told}; {in_bytes(in_use)} in use, which stay" if in_use else told


def _discard(key: str) -> bool:
    return Entry(pixels_home(), key, (), ()).discard()


def _sizes() -> dict[str, int]:
    """Bytes of each entry of the cache by its key."""
    found: dict[str, int] = defaultdict(int)
    for file in pixels_home().glob("*"):
        if name := _FILE.fullmatch(file.name):
            with suppress(OSError):  # another process has removed it
                found[name[1]] += file.lstat().st_size
    return dict(found)
