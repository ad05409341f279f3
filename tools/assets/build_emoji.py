"""Build the embedded images in ``tpsnet/assets``: two zips, provenance, contact sheets, unseen classes.

    python -m tools.assets.build_emoji

``emoji.zip`` is the benchmark, ``further.zip`` holds objects for zero-shot methods to train on. Each is a
plain tree ``domain/class/number.webp``. Every image follows from a curated list, the pinned families and
one seed, so two builds are the same byte for byte.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image, ImageDraw
from tqdm import tqdm

from tools.assets.clip_corpus import RELATED_TWIN, closest
from tools.assets.drawings import Drawing, render, render_many
from tools.assets.families import FAMILIES
from tools.assets.likeness import GRID, TWIN, twins
from tools.assets.objects import CURATED, FURTHER, Objects, every_fourth
from tools.assets.poses import CANVAS, Pose, draw_pose, pose_image, trim, webp
from tpsnet.io import replacing, write_text

ROOT = Path(__file__).parents[2]
SHEET_COLUMNS = 5  # objects a row of the contact sheet
SHEET_CELL = 40

Hands = Mapping[str, Mapping[str, Sequence[Drawing]]]


@dataclass(frozen=True)
class Job:
    """The images of one class in one domain."""

    domain: str
    name: str
    drawings: tuple[Drawing, ...]
    count: int
    seed: int
    may_mirror: bool


def main(
    assets: Path = ROOT / "tpsnet" / "assets",
    docs: Path = ROOT / "docs",
    seed: int = 0,
    processes: int = 2,
) -> None:
    """Build zips, provenance and contact sheets.

    Args:
        assets: folder for the zips and their JSON.
        docs: folder for the contact sheets, one image of every object in every domain.
        seed: every pose follows from it.
        processes: worker processes.
    """
    benchmark, further = Objects.load(CURATED), Objects.load(FURTHER)
    refuse_repeats(benchmark.hands(), further.hands(), processes)
    write_text(assets / "unseen.txt", "\n".join(every_fourth(benchmark)) + "\n")
    for name, objects, count in (("emoji", benchmark, 16), ("further", further, 8)):
        hands = objects.hands()
        if pairs := [f"{a.family} {a.name} ~ {b.family} {b.name}" for _, a, b in twins(hands)]:
            raise SystemExit(f"these drawings are twins across domains: {'; '.join(pairs)}")
        written = {name for name, thing in objects.things.items() if thing.written}
        build(hands, assets, name, count=count, seed=seed, written=written, processes=processes)
        draw_contact_sheet(assets / f"{name}.zip", docs / f"contact_sheet_{name}.webp")
        size = (assets / f"{name}.zip").stat().st_size
        print(f"{assets / name}.zip: {size / 1e6:.2f} MB, {len(objects.things)} classes")


def refuse_repeats(benchmark: Hands, further: Hands, processes: int) -> None:
    """Stop if a further drawing repeats one of the benchmark's, by the limits of the pretraining."""
    ours, theirs = (
        [d for classes in hands.values() for drawings in classes.values() for d in drawings]
        for hands in (further, benchmark)
    )
    pixels = (render_many(drawings, 2 * GRID, processes) for drawings in (ours, theirs))
    likes, related = closest(ours, next(pixels), theirs, next(pixels), processes)
    if repeats := [
        f"{drawing.family} {drawing.name}"
        for drawing, like, kin in zip(ours, likes, related, strict=True)
        if like > TWIN or kin > RELATED_TWIN
    ]:
        raise SystemExit(f"these further drawings repeat one of the benchmark: {'; '.join(repeats)}")


