"""Stage 1 of TPSNet: one text pass per class and step, against one per sample as CLIP-ReID's code does it.

Both sides give the same loss (asserted), on the embedded CLIP.
"""

import statistics
import time
from functools import partial

import torch

from tpsnet.backbone import Backbone, DomainPrompts, load_backbone
from tpsnet.losses import image_to_text

CLASSES, TEMPERATURE, ROUNDS = 65, 0.05, 7


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


def seconds(way, *args: torch.Tensor) -> float:
    """Of one forward and backward pass."""
    start = time.perf_counter()
    way(*args).backward()
    return time.perf_counter() - start


def main() -> None:
    """Print the ratio at two batch sizes, the median of alternating rounds."""
    backbone = load_backbone()
    slow_way, rng = partial(per_sample, backbone), torch.Generator().manual_seed(0)
    print(f"{CLASSES} classes, forward and backward, medians of {ROUNDS} alternating rounds")
    for batch in (128, 512):
        prompts = DomainPrompts(backbone, CLASSES)
        labels = torch.arange(batch) % CLASSES
        images = torch.nn.functional.normalize(torch.randn(batch, backbone.dim, generator=rng), dim=1)
        ours = per_class(prompts, images, labels)
        torch.testing.assert_close(ours, slow_way(prompts, images, labels), atol=1e-4, rtol=1e-4)
        pairs = [
            (seconds(slow_way, prompts, images, labels), seconds(per_class, prompts, images, labels))
            for _ in range(ROUNDS)
        ]
        slow, fast = (statistics.median(times) for times in zip(*pairs, strict=True))
        print(f"batch {batch}: one pass per sample / one pass per class = {slow / fast:.1f}×")


if __name__ == "__main__":
    main()
