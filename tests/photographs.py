"""Generated photographs of odd sizes in every form that a folder holds, and open_clip's own way with them."""

import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image, ImageOps
from safetensors.torch import save_file
from torch import Tensor

ORIENTATION = 0x0112  # of EXIF


def photograph(height: int, width: int) -> Image.Image:
    """Soft shapes and fine grain, in three unlike channels."""
    y, x = np.mgrid[:height, :width]
    soft = np.stack([127 + 90 * np.sin(x / 29), 127 + 90 * np.cos(y / 17), (2 * x + y) % 200], 2)
    grain = np.random.default_rng(height * width).normal(0, 25, soft.shape)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


def write_photographs(folder: Path) -> list[Path]:
    """Portrait, landscape, turned by EXIF, grey, palette, and one smaller than any network takes it."""
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photograph(457, 301).save(folder / "0.jpg", quality=95)
    photograph(211, 503).save(folder / "1.jpg", quality=95)
    photograph(301, 433).save(folder / "2.jpg", quality=95, exif=exif)
    photograph(333, 277).convert("L").save(folder / "3.jpg", quality=95)
    photograph(240, 319).quantize(64).save(folder / "4.png")
    photograph(61, 47).save(folder / "5.png")
    return sorted(folder.iterdir())


def write_folder(folder: Path, config: dict, preprocessing: dict) -> str:
    """A network with random weights as a folder; returns its local-dir: address."""
    given = json.loads(json.dumps(config))
    kind = open_clip.CustomTextCLIP if given.pop("custom_text", False) else open_clip.CLIP
    folder.mkdir(parents=True)
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocessing})
    (folder / "open_clip_config.json").write_text(text)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = kind(**given)
    for module in clip.modules():  # new ones would pass everything on, or, at the end of a block, nothing
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
            module.running_var.fill_(0.5)
            module.running_mean.fill_(0.1)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def open_clips_own(address: str, files: list[Path]) -> Tensor:
    """L2-normalised vectors by open_clip alone.

    It turns nothing by EXIF and resizes the numbers of a palette, not its colours; both are done for it.
    """
    clip, _, transform = open_clip.create_model_and_transforms(address)
    upright = [ImageOps.exif_transpose(Image.open(file)).convert("RGB") for file in files]
    with torch.no_grad():
        return clip.eval().encode_image(torch.stack([transform(image) for image in upright]), normalize=True)