def build(
    hands: Hands, assets: Path, name: str, *, count: int, seed: int, written: set[str], processes: int = 1
) -> None:
    """Pose every drawing and write a zip and its JSON.

    Args:
        hands: domain -> class -> drawings; image ``i`` shows drawing ``i`` modulo their number.
        assets: output folder.
        name: of both files, without their endings.
        count: images per class and domain.
        seed: every pose follows from it.
        written: classes that are never mirrored.
        processes: worker processes.
    """
    jobs = [
        Job(domain, thing, tuple(classes[thing]), count, seed, thing not in written)
        for domain, classes in sorted(hands.items())
        for thing in sorted(classes)
    ]
    with ProcessPoolExecutor(processes) as pool:
        done = list(tqdm(pool.map(images, jobs), total=len(jobs), desc="posing", unit="class", mininterval=2))
    with replacing(assets / f"{name}.zip") as partial, zipfile.ZipFile(partial, "w") as archive:
        for job, made in zip(jobs, done, strict=True):
            for number, (data, _) in enumerate(made):
                archive.writestr(_entry(f"{job.domain}/{job.name}/{number:02}.webp"), data)
    write_text(assets / f"{name}.json", provenance(jobs, [[pose for _, pose in made] for made in done]))


def images(job: Job) -> list[tuple[bytes, Pose]]:
    """The finished images of one class in one domain, each with its pose."""
    drawings = [trim(render(drawing, CANVAS)) for drawing in job.drawings]
    made = []
    for number in range(job.count):
        pose = draw_pose(job.seed, job.domain, job.name, number, job.may_mirror)
        made.append((webp(pose_image(drawings[number % len(drawings)], pose)), pose))
    return made


def provenance(jobs: Sequence[Job], poses: Sequence[Sequence[Pose]]) -> str:
    """JSON that tells of each image who drew it and how it lies.

    ``families`` gives package, version and licence; ``classes`` has one line per domain and class
    with ``hands`` ``[family, name in the family, hexcode]`` and ``poses``
    ``[angle, divisor, dx, dy, mirror, paper]``; image ``i`` shows hand ``i`` modulo their number.
    """
    used = sorted({drawing.family for job in jobs for drawing in job.drawings})
    families = {
        key: {part: getattr(FAMILIES[key], part) for part in ("package", "version", "licence", "author")}
        for key in used
    }
    lines = []
    for job, rows in zip(jobs, poses, strict=True):
        entry = {
            "domain": job.domain,
            "class": job.name,
            "hands": [[d.family, d.name, d.hexcode] for d in job.drawings],
            "poses": [pose.row() for pose in rows],
        }
        lines.append("  " + json.dumps(entry, separators=(",", ":")))
    return f'{{\n "families": {json.dumps(families)},\n "classes": [\n' + ",\n".join(lines) + "\n ]\n}\n"


def draw_contact_sheet(archive: Path, out: Path) -> None:
    """One image of every class in every domain, classes in alphabetical order."""
    with zipfile.ZipFile(archive) as file:
        first = sorted(name for name in file.namelist() if name.endswith("/00.webp"))
        tiles = {name.rsplit("/", 1)[0]: Image.open(file.open(name)).convert("RGB") for name in first}
    domains = sorted({key.split("/")[0] for key in tiles})
    classes = sorted({key.split("/")[1] for key in tiles})
    rows = -(-len(classes) // SHEET_COLUMNS)
    block = len(domains) * SHEET_CELL
    sheet = Image.new("RGB", (SHEET_COLUMNS * (block + 8), rows * (SHEET_CELL + 14)), "white")
    pen = ImageDraw.Draw(sheet)
    for i, name in enumerate(classes):
        left, top = i % SHEET_COLUMNS * (block + 8), i // SHEET_COLUMNS * (SHEET_CELL + 14)
        pen.text((left + 2, top), name.replace("_", " "), fill="black")
        for j, domain in enumerate(domains):
            tile = tiles[f"{domain}/{name}"].resize((SHEET_CELL, SHEET_CELL), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left + j * SHEET_CELL, top + 12))
    with replacing(out) as partial:
        sheet.save(partial, "WEBP", quality=75, method=6)


def _entry(name: str) -> zipfile.ZipInfo:
    """A zip entry that carries nothing of the day or machine it was made on."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    return entry


if __name__ == "__main__":
    tyro.cli(main)
