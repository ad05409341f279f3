"""Augmentation of a batch on the device against torchvision's transforms, one image after the other.

Both crop, mirror, change colours, drop colour and blur with the same settings. Torchvision's run as a data
loader's worker runs them, on decoded images in memory. Run ``python -m benchmarks.augmentation``.
"""

import torch
import tyro
from torchvision.transforms import v2

from tools.timing import fastest, machine, pictures, table
from tpsnet.data import Augment, AugmentConfig


def per_sample(cfg: AugmentConfig, size: int) -> v2.Compose:
    """The same settings in torchvision's words."""
    low, high = (max(0.1, share * size) for share in cfg.blur_sigma)
    kernel = 2 * round(3 * high) + 1
    colours = v2.ColorJitter(cfg.brightness, cfg.contrast, cfg.saturation, cfg.hue)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=cfg.crop_scale, ratio=cfg.crop_ratio, antialias=True),
            v2.RandomHorizontalFlip(cfg.flip),
            v2.RandomApply([colours], p=cfg.jitter),
            v2.RandomGrayscale(cfg.grey),
            v2.RandomApply([v2.GaussianBlur(kernel, (low, high))], p=cfg.blur),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )


def main(quick: bool = False) -> None:
    """Print images a second of both ways.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine("torchvision"), "\n")
    rows, n = [], 8 if quick else 128
    for size in (64, 224):
        for blur in (0.0, 0.5):
            cfg = AugmentConfig(blur=blur)
            pixels, theirs, ours = pictures("a", n, size).pixels, per_sample(cfg, size), Augment(cfg)
            rng = torch.Generator().manual_seed(0)
            ways = {
                "theirs": lambda f=theirs, x=pixels: torch.stack([f(image) for image in x]),
                "ours": lambda f=ours, x=pixels, rng=rng: f(x.float() / 255, rng),
            }
            taken = fastest(ways, 1 if quick else 5)
            shape = [f"{size} px, blur {blur:g}", n / taken["theirs"], n / taken["ours"]]
            rows.append(
                [*(f"{x:.0f}" if isinstance(x, float) else x for x in shape), taken["theirs"] / taken["ours"]]
            )
    table(["images", "torchvision, images/s", "ours, images/s", "ours / torchvision"], rows)


if __name__ == "__main__":
    tyro.cli(main)
