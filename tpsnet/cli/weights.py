"""``tpsnet prepare weights``: the weights of a named CLIP, fetched once and kept in a folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tpsnet.backbone import keep_weights
from tpsnet.escape import printable
from tpsnet.settings import Settings


@dataclass(frozen=True)
class PrepareWeights(Settings):
    """Fetch the weights of a CLIP once, and keep them with their preprocessing for use without a network."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """An open_clip name, such as ViT-B-16 or RN50."""
    pretrained: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TAG|FILE")]
    """The tag, such as openai (downloads), or a weights file: OpenAI's .pt, a checkpoint, safetensors."""
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """The new folder, which is there whole or not at all; then --model local-dir:FOLDER reads it."""

    def __call__(self) -> None:
        """Print how the folder is used."""
        folder = keep_weights(self.model, self.pretrained, self.folder)
        print(printable(f"kept {self.model} {self.pretrained}; use it with --model local-dir:{folder}"))
