"""A CLIP in the format of the package transformers: the vectors of open_clip's network, or one line."""

import json
import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import load_file, save_file
from transformers_folder import IMAGES, MODEL, PREPARED, TEXTS, built, configuration, renamed, write

from tpsnet.backbone import load_backbone
from tpsnet.errors import InputError

WORDS = ["an ant", "two Größen of a naïve bee", "word " * 40]


def put(file: Path, values: dict) -> None:
    """Changes values of a JSON file."""
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "clip", built(), configuration())
    return tmp_path / "clip"


def check_vectors(clip: open_clip.CLIP, address: str) -> None:
    """They are those of open_clip's network itself."""
    backbone = load_backbone(address)
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    tokens = open_clip.SimpleTokenizer(context_length=16)(WORDS)
    with torch.no_grad():
        pictures = clip.encode_image((images - mean) / std, normalize=True)
        texts = clip.encode_text(tokens, normalize=True)
    torch.testing.assert_close(backbone.encode_image(images), pictures, atol=1e-6, rtol=0)
    torch.testing.assert_close(backbone.encode_text(WORDS), texts, atol=1e-6, rtol=0)
    assert (pictures[0] - pictures[1]).abs().max() > 1e-3 and (texts[0] - texts[1]).abs().max() > 1e-3
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_vectors_and_identity_are_those_of_open_clips_network(tmp_path, act):
    """Also as a run stores them: the same CLIP in open_clip's own format is the same model."""
    clip = built(act == "quick_gelu")
    address = write(tmp_path / "clip", clip, configuration(act))
    check_vectors(clip, address)
    own = tmp_path / "own"
    own.mkdir()
    save_file(clip.state_dict(), own / "open_clip_model.safetensors")
    images = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
    config = {"model_cfg": MODEL | {"quick_gelu": act == "quick_gelu"}, "preprocess_cfg": images}
    (own / "open_clip_config.json").write_text(json.dumps(config))
    one, other = load_backbone(address), load_backbone(f"local-dir:{own}")
    assert one.identity == other.identity and one.preprocessing == other.preprocessing
    assert one.quick_gelu == other.quick_gelu == (act == "quick_gelu") and one.model == address
    assert one.clip.visual.image_size == other.clip.visual.image_size


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_becomes_float32(folder, dtype):
    halved = {name: t.to(dtype) for name, t in renamed(built()).items()}
    save_file(halved, folder / "model.safetensors")
    clip = built()
    clip.load_state_dict({name: t.to(dtype).float() for name, t in clip.state_dict().items()})
    check_vectors(clip, f"local-dir:{folder}")


def test_older_folders(folder):
    """As OpenAI's on the hub: a pickle, position buffers, sizes as numbers, eos 2, two ``…_config_dict``."""
    state = renamed(built(quick=False))
    state["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    state["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    older = {"text_config_dict": TEXTS | {"hidden_act": "gelu", "eos_token_id": 2}}
    older |= {"vision_config_dict": IMAGES | {"hidden_act": "gelu"}, "text_config": None}
    (folder / "config.json").write_text(json.dumps(configuration(**older)))
    images = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}
    images |= {name: PREPARED[name] for name in ("image_mean", "image_std")}
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    check_vectors(built(quick=False), f"local-dir:{folder}")


def test_newer_folders_keep_images_and_words_in_one_file(folder):
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": PREPARED}))
    check_vectors(built(), f"local-dir:{folder}")
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "CLIPProcessor"}))
    with pytest.raises(InputError, match=r"processor_config\.json: image_processor: "):
        load_backbone(f"local-dir:{folder}")


def test_a_snapshot_of_the_hub_is_links(folder):
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, file in enumerate(sorted(folder.iterdir())):
        file.rename(blobs / f"{number:040x}")
        file.symlink_to(f"../blobs/{number:040x}")
    check_vectors(built(), f"local-dir:{folder}")
    (folder / "model.safetensors").resolve().unlink()
    check_refused(folder, r"cannot read .*model\.safetensors \(No such file")


