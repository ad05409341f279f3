"""Fetching asks only for what is missing, at the pinned version, and never through a shell."""

import json
import subprocess

import pytest

from tools.assets import sources


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Every command instead of its run; npm "installs" what it is asked for."""
    made = []

    def run(command, cwd, **options):
        made.append(command)
        assert isinstance(command, list) and not options.get("shell")
        for wanted in (part for part in command if part.startswith("@iconify-json/")):
            package, version = wanted.rsplit("@", 1)
            folder = tmp_path / "sources" / "node_modules" / package
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "package.json").write_text(json.dumps({"version": version}))
        return subprocess.CompletedProcess(command, int("broken" in made), "", "no such package")

    monkeypatch.setenv("TPSNET_CACHE", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", run)
    return made


def test_only_missing_packages_are_fetched(calls):
    sources.fetch(["@iconify-json/noto", "@iconify-json/ph"])
    sources.fetch(["@iconify-json/noto", "@iconify-json/mdi"])
    pinned = {name: f"{name}@{version}" for name, version in sources.PACKAGES.items()}
    asked = [[part for part in command if part.startswith("@")] for command in calls]
    assert asked == [
        [pinned["@iconify-json/noto"], pinned["@iconify-json/ph"]],
        [pinned["@iconify-json/mdi"]],
    ]
    assert all("--ignore-scripts" in command for command in calls)


def test_another_version_is_replaced(calls, tmp_path):
    folder = tmp_path / "sources" / "node_modules" / "@iconify-json" / "noto"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"version": "0.0.1"}')
    assert sources.package_folder("@iconify-json/noto") == folder
    assert len(calls) == 1


def test_the_font_comes_from_debian(calls, tmp_path):
    sources.fetch([sources.SYMBOLA])
    assert [command[0] for command in calls] == ["apt-get", "dpkg"]
    sources.symbola_font().parent.mkdir(parents=True)
    sources.symbola_font().touch()
    sources.fetch([sources.SYMBOLA])
    assert len(calls) == 2


def test_a_failed_fetch_says_what_npm_said(calls):
    calls.append("broken")
    with pytest.raises(RuntimeError, match=r"npm install .* failed: no such package"):
        sources.fetch(["@iconify-json/noto"])
