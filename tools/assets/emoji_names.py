"""What an emoji is called: CLDR metadata, and finding the emoji behind an icon's name."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from tools.assets.sources import package_folder

SKIPPED_GROUPS = {"component", "flags"}


@dataclass(frozen=True)
class Emoji:
    """One base emoji as Unicode CLDR names it.

    Attributes:
        hexcode: code points in lower-case hex, joined by ``-``, without variation selectors.
        label: the CLDR short name, e.g. ``"ferris wheel"``.
        tags: CLDR keywords.
        group: e.g. ``"travel-places"``.
        subgroup: e.g. ``"place-other"``.
        shortcodes: community names, e.g. ``"ferris_wheel"``.
    """

    hexcode: str
    label: str
    tags: tuple[str, ...]
    group: str
    subgroup: str
    shortcodes: tuple[str, ...] = ()


def normal_hexcode(code: str) -> str:
    """``"1F6E9-FE0F"`` -> ``"1f6e9"``: lower case, no variation selectors."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


@cache
def emoji_table() -> dict[str, Emoji]:
    """Every base emoji by hexcode: no skin tones, flags or components, in CLDR order."""
    folder = package_folder("emojibase-data")
    meta = json.loads((folder / "meta" / "groups.json").read_text())
    codes = [
        json.loads((folder / "en" / "shortcodes" / f"{name}.json").read_text())
        for name in ("cldr", "emojibase", "github", "iamcal")
    ]
    table = {}
    for entry in json.loads((folder / "en" / "data.json").read_text()):
        group = meta["groups"].get(str(entry.get("group")))
        if group is None or group in SKIPPED_GROUPS:
            continue
        shortcodes = []
        for source in codes:
            names = source.get(entry["hexcode"], [])
            shortcodes += [names] if isinstance(names, str) else names
        hexcode = normal_hexcode(entry["hexcode"])
        subgroup = meta["subgroups"][str(entry["subgroup"])]
        tags = tuple(entry.get("tags", ()))
        table[hexcode] = Emoji(
            hexcode, entry["label"], tags, group, subgroup, tuple(dict.fromkeys(shortcodes))
        )
    return table


def slug(name: str) -> str:
    """``"Mrs. Claus’ hat"`` -> ``"mrs-claus-hat"``: what Iconify makes of a name."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def squash(name: str) -> str:
    """A name without any punctuation or spaces."""
    return slug(name).replace("-", "")


def unicode_name(hexcode: str) -> str:
    """The Unicode character name of a single code point, ``""`` for sequences."""
    return "" if "-" in hexcode else unicodedata.name(chr(int(hexcode, 16)), "")


def match_names(names: Iterable[str], emoji: Iterable[Emoji], numbered: bool = False) -> dict[str, str]:
    """Icon names to hexcodes, by rules tried from strict to loose.

    CLDR labels come first, then Unicode names and shortcodes, then the same three without
    punctuation. A rule that fits several code points decides nothing, and the next is tried.

    Args:
        names: icon names such as ``"ferris-wheel"`` or ``"ferriswheel"``.
        emoji: the table to look in.
        numbered: names end in ``-1``, ``-2`` where the set has several drawings of one emoji.

    Returns:
        ``{icon name: hexcode}`` for the names that fit exactly one code point.
    """
    emoji = list(emoji)
    rules = [
        [(slug(e.label), e.hexcode) for e in emoji],
        [(slug(unicode_name(e.hexcode)), e.hexcode) for e in emoji],
        [(slug(code), e.hexcode) for e in emoji for code in e.shortcodes],
        [(squash(e.label), e.hexcode) for e in emoji],
        [(squash(unicode_name(e.hexcode)), e.hexcode) for e in emoji],
        [(squash(code), e.hexcode) for e in emoji for code in e.shortcodes],
    ]
    tables = []
    for pairs in rules:
        table = defaultdict(set)
        for key, hexcode in pairs:
            table[key].add(hexcode)
        tables.append({key: codes.pop() for key, codes in table.items() if key and len(codes) == 1})
    found = {}
    for name in names:
        bare = re.sub(r"-\d$", "", name) if numbered else name
        keys = [slug(bare)] * 3 + [squash(bare)] * 3
        hexcode = next((table[key] for table, key in zip(tables, keys, strict=True) if key in table), None)
        if hexcode:
            found[name] = hexcode
    return found