@pytest.mark.parametrize(
    ("part", "name", "reason"),
    [
        ("", "projection_dim", r"describes \(512, \d+\)"),
        ("vision_config", "image_size", "images of 224 px"),
        ("vision_config", "patch_size", r"describes \(2, 60\)"),
        ("vision_config", "hidden_size", r"describes \(768,\)"),
        ("vision_config", "intermediate_size", r"mlp\.fc1\.weight .*describes \(3072, 60\)"),
        ("vision_config", "num_hidden_layers", r"has no vision_model\.encoder\.layers\.2"),
        ("text_config", "max_position_embeddings", r"describes \(77, 32\)"),
        ("text_config", "hidden_size", r"describes \(16, 512\)"),
        ("text_config", "intermediate_size", r"mlp\.fc1\.weight .*describes \(2048, 32\)"),
        ("text_config", "num_hidden_layers", r"has no text_model\.encoder\.layers\.1"),
    ],
)
def test_what_a_configuration_leaves_out_is_as_in_transformers(folder, part, name, reason):
    config = configuration()
    del (config[part] if part else config)[name]
    (folder / "config.json").write_text(json.dumps(config))
    check_refused(folder, reason)


def test_what_else_is_left_out_is_as_in_transformers(folder):
    config = configuration()
    for part in ("text_config", "vision_config"):
        for name in ("hidden_act", "num_attention_heads"):
            del config[part][name]
    (folder / "config.json").write_text(json.dumps(config))
    backbone = load_backbone(f"local-dir:{folder}")
    blocks = backbone.clip.transformer.resblocks[0], backbone.clip.visual.transformer.resblocks[0]
    assert [block.attn.num_heads for block in blocks] == [8, 12] and backbone.quick_gelu
    images = {name: PREPARED[name] for name in ("image_mean", "image_std")}
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    check_refused(folder, r"size \{'shortest_edge': 224\} and crop_size \{'height': 224, 'width': 224\}")


RESIZED = [
    ({}, "32"),
    ({"size": 32, "crop_size": 32}, "32"),
    ({"size": {"shortest_edge": 32, "longest_edge": None}}, "32"),
    ({"resample": 2}, "32 shortest bilinear"),
    ({"size": {"height": 32, "width": 32}}, "32 squash bicubic"),
    (
        {"size": {"height": 32, "width": 32}, "do_center_crop": False, "crop_size": None, "resample": 2},
        "32 squash bilinear",
    ),
]


@pytest.mark.parametrize(("values", "resize"), RESIZED, ids=lambda x: str(x)[:40])
def test_preprocessing_comes_from_the_folder(folder, values, resize):
    put(folder / "preprocessor_config.json", values | {"image_mean": [0.1, 0.2, 0.3]})
    backbone = load_backbone(f"local-dir:{folder}")
    assert str(backbone.resize) == resize and backbone.mean.flatten().tolist() == pytest.approx(
        [0.1, 0.2, 0.3]
    )


PREPROCESSING = [
    ({"image_mean": None}, r"image_mean: .*list"),
    ({"image_std": [0.2, 0.2]}, r"image_std: .*at least 3"),
    ({"image_processor_type": "SiglipImageProcessor"}, r"image_processor_type: .*'SiglipImageProcessor'"),
    ({"do_resize": False}, r"do_resize: .*not False"),
    ({"do_rescale": False}, r"do_rescale: .*not False"),
    ({"do_normalize": False}, r"do_normalize: .*not False"),
    ({"do_pad": True}, r"do_pad: .*not True"),
    ({"rescale_factor": 1.0}, r"rescale_factor: .*not 1\.0"),
    ({"resample": 1}, r"resample: Input should be 2 or 3, not 1"),
    ({"do_center_crop": False}, r"no do_center_crop; images of 32 px.* need size \{'shortest_edge': 32\}"),
    ({"size": 36}, r"size \{'shortest_edge': 36\} and crop_size .*; images of 32 px"),
    ({"size": {"longest_edge": 32}}, r"size \{'longest_edge': 32\}"),
    ({"size": {"height": 32, "width": 48}}, r"'width': 48"),
    ({"crop_size": 24}, r"crop_size \{'height': 24, 'width': 24\}"),
    ({"size": {"height": 32, "width": 32}, "crop_size": 24}, r"crop_size \{'height': 24"),
    ({"size": 224, "crop_size": 224}, r"images of 32 px, the image_size of config\.json"),
    ({"size": "large"}, r"size: .*'large'"),
]


