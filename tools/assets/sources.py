"""Fetching the emoji families: npm packages at pinned versions and one Debian font.

Everything lands in one folder, ``$TPSNET_CACHE/sources`` (default ``~/.cache/tpsnet/sources``);
what already lies there at the right version is used as it is. Fetching is all that needs a network.
"""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tpsnet.data import cache_home

PACKAGES = {
    "@fontsource/noto-emoji": "5.3.2",
    "@iconify-json/emojione": "1.2.3",
    "@iconify-json/emojione-monotone": "1.2.1",
    "@iconify-json/emojione-v1": "1.2.3",
    "@iconify-json/fa6-solid": "1.2.4",
    "@iconify-json/fluent-emoji": "1.2.7",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/fluent-emoji-high-contrast": "1.2.6",
    "@iconify-json/fxemoji": "1.2.2",
    "@iconify-json/game-icons": "1.2.4",
    "@iconify-json/lucide": "1.2.137",
    "@iconify-json/mdi": "1.2.3",
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/noto-v1": "1.2.5",
    "@iconify-json/openmoji": "1.2.29",
    "@iconify-json/ph": "1.2.2",
    "@iconify-json/streamline-emojis": "1.2.4",
    "@iconify-json/tabler": "1.2.41",
    "@iconify-json/twemoji": "1.2.5",
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "emojibase-data": "17.0.0",
    "openmoji": "17.0.0",
}
SYMBOLA = "fonts-symbola"
SYMBOLA_VERSION = "2.60-1.1"


def sources_root() -> Path:
    """The folder that holds every fetched package."""
    return cache_home() / "sources"


def fetch(packages: Iterable[str]) -> None:
    """Make the named packages present at their pinned versions.

    Args:
        packages: keys of ``PACKAGES``, or ``SYMBOLA``.

    Raises:
        RuntimeError: npm, apt-get or dpkg failed; the message holds what it said.
    """
    root, wanted = sources_root(), set(packages)
    root.mkdir(parents=True, exist_ok=True)
    missing = [p for p in sorted(wanted - {SYMBOLA}) if _installed_version(root, p) != PACKAGES[p]]
    if missing:
        names = [f"{package}@{PACKAGES[package]}" for package in missing]
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"]
        _call(["npm", "install", "--prefix", str(root), *quiet, *names], root)
    if SYMBOLA in wanted and not symbola_font().exists():
        _call(["apt-get", "download", f"{SYMBOLA}={SYMBOLA_VERSION}"], root)
        _call(["dpkg", "-x", f"{SYMBOLA}_{SYMBOLA_VERSION}_all.deb", SYMBOLA], root)


def package_folder(package: str) -> Path:
    """The folder of an npm package, fetched when it is not there yet."""
    fetch([package])
    return sources_root() / "node_modules" / package


def symbola_font() -> Path:
    """Where the Symbola font lies once ``fetch([SYMBOLA])`` has run."""
    return sources_root() / SYMBOLA / "usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf"


def _installed_version(root: Path, package: str) -> str | None:
    manifest = root / "node_modules" / package / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else None


def _call(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
