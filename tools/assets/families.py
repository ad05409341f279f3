"""The emoji families and icon sets: who drew what, under which licence, and how to render it.

Run tools from the repository root as modules (``python -m tools.assets.build_emoji``).

    from tools.assets.families import FAMILIES, SAME_GEOMETRY, TEACHERS, emoji_table, render, share_geometry

    table = emoji_table()                      # {hexcode: Emoji(label, tags, group, subgroup, ...)}
    family = FAMILIES["noto"]                  # .style == "shaded cartoon", .licence, .package
    drawn = family.by_hexcode()                # {hexcode: Drawing}, fetched on first use
    everything = family.drawings()             # list[Drawing]: also further variants of one emoji
    rgba = render(drawn["1f418"], 64)          # uint8 [64, 64, 4], straight alpha

A ``Drawing`` is plain data and travels to worker processes; ``render`` holds the interpreter lock,
so parallel rendering wants processes (``render_many``), not threads.
Icon sets (``game-icons``, ``ph``, ...) are not keyed by emoji: ask ``family.icon(name)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.assets.drawings import Drawing, read_drawings, read_icon, render, render_many
from tools.assets.emoji_names import Emoji, emoji_table
from tools.assets.sources import PACKAGES, SYMBOLA, SYMBOLA_VERSION

__all__ = [
    "FAMILIES",
    "SAME_GEOMETRY",
    "TEACHERS",
    "Drawing",
    "Emoji",
    "Family",
    "emoji_table",
    "render",
    "render_many",
    "share_geometry",
    "shared_pairs",
]


@dataclass(frozen=True)
class Family:
    """A set of drawings by one hand.

    Attributes:
        key: short name, key of ``FAMILIES``.
        package: npm package, or ``fonts-symbola`` (Debian).
        style: style word for captions and domains.
        licence: licence of the images (SPDX identifier where there is one).
        author: whom to credit.
        kind: how the package keeps its drawings.
    """

    key: str
    package: str
    style: str
    licence: str
    author: str
    kind: str = "iconify"

    @property
    def version(self) -> str:
        """The pinned version of the package."""
        return SYMBOLA_VERSION if self.package == SYMBOLA else PACKAGES[self.package]

    def by_hexcode(self) -> dict[str, Drawing]:
        """One drawing an emoji, by hexcode, in CLDR order; base emoji only."""
        first: dict[str, Drawing] = {}
        for drawing in self.drawings():
            first.setdefault(drawing.hexcode, drawing)
        return {code: first[code] for code in emoji_table() if code in first}

    def drawings(self) -> list[Drawing]:
        """Every drawing of a base emoji, with all variants that the family has of one."""
        return list(read_drawings(self.key, self.package, self.kind))

    def icon(self, name: str) -> Drawing:
        """The drawing with this icon name, whether or not it stands for an emoji.

        Raises:
            KeyError: the set has no such icon.
        """
        return read_icon(self.key, self.package, name)


def _table(rows: Sequence[tuple[str, ...]]) -> dict[str, Family]:
    return {row[0]: Family(*row) for row in rows}


FAMILIES = _table(
    [
        ("noto", "@iconify-json/noto", "shaded cartoon", "Apache-2.0", "Google Inc, Noto Emoji"),
        ("noto-v1", "@iconify-json/noto-v1", "blob cartoon", "Apache-2.0", "Google Inc, Noto Emoji v1"),
        ("noto-mono", "@fontsource/noto-emoji", "thin black icon", "OFL-1.1", "Google Inc", "font"),
        ("twemoji", "@iconify-json/twemoji", "flat icon", "CC-BY-4.0", "Twitter, Twemoji"),
        ("openmoji", "@iconify-json/openmoji", "outlined colour icon", "CC-BY-SA-4.0", "OpenMoji"),
        ("openmoji-black", "openmoji", "line drawing", "CC-BY-SA-4.0", "OpenMoji", "svg files"),
        ("symbola", SYMBOLA, "black line drawing", "free for any use", "George Douros", "font"),
        ("fluent-3d", "@lobehub/fluent-emoji-3d", "3D render", "MIT", "Microsoft Corporation", "webp files"),
        ("fluent", "@iconify-json/fluent-emoji", "soft 3D picture", "MIT", "Microsoft Corporation"),
        ("fluent-flat", "@iconify-json/fluent-emoji-flat", "flat icon", "MIT", "Microsoft Corporation"),
        (
            "fluent-high-contrast",
            "@iconify-json/fluent-emoji-high-contrast",
            "solid black icon",
            "MIT",
            "Microsoft Corporation",
        ),
        ("emojione", "@iconify-json/emojione", "flat cartoon", "CC-BY-4.0", "Emoji One (v2)"),
        (
            "emojione-mono",
            "@iconify-json/emojione-monotone",
            "solid black icon",
            "CC-BY-4.0",
            "Emoji One (v2)",
        ),
        ("emojione-v1", "@iconify-json/emojione-v1", "shaded cartoon", "CC-BY-SA-4.0", "Emoji One (v1)"),
        ("fxemoji", "@iconify-json/fxemoji", "flat icon", "Apache-2.0", "Mozilla, Firefox OS Emoji"),
        ("streamline", "@iconify-json/streamline-emojis", "cute outlined cartoon", "CC-BY-4.0", "Streamline"),
        (
            "game-icons",
            "@iconify-json/game-icons",
            "solid black icon",
            "CC-BY-3.0",
            "game-icons.net",
            "icons",
        ),
        ("fa6-solid", "@iconify-json/fa6-solid", "solid black icon", "CC-BY-4.0", "Font Awesome 6", "icons"),
        ("mdi", "@iconify-json/mdi", "solid black icon", "Apache-2.0", "Pictogrammers", "icons"),
        ("ph", "@iconify-json/ph", "line drawing", "MIT", "Phosphor Icons", "icons"),
        ("tabler", "@iconify-json/tabler", "line drawing", "MIT", "Paweł Kuna, Tabler Icons", "icons"),
        ("lucide", "@iconify-json/lucide", "line drawing", "ISC", "Lucide Contributors", "icons"),
    ]
)

# Families that redraw one another: an image of one has a recoloured twin in the other.
SAME_GEOMETRY = (
    frozenset({"openmoji", "openmoji-black"}),
    frozenset({"fluent-3d", "fluent", "fluent-flat", "fluent-high-contrast"}),
    frozenset({"emojione", "emojione-mono"}),
    frozenset({"noto", "noto-mono"}),
    frozenset({"noto", "noto-v1"}),  # only some drawings of noto-v1 survive in noto
)

# Kept for pretraining: they show the benchmark's objects to the CLIP and are in no domain.
TEACHERS = ("streamline", "noto-v1")


def share_geometry(first: str, second: str) -> bool:
    """Whether two families hold drawings with the same outlines (a family does with itself)."""
    return first == second or any({first, second} <= group for group in SAME_GEOMETRY)


def shared_pairs(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs across two lists of families that share geometry."""
    return [(a, b) for a in first for b in second if share_geometry(a, b)]