@pytest.mark.parametrize(("values", "reason"), PREPROCESSING, ids=lambda x: str(x)[:40])
def test_preprocessing_that_open_clip_has_not_is_refused(folder, values, reason):
    put(folder / "preprocessor_config.json", values)
    check_refused(folder, rf"preprocessor_config\.json: .*{reason}")


CONFIGURATIONS = [
    ({"model_type": "siglip"}, r"model_type is 'siglip', .*only clip is read; .*open_clip_config\.json"),
    ({"model_type": "chinese_clip"}, r"model_type is 'chinese_clip'"),
    ({"model_type": ["clip"]}, r"model_type is \['clip'\]"),
    ({"projection_dim": 0}, r"projection_dim: .*not 0"),
    ({"vision_config": IMAGES | {"hidden_act": "gelu"}}, r"hidden_act is quick_gelu for texts and gelu for"),
    ({"vision_config": IMAGES | {"hidden_act": "gelu_new"}}, r"vision_config\.hidden_act: .*'gelu_new'"),
    ({"vision_config": IMAGES | {"layer_norm_eps": 1e-6}}, r"vision_config\.layer_norm_eps: .*not 1e-06"),
    ({"vision_config": IMAGES | {"num_attention_heads": 7}}, r"vision_config: num_attention_heads must div"),
    ({"vision_config": IMAGES | {"num_channels": 1}}, r"num_channels: .*not 1"),
    ({"vision_config": IMAGES | {"image_size": [32, 48]}}, r"vision_config\.image_size: "),
    ({"vision_config": IMAGES | {"patch_size": 64}}, r"vision_config: .*1 to 64 patches"),
    ({"vision_config": IMAGES | {"num_hidden_layers": 2**15}}, r"num_hidden_layers: .*not 32768"),
    ({"vision_config": [1]}, r"vision_config: "),
    ({"text_config": TEXTS | {"layer_norm_eps": 1e-12}}, r"text_config\.layer_norm_eps: .*not 1e-12"),
    ({"text_config": TEXTS | {"vocab_size": 30522}}, r"text_config\.vocab_size: .*49408, not 30522"),
    ({"text_config": TEXTS | {"eos_token_id": 1}}, r"text_config\.eos_token_id: .*2 or 49407, not 1"),
    ({"text_config": TEXTS | {"max_position_embeddings": 4}}, r"max_position_embeddings: .*not 4"),
]


@pytest.mark.parametrize(("values", "reason"), CONFIGURATIONS, ids=lambda x: str(x)[:60])
def test_a_network_that_open_clip_has_not_is_refused(folder, values, reason):
    put(folder / "config.json", values)
    check_refused(folder, rf"config\.json: .*{reason}")


