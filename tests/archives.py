"""TorchScript archives in the form of OpenAI's own CLIP files, and archives made by hand."""

import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn


class Shell(nn.Module):
    """Parameters and buffers under given names, as OpenAI's archive has them; it computes nothing."""

    def __init__(self, state: dict[str, Tensor], facts: dict[str, int]) -> None:
        super().__init__()
        for name, tensor in state.items():
            *above, last = name.split(".")
            module = self
            for part in above:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module._modules[part]
            if tensor.is_floating_point() and "running" not in last:
                module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
            else:
                module.register_buffer(last, tensor)
        for name, value in facts.items():
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        return x


def write_openai(file: Path, state: dict[str, Tensor], *, size: int, half: bool = True) -> Path:
    """The archive that OpenAI publishes of a network with this state: matrices in half precision, traced."""
    state = {name: t.half() if half and t.ndim > 1 else t for name, t in state.items()}
    context, words = len(state["positional_embedding"]), len(state["token_embedding.weight"])
    facts = {"input_resolution": size, "context_length": context, "vocab_size": words}
    torch.jit.save(torch.jit.trace(Shell(state, facts).eval(), torch.zeros(1)), file)
    return file


def rewrite(source: Path, file: Path, **changed: bytes | None) -> Path:
    """A copy of an archive in which parts (``data_pkl``, ``data_0``) have other bytes, or are missing."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            root, _, name = entry.filename.partition("/")
            content = changed.get(name.replace(".", "_").replace("/", "_"), old.read(entry))
            if content is not None:
                new.writestr(f"{root}/{name}", content)
    return file
