"""Phase images of a batch against NumPy's transform of one image after the other, as a data loader does it.

The plain way is that of DG-UCDIR's loader, less its clip to bytes: a whole complex transform in double
precision, amplitude and angle, and back. Both must give the same images. ``python -m benchmarks.phase``.
"""

import numpy as np
import torch
import tyro
from torch.utils.data import DataLoader, Dataset

from tools.timing import fastest, machine, pictures, table
from tpsnet.backbone import phase_image
from tpsnet.backbone.phase import LUMA


class PlainPhases(Dataset):
    """One phase image an item."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> torch.Tensor:
        grey = np.tensordot(LUMA, self.pixels[i].numpy() / 255, axes=1)
        spectrum = np.fft.fft2(grey)
        amplitude, angle = np.abs(spectrum), np.angle(spectrum)
        amplitude = np.where(amplitude < 1e-6 * amplitude.max(), 0, np.sqrt(grey.size))
        return torch.from_numpy(np.fft.ifft2(amplitude * np.exp(1j * angle)).real).float()[None]


def main(quick: bool = False) -> None:
    """Print images a second of both ways.

    Args:
        quick: Whether a small part is enough, to see that it runs.
    """
    print(machine(), "\n")
    rows, n = [], 8 if quick else 256
    for size in (64, 224):
        pixels = pictures("a", n, size).pixels
        loader = DataLoader(PlainPhases(pixels), batch_size=64)
        ways = {
            "theirs": lambda loader=loader: torch.cat(list(loader)),
            "ours": lambda x=pixels: torch.cat([phase_image(part.float() / 255) for part in x.split(64)]),
        }
        # Coefficients near the floor may fall on either side of it.
        apart = (ways["theirs"]() - ways["ours"]()).square().mean().sqrt()
        assert apart < 0.05, apart
        taken = fastest(ways, 1 if quick else 5)
        speeds = (f"{n / taken[name]:.0f}" for name in ("theirs", "ours"))
        rows.append([f"{size} px", *speeds, taken["theirs"] / taken["ours"]])
    table(["images", "NumPy, images/s", "ours, images/s", "ours / NumPy"], rows)


if __name__ == "__main__":
    tyro.cli(main)
