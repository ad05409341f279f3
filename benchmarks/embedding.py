"""Embedding images against a plain loop over open_clip: its preprocessing, a data loader, ``encode_image``.

The images are decoded and of the network's size in both, so that preparing, encoding and collecting remain.
Where the processor computes bfloat16 natively, ours encodes in it; the plain loop is shown in float32, as it
is mostly written, and under the same autocast. Run ``python -m benchmarks.embedding``.
"""

from collections.abc import Callable

import open_clip
import torch
import torch.nn.functional as F
import tyro
from torch.utils.data import DataLoader
from torchvision.transforms.functional import to_pil_image

from tools.timing import fastest, machine, pictures, random_clip, table
from tpsnet.backbone import Backbone, embed_all, load_backbone
from tpsnet.backbone.embed import autocast, precision
from tpsnet.types import Images

BATCH = 64


def plain_loop(backbone: Backbone, images: Images, *, half: bool) -> Callable[[], torch.Tensor]:
    """A loop as open_clip's readme has it, over PIL images in memory."""
    mean, std = (x.flatten().tolist() for x in (backbone.mean, backbone.std))
    prepare = open_clip.image_transform(backbone.resize.sides[0], is_train=False, mean=mean, std=std)
    opened = [to_pil_image(image) for image in images.pixels]

    @torch.no_grad()
    def embed() -> torch.Tensor:
        rows = []
        for batch in DataLoader(
            opened, batch_size=BATCH, collate_fn=lambda x: torch.stack(list(map(prepare, x)))
        ):
            with autocast("cpu") if half else torch.autocast("cpu", enabled=False):
                rows.append(F.normalize(backbone.clip.encode_image(batch).float(), dim=1))
        return torch.cat(rows)

    return embed


def main(quick: bool = False) -> None:
    """Print images a second of the three ways.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine("open_clip_torch"), f"ours in {str(precision('cpu')).removeprefix('torch.')}\n", sep=", ")
    towers = {"embedded": (load_backbone, 64 if quick else 512)}
    towers |= {} if quick else {"ViT-B-16, random weights": (random_clip, 16)}
    rows = []
    for name, (make, n) in towers.items():
        backbone = make()
        images = pictures("a", n, backbone.resize.sides[0])
        ways = {
            "float32": plain_loop(backbone, images, half=False),
            "autocast": plain_loop(backbone, images, half=True),
            "ours": lambda b=backbone, i=images: embed_all(b.encode_image, i),
        }
        cosine = (ways["ours"]() * ways["autocast"]()).sum(dim=1)
        assert cosine.min() > 0.999, cosine.min()
        taken = fastest(ways, 1 if quick else 3)
        ratios = [taken[way] / taken["ours"] for way in ("float32", "autocast")]
        rows.append(
            [f"{name}, {backbone.resize.sides[0]} px", *(f"{n / t:.1f}" for t in taken.values()), *ratios]
        )
    plain = ["plain float32, images/s", "plain autocast, images/s", "ours, images/s"]
    table(["network", *plain, "ours / float32", "ours / autocast"], rows)


if __name__ == "__main__":
    tyro.cli(main)
