"""Embeddings of a whole domain, batch by batch, without gradient."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from tpsnet.distributed import apart, gathered, share, sharing
from tpsnet.errors import InputError
from tpsnet.types import Images


def autocast(device: torch.device | str) -> torch.autocast:
    """Autocast to bfloat16 where the device computes it natively, else to nothing; for encoders only.

    Losses, Fourier transforms and k-means stay in float32.
    """
    native = precision(device) == torch.bfloat16
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=native)


def precision(device: torch.device | str) -> torch.dtype:
    """What encoders compute in on a device."""
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    return torch.bfloat16 if native else torch.float32


@torch.no_grad()
def embed_all(
    encode: Callable[[Tensor], Tensor],
    images: Images,
    *,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Float[Tensor, "n dim"]:
    """Encode every image of a domain, in order.

    Of several processes that train together each encodes its share, and all get every vector. Where encoders
    run in bfloat16, the last digits of a vector depend on how many images share its batch.

    Args:
        encode: Maps RGB in [0, 1], (batch, 3, height, width), to L2-normalised rows (batch, dim).
        images: The images.
        batch_size: How many images are encoded at a time.
        device: Where ``encode`` lives.

    Returns:
        L2-normalised rows in float32 on the CPU.

    Raises:
        InputError: A vector is zero or not finite.
    """
    shared = sharing()
    mine = share(len(images)) if shared else torch.arange(len(images))
    vectors, start = torch.empty(0, 0), 0
    on_gpu = torch.device(device).type == "cuda"
    with autocast(device), apart():
        for part in mine.split(batch_size):
            # From pinned memory, and with no vector fetched before the last: the GPU never waits for a batch.
            pixels = images[part].pin_memory() if on_gpu else images[part]
            rows = encode(pixels.to(device, non_blocking=True).float().div_(255))
            if not start:
                vectors = torch.empty(len(mine), rows.shape[1], device=rows.device)
            vectors[start : start + len(rows)] = rows
            start += len(rows)
    vectors = vectors.cpu()
    vectors = gathered(vectors, len(images)) if shared else vectors
    vectors /= vectors.norm(dim=1, keepdim=True)  # a zero row becomes NaN
    if not vectors.isfinite().all():
        raise InputError(
            f"domain {images.name!r}: embeddings hold zeros, NaN or infinity; look at weights and precision"
        )
    return vectors


def embed_with_flip(
    encode: Callable[[Tensor], Tensor], images: Images, *, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"]]:
    """Vectors of all images and of their mirror images, see ``embed_all``."""
    mirrored = embed_all(lambda x: encode(x.flip(-1)), images, device=device)
    return embed_all(encode, images, device=device), mirrored
