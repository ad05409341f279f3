"""``tpsnet prepare``: an image folder, decoded and checked."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from tpsnet.data import image_folder, load_images
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
