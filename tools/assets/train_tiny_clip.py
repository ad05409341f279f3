"""Pretrain the embedded CLIP on emoji drawings that are no benchmark image.

    python -m tools.assets.train_tiny_clip     # writes tpsnet/assets/tiny_clip

What it sees and what it must not see is decided in ``tools.assets.clip_corpus``.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import open_clip
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Bool, Float
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import Tensor, nn

from tools.assets.clip_corpus import Corpus, build_corpus
from tools.assets.clip_views import pose, recolour
from tpsnet.io import replacing, write_json, write_text

CONTEXT = 24  # tokens a caption
PROXY_SCALE = 16.0  # inverse temperature of the classification by proxies
FOLDER = Path(__file__).parents[2] / "tpsnet" / "assets" / "tiny_clip"


@dataclass(frozen=True)
class Recipe:
    """How the embedded CLIP is made.

    Attributes:
        mono_share: share of line and solid drawings among the images.
        trunk: timm model that is the image tower.
        image_size: side of the input, px.
        dim: length of an embedding.
        text_width: width of the text tower.
        epochs: passes over the images.
        early_size: side of the input in the first ``early`` share of the epochs, px: most is learned there.
        early: that share.
        batch_size: images (and captions) a step.
        lr: peak rate of the one-cycle schedule.
        weight_decay: of AdamW, on matrices and kernels.
        grey: share of the batch that loses its colour.
        edge: share of the batch replaced by its outlines.
        threads: processor threads.
        seed: of everything random.
        output: the folder to write.
    """

    mono_share: float = 0.25
    trunk: str = "cs3darknet_focus_s"
    image_size: int = 72
    dim: int = 192
    text_width: int = 96
    epochs: int = 24
    early_size: int = 48
    early: float = 0.6
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.05
    grey: float = 0.1
    edge: float = 0.05
    threads: int = 2
    seed: int = 0
    output: Path = FOLDER


def model_config(recipe: Recipe) -> dict:
    """The ``model_cfg`` of ``open_clip_config.json``."""
    vision = {
        "image_size": recipe.image_size,
        "timm_model_name": recipe.trunk,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
    }
    text = {
        "context_length": CONTEXT,
        "vocab_size": 49408,
        "width": recipe.text_width,
        "heads": 4,
        "layers": 2,
    }
    return {"embed_dim": recipe.dim, "vision_cfg": vision, "text_cfg": text}


def contrast(
    images: Float[Tensor, "batch dim"],
    texts: Float[Tensor, "batch dim"],
    same: Bool[Tensor, "batch batch"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """InfoNCE both ways with several positives: cross-entropy to the uniform choice among them.

    Args:
        images: unit rows.
        texts: unit rows, caption ``i`` belongs to image ``i``.
        same: which captions fit which images; its diagonal is true.
        scale: inverse temperature.
    """
    logits = scale * images @ texts.T
    target = same.float()
    rows = -(target / target.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1)
    columns = -(target / target.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0)
    return (rows.mean() + columns.mean()) / 2


def train(recipe: Recipe, corpus: Corpus) -> CLIP:
    """One visible loop over shuffled images, each with one of its captions at random."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    # Training holds only the words and places that occur; in the tokenizer's order the end mark stays last.
    tokens = open_clip.SimpleTokenizer(context_length=CONTEXT)(list(corpus.captions))
    tokens = tokens[:, : int((tokens > 0).sum(dim=1).max())]
    vocabulary, words = tokens.unique(return_inverse=True)
    config = model_config(recipe)
    config["text_cfg"] |= {"vocab_size": len(vocabulary), "context_length": tokens.shape[1]}
    model = CLIP(**config).to(memory_format=torch.channels_last)
    steps = math.ceil(len(corpus.pixels) / recipe.batch_size) * recipe.epochs
    proxies = nn.Parameter(0.05 * torch.randn(int(corpus.emoji.max()) + 1, recipe.dim))
    groups = [*_groups(model, recipe.weight_decay), {"params": [proxies], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps, pct_start=0.15)
    start = time.time()
    for epoch in range(recipe.epochs):
        total = torch.zeros(2)
        size = recipe.early_size if epoch < recipe.early * recipe.epochs else recipe.image_size
        batches = torch.randperm(len(corpus.pixels), generator=generator).split(recipe.batch_size)
        for batch in batches:
            images = pose(corpus.pixels[batch], size, generator)
            images = recolour(images, generator, grey=recipe.grey, edge=recipe.edge)
            picks = torch.randint(corpus.choices.shape[1], (len(batch),), generator=generator)
            said = corpus.choices[batch, picks]
            with torch.autocast("cpu", torch.bfloat16):
                z = model.encode_image(images.sub(0.5).div(0.5).contiguous(memory_format=torch.channels_last))
                t = model.encode_text(words[said])
            same = (corpus.emoji[batch][:, None] == corpus.emoji[batch]) | (said[:, None] == said)
            z, t = F.normalize(z.float(), dim=1), F.normalize(t.float(), dim=1)
            guess = PROXY_SCALE * z @ F.normalize(proxies, dim=1).T
            named = F.cross_entropy(guess, corpus.emoji[batch])
            loss = contrast(z, t, same, model.logit_scale.exp()) + named
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            cycle.step()
            with torch.no_grad():
                model.logit_scale.clamp_(max=math.log(50))
            total += torch.tensor([loss.item() - named.item(), named.item()])
        mean, seconds = total / len(batches), time.time() - start
        print(
            f"epoch {epoch + 1}/{recipe.epochs} contrast {mean[0]:.3f} proxy {mean[1]:.3f} {seconds:.0f} s",
            flush=True,
        )
    return _with_all_words(model, recipe, vocabulary)


def _with_all_words(model: CLIP, recipe: Recipe, vocabulary: Tensor) -> CLIP:
    """The same model over all words and places; those never met say nothing, not noise."""
    whole = CLIP(**model_config(recipe))
    state = model.state_dict()
    words = torch.zeros_like(whole.token_embedding.weight)
    words[vocabulary] = state["token_embedding.weight"]
    places = torch.zeros_like(whole.positional_embedding)
    places[: len(state["positional_embedding"])] = state["positional_embedding"]
    whole.load_state_dict({**state, "token_embedding.weight": words, "positional_embedding": places})
    return whole.eval()


def save(model: CLIP, recipe: Recipe, corpus: Corpus) -> None:
    """Write configuration, half-precision weights and the list of images."""
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": model_config(recipe), "preprocess_cfg": preprocess}
    half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    write_json(recipe.output / "open_clip_config.json", config)
    write_text(recipe.output / "corpus.json", corpus.manifest())
    with replacing(recipe.output / "open_clip_model.safetensors") as partial:
        save_file(half, partial)
        partial.chmod(0o644)  # safetensors makes files that only their owner reads


def main(recipe: Recipe) -> None:
    """Build the corpus, train, and write the folder."""
    torch.set_num_threads(recipe.threads)
    corpus = build_corpus(recipe.mono_share, recipe.seed, recipe.threads)
    save(train(recipe, corpus), recipe, corpus)


def _groups(model: nn.Module, weight_decay: float) -> list[dict]:
    decayed = [p for n, p in model.named_parameters() if p.ndim > 1 and "embedding" not in n]
    kept = [p for n, p in model.named_parameters() if p.ndim <= 1 or "embedding" in n]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]


if __name__ == "__main__":
    main(tyro.cli(Recipe))
