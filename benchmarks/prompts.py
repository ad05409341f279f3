"""Stage 1 of TPSNet: one text pass per class and step, against one per sample as CLIP-ReID's code does it.

Both sides give the same loss (asserted), on the embedded CLIP.
"""

import torch
import tyro

from tools.timing import fastest, machine, table
from tpsnet.backbone import Backbone, DomainPrompts, load_backbone
from tpsnet.losses import image_to_text

CLASSES, TEMPERATURE = 65, 0.05


def per_class(prompts: DomainPrompts, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The C prompts once."""
    return image_to_text(images, prompts(), labels, temperature=TEMPERATURE)


def per_sample(
    backbone: Backbone, prompts: DomainPrompts, images: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The prompt of every sample is encoded for it alone, then one text of each class is kept."""
    texts = backbone.encode_contexts(prompts.tokens[labels], prompts.contexts[labels], prompts.first)
    first = torch.stack([(labels == c).nonzero()[0, 0] for c in range(CLASSES)])
    return image_to_text(images, texts[first], labels, temperature=TEMPERATURE)


def main(quick: bool = False) -> None:
    """Print the ratio at two batch sizes.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    backbone, rng = load_backbone(), torch.Generator().manual_seed(0)
    print(machine(), f"{CLASSES} classes, forward and backward\n", sep="; ")
    rows = []
    for batch in (128,) if quick else (128, 512):
        prompts = DomainPrompts(backbone, CLASSES)
        labels = torch.arange(batch) % CLASSES
        images = torch.nn.functional.normalize(torch.randn(batch, backbone.dim, generator=rng), dim=1)
        given = prompts, images, labels
        torch.testing.assert_close(per_class(*given), per_sample(backbone, *given), atol=1e-4, rtol=1e-4)
        ways = {
            "sample": lambda given=given: per_sample(backbone, *given).backward(),
            "class": lambda given=given: per_class(*given).backward(),
        }
        taken = fastest(ways, 1 if quick else 5)
        rows.append([batch, taken["sample"], taken["class"], taken["sample"] / taken["class"]])
    table(["batch", "a text a sample, s", "a text a class, s", "ratio"], rows)


if __name__ == "__main__":
    tyro.cli(main)
