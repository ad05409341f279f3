"""A small CLIP as a folder of the package transformers, written by hand from open_clip's network."""

import json
from pathlib import Path

import open_clip
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import save_file
from torch import Tensor

VISION = {"image_size": 32, "layers": 2, "width": 60, "head_width": 20, "patch_size": 8, "mlp_ratio": 2.06}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 4, "layers": 1, "mlp_ratio": 2}
MODEL = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}
IMAGES = {
    "hidden_size": 60,
    "intermediate_size": 123,  # over 60 and times 60 again this is below 123
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 32,
    "patch_size": 8,
}
TEXTS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "max_position_embeddings": 16,
}
PREPARED = {
    "image_processor_type": "CLIPImageProcessor",
    "image_mean": list(OPENAI_DATASET_MEAN),
    "image_std": list(OPENAI_DATASET_STD),
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "resample": 3,
}


def built(quick: bool = True) -> open_clip.CLIP:
    """A network of open_clip's with random weights; none of its numbers is that of another place."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = open_clip.CLIP(**MODEL, quick_gelu=quick).eval()
        for parameter in clip.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return clip


def layer(ours: dict[str, Tensor], before: str, prefix: str) -> dict[str, Tensor]:
    """One block of a tower under the names of transformers."""
    found = {}
    for kind in ("weight", "bias"):
        query, key, value = ours[f"{before}attn.in_proj_{kind}"].chunk(3)
        found[f"{prefix}self_attn.q_proj.{kind}"] = query
        found[f"{prefix}self_attn.k_proj.{kind}"] = key
        found[f"{prefix}self_attn.v_proj.{kind}"] = value
        found[f"{prefix}self_attn.out_proj.{kind}"] = ours[f"{before}attn.out_proj.{kind}"]
        found[f"{prefix}layer_norm1.{kind}"] = ours[f"{before}ln_1.{kind}"]
        found[f"{prefix}layer_norm2.{kind}"] = ours[f"{before}ln_2.{kind}"]
        found[f"{prefix}mlp.fc1.{kind}"] = ours[f"{before}mlp.c_fc.{kind}"]
        found[f"{prefix}mlp.fc2.{kind}"] = ours[f"{before}mlp.c_proj.{kind}"]
    return found


def renamed(clip: open_clip.CLIP) -> dict[str, Tensor]:
    """The weights under the names of transformers."""
    ours = clip.state_dict()
    found = {
        "logit_scale": ours["logit_scale"],
        "text_projection.weight": ours["text_projection"].T,
        "visual_projection.weight": ours["visual.proj"].T,
        "text_model.embeddings.token_embedding.weight": ours["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": ours["positional_embedding"],
        "text_model.final_layer_norm.weight": ours["ln_final.weight"],
        "text_model.final_layer_norm.bias": ours["ln_final.bias"],
        "vision_model.embeddings.class_embedding": ours["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": ours["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": ours["visual.positional_embedding"],
        "vision_model.pre_layrnorm.weight": ours["visual.ln_pre.weight"],
        "vision_model.pre_layrnorm.bias": ours["visual.ln_pre.bias"],
        "vision_model.post_layernorm.weight": ours["visual.ln_post.weight"],
        "vision_model.post_layernorm.bias": ours["visual.ln_post.bias"],
    }
    found |= layer(ours, "transformer.resblocks.0.", "text_model.encoder.layers.0.")
    found |= layer(ours, "visual.transformer.resblocks.0.", "vision_model.encoder.layers.0.")
    found |= layer(ours, "visual.transformer.resblocks.1.", "vision_model.encoder.layers.1.")
    return {name: tensor.contiguous().clone() for name, tensor in found.items()}


def configuration(act: str = "quick_gelu", **more: object) -> dict:
    """``config.json`` as transformers 5 writes it, without what is as usual."""
    texts, images = TEXTS | {"hidden_act": act}, IMAGES | {"hidden_act": act}
    config = {"model_type": "clip", "projection_dim": 24, "text_config": texts, "vision_config": images}
    return config | more


def write(folder: Path, clip: open_clip.CLIP, config: dict, images: dict = PREPARED) -> str:
    """The network as transformers saves it; returns its address."""
    folder.mkdir()
    save_file(renamed(clip), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    return f"local-dir:{folder}"
