"""``tpsnet prepare``: an image folder, decoded and checked; ``tpsnet shape``: the same in another shape."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from tpsnet.data import Shape, embedded_root, image_folder, load_images, write_shape
from tpsnet.errors import InputError


@dataclass(frozen=True)
class Prepare:
    """Decode an image folder (root/domain/class/image) into the cache, and check every image."""

    root: tyro.conf.Positional[Path]
    """The folder that holds the domains."""
    size: int = 224
    """Side of the decoded images in pixels: the image size of the CLIP to be used."""

    def __call__(self) -> None:
        """Print the counts of each domain; unreadable images are named one per line, and are an error."""
        if self.size < 1:
            raise InputError(f"--size {self.size}: give a positive number of pixels")
        skipped = 0
        for domain in image_folder(self.root).values():
            kept, _ = load_images(domain, self.size)
            print(f"{domain.name}: {len(kept)} images of {len(domain.labels.unique())} classes", flush=True)
            skipped += len(domain) - len(kept)
        if skipped:
            raise InputError(
                f"{self.root}: {skipped} images cannot be used; mend or remove those named above"
            )


@dataclass(frozen=True)
class WriteShape:
    """Write a tree of links to the same images under other classes or in other numbers, for ``--root``."""

    shape: tyro.conf.Positional[Shape]
    """Nine large classes (of the embedded images alone), classes of uneven sizes, or five images a class."""
    folder: tyro.conf.Positional[Path]
    """The tree's root; it must not exist."""
    root: Path | None = None
    """The folder that holds the domains; by default the embedded images."""
    seed: int = 0
    """Seed of what is kept."""

    def __call__(self) -> None:
        """Print the counts of each domain."""
        counts = write_shape(image_folder(self.root or embedded_root()), self.folder, self.shape, self.seed)
        for name, number in counts.items():
            print(f"{name}: {number} images")