def check_refused(folder: Path, reason: str) -> None:
    """One line that names the folder, before a network is built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.nn.Module.load_state_dict", None)
        with pytest.raises(InputError, match=reason) as caught:
            load_backbone(f"local-dir:{folder}")
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    assert not str(caught.value).startswith("cannot load CLIP")


QUERY = "vision_model.encoder.layers.1.self_attn.q_proj.bias"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({QUERY: None}, rf"has no {QUERY}, which config\.json describes"),
        ({"vision_model.pre_layrnorm.weight": None}, "has no vision_model.pre_layrnorm.weight"),
        ({"logit_scale": None}, "has no logit_scale"),
        ({"logit_scale": torch.ones(1)}, r"logit_scale is \(1,\), but config\.json describes \(\)"),
        ({QUERY: torch.ones(59)}, rf"{QUERY} is \(59,\), but config\.json describes \(60,\)"),
        ({"visual_projection.weight": torch.ones(60, 24)}, r"visual_projection.* describes \(24, 60\)"),
        ({"logit_bias": torch.ones(1)}, "has logit_bias, for which config.json has no place"),
        ({"vision_model.encoder.layers.2.mlp.fc1.bias": torch.ones(1)}, r"has vision_model\.encoder\.layers"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_every_tensor_has_its_place_and_none_is_missing(folder, changes, reason):
    state = load_file(folder / "model.safetensors") | changes
    save_file({name: t for name, t in state.items() if t is not None}, folder / "model.safetensors")
    check_refused(folder, rf"model\.safetensors:? {reason}")


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_files_that_are_missing_damaged_or_split_are_one_line(folder, capsys):
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    check_refused(folder, r"cannot read weights from .*model\.safetensors")
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    check_refused(folder, "git-lfs pointer")
    weights.unlink()
    check_refused(folder, r"no model\.safetensors and no pytorch_model\.bin beside config\.json")
    torch.save({"visual_projection.weight": Evil()}, folder / "pytorch_model.bin")
    check_refused(folder, "more than tensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    check_refused(folder, r"in several files \(model\.safetensors\.index\.json\).* max_shard_size")
    assert "code ran" not in capsys.readouterr().out
    weights.write_bytes(whole)
    (folder / "preprocessor_config.json").write_text("{")
    check_refused(folder, r"cannot read .*preprocessor_config\.json")
    (folder / "preprocessor_config.json").unlink()
    check_refused(folder, r"has no preprocessor_config\.json, so that nothing says how images are prepared")
    (folder / "config.json").write_text("[1]")
    check_refused(folder, r"config\.json holds no JSON object")
    (folder / "config.json").write_text("{'a': 1}")
    check_refused(folder, r"cannot read .*config\.json")
    (folder / "config.json").write_text('{"method": "TPSNet"}')  # of another program
    check_refused(folder, r"has no open_clip_config\.json; .*transformers with its config\.json")


def vocabulary() -> dict[str, int]:
    """CLIP's words under the names that transformers gives the last two."""
    words = open_clip.SimpleTokenizer().encoder
    *own, _, _ = words
    return {word: words[word] for word in own} | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}


@pytest.mark.parametrize("name", ["vocab.json", "tokenizer.json"])
def test_another_vocabulary_is_refused(folder, name):
    def put_words(words: object) -> None:
        value = words if name == "vocab.json" else {"model": {"type": "BPE", "vocab": words}}
        (folder / name).write_text(json.dumps(value))

    words = vocabulary()
    put_words(words)
    check_vectors(built(), f"local-dir:{folder}")
    put_words(words | {"ant</w>": words["bee</w>"], "bee</w>": words["ant</w>"]})
    check_refused(folder, rf"{name} holds another vocabulary than CLIP's")
    put_words(["ant"])
    check_refused(folder, rf"{name} holds another vocabulary|{name} holds no JSON object")


def test_open_clips_own_configuration_goes_first(folder):
    """A snapshot may hold both, and then the weights of both."""
    clip = built()
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    images = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD}
    config = {"model_cfg": MODEL | {"quick_gelu": True}, "preprocess_cfg": images}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "config.json").write_text("{")
    check_vectors(clip, f"local-dir:{folder}")


def test_its_weights_file_alone_is_told_to_be_a_folder(folder):
    shutil.copy(folder / "model.safetensors", folder.parent / "x.safetensors")
    for file in (folder / "model.safetensors", folder.parent / "x.safetensors"):
        with pytest.raises(InputError, match=rf"of the package transformers.*local-dir:{file.parent}$"):
            load_backbone("ViT-B-32", str(file))
