"""The embedded objects: two curated lists, and the drawings each object has in every domain.

``objects.json`` lists the benchmark's, ``further_objects.json`` those that a zero-shot method may train on
besides; no object is in both. A list holds ``domains`` (style -> families) and ``objects``: for each class
its emoji, its icons by set, ``without`` (drawings left out: wrong object, wrong style, a twin elsewhere) as
``"family emoji-or-icon"``, and ``written`` where a drawing carries letters or digits and is therefore never
mirrored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, zip_longest
from pathlib import Path

from tools.assets.families import FAMILIES, TEACHERS, Drawing, emoji_table, shared_pairs

CURATED = Path(__file__).with_name("objects.json")
FURTHER = Path(__file__).with_name("further_objects.json")


@dataclass(frozen=True)
class Thing:
    """One class of the benchmark.

    Attributes:
        emoji: hexcodes of the emoji that show it.
        icons: icon set -> icon name.
        without: ``"family hexcode"`` or ``"family icon"`` of drawings that are left out.
        written: something is written on it, so it is never mirrored.
    """

    emoji: tuple[str, ...]
    icons: Mapping[str, str]
    without: frozenset[str] = frozenset()
    written: bool = False


@dataclass(frozen=True)
class Objects:
    """The curated file: ``domains`` maps a style to its families, ``things`` a class to its sources."""

    domains: Mapping[str, tuple[str, ...]]
    things: Mapping[str, Thing]

    @classmethod
    def load(cls, path: Path = CURATED) -> "Objects":
        """Read and check a curated file.

        Raises:
            ValueError: a teacher in a domain, geometry shared across domains, one emoji in two
                classes, or an icon set that is in no domain.
        """
        raw = json.loads(path.read_text())
        domains = {name: tuple(families) for name, families in raw["domains"].items()}
        things = {
            name: Thing(
                tuple(entry["emoji"]),
                entry["icons"],
                frozenset(entry.get("without", ())),
                entry.get("written", False),
            )
            for name, entry in raw["objects"].items()
        }
        return cls(domains, things)._checked()

    def _checked(self) -> "Objects":
        for name, families in self.domains.items():
            if teachers := set(families) & set(TEACHERS):
                raise ValueError(f"{name}: {sorted(teachers)} are kept for pretraining")
        for first, second in combinations(self.domains, 2):
            if twins := shared_pairs(self.domains[first], self.domains[second]):
                raise ValueError(f"{first} and {second} share drawings: {twins}")
        used = {family for families in self.domains.values() for family in families}
        owner: dict[str, str] = {}
        for name, thing in self.things.items():
            if strangers := set(thing.icons) - used:
                raise ValueError(f"{name}: icon sets {sorted(strangers)} are in no domain")
            for code in thing.emoji:
                if owner.setdefault(code, name) != name:
                    raise ValueError(f"emoji {code} is both {owner[code]} and {name}")
        return self

    def hexcodes(self) -> frozenset[str]:
        """Every emoji that belongs to a class."""
        return frozenset(code for thing in self.things.values() for code in thing.emoji)

    def hands(self) -> dict[str, dict[str, list[Drawing]]]:
        """Domain -> class -> drawings, families taking turns.

        Raises:
            ValueError: a class has no drawing in some domain.
        """
        found = {}
        for domain, families in self.domains.items():
            drawn = {key: FAMILIES[key].by_hexcode() for key in families if FAMILIES[key].kind != "icons"}
            found[domain] = {name: _drawings(families, drawn, thing) for name, thing in self.things.items()}
        for domain, classes in found.items():
            if empty := [name for name, drawings in classes.items() if not drawings]:
                raise ValueError(f"{domain} has no drawing of {', '.join(empty)}")
        return found


def _drawings(
    families: Sequence[str], drawn: Mapping[str, Mapping[str, Drawing]], thing: Thing
) -> list[Drawing]:
    """What the families have of one thing, families taking turns."""
    rows = []
    for key in families:
        if key in drawn:
            row = [drawn[key][code] for code in thing.emoji if code in drawn[key]]
        else:
            row = [FAMILIES[key].icon(thing.icons[key])] if key in thing.icons else []
        rows.append([d for d in row if f"{key} {d.hexcode or d.name}" not in thing.without])
    return [drawing for turn in zip_longest(*rows) for drawing in turn if drawing is not None]


def every_fourth(objects: Objects) -> list[str]:
    """A quarter of the classes, balanced over kinds: every fourth by CLDR group, subgroup and name."""
    table = emoji_table()
    kinds = {name: table[thing.emoji[0]] for name, thing in objects.things.items()}
    return sorted(sorted(kinds, key=lambda name: (kinds[name].group, kinds[name].subgroup, name))[::4])
