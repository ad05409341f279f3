"""The command line: ``tpsnet prepare | train | run | reproduce | table | universal | zero-shot``.

What the user can mend ends in one line and exit code 2.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tpsnet.cli.source import Setting, Source
from tpsnet.cli.tables import Reproduce, Table, Universal, ZeroShot
from tpsnet.notebooks import NotebookFailed, run_notebook
from tpsnet.startup import check_installation
from tpsnet.types import InputError

# Rooms that import torchvision or faiss are imported inside the commands: after the start-up check, which
# else came too late to name a broken installation.


Parameters = Annotated[
    tuple[str, ...], tyro.conf.arg(aliases=["-p"], metavar="NAME=VALUE"), tyro.conf.UseAppendAction
]


@dataclass(frozen=True)
class Run:
    """Execute a notebook with papermill, its parameters checked first."""

    notebook: tyro.conf.Positional[Path]
    """The notebook to run, in its own folder."""
    output: tyro.conf.Positional[Path]
    """The executed notebook; written only when it has run to its end."""
    parameters: Parameters = ()
    """A value for a name of the parameters cell; may be repeated."""

    def __call__(self) -> None:
        """Run it."""
        run_notebook(self.notebook, self.output, dict(_split(text) for text in self.parameters))


@dataclass(frozen=True)
class Prepare:
    """Decode a picture folder (root/domain/class/picture) into the cache, and check every picture."""

    root: tyro.conf.Positional[Path]
    """The folder that holds the domains."""
    size: int = 224
    """Side of the decoded pictures in pixels: the image size of the CLIP to be used."""

    def __call__(self) -> None:
        """Print the counts of each domain; unreadable pictures are named one a line, and are an error."""
        from tpsnet.data import image_folder, load_images

        if self.size < 1:
            raise InputError(f"--size {self.size}: give a positive number of pixels")
        skipped = 0
        for domain in image_folder(self.root).values():
            kept, _ = load_images(domain, self.size)
            n_classes = len(domain.labels.unique())
            print(f"{domain.name}: {len(kept)} pictures of {n_classes} classes", flush=True)
            skipped += len(domain) - len(kept)
        if skipped:
            raise InputError(
                f"{self.root}: {skipped} pictures cannot be used; mend or remove those named above"
            )


@dataclass(frozen=True)
class Train:
    """Train on two domains; scores before and after, weights and embeddings in the run folder."""

    first: tyro.conf.Positional[str]
    """One domain."""
    second: tyro.conf.Positional[str]
    """The other domain."""
    run: tyro.conf.Positional[Path]
    """Folder for log, checkpoint, embeddings and scores."""
    method: Literal["TPSNet", "UEM", "CLAIR"] = "TPSNet"
    """What to train; CLAIR is told the names of the classes."""
    setting: Setting | None = None
    """Label spaces, drawn by the seed: the first domain asks, the second answers; by default all classes of
    both, scored in both directions."""
    resume: bool = False
    """Go on from the folder's checkpoint."""
    seed: int = 0
    """Of label spaces, clusters, weights, batches and augmentation."""
    parameters: Parameters = ()
    """A value for a field of the method's settings or of FitConfig, e.g. epochs=10; may be repeated."""
    source: tyro.conf.OmitArgPrefixes[Source] = field(default_factory=Source)

    def __call__(self) -> None:
        """Train, embed and score."""
        from tpsnet.cli.settings import read_settings
        from tpsnet.engine import FitConfig
        from tpsnet.experiment import train_pair
        from tpsnet.methods import CLAIRConfig, TPSNetConfig, UEMConfig

        source = self.source
        config = {"TPSNet": TPSNetConfig, "UEM": UEMConfig, "CLAIR": CLAIRConfig}[self.method]
        changes, loop = read_settings(dict(map(_split, self.parameters)), config, FitConfig)
        train_pair(
            source.where(),
            (self.first, self.second),
            self.run,
            model=source.clip(),
            pretrained=source.pretrained,
            device=source.device,
            name=self.method,
            setting=self.setting,
            seed=self.seed,
            resume=self.resume,
            changes=changes,
            loop=loop,
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Parse ``argv``, check the installation, run the command; returns the exit code."""
    command = tyro.cli(
        Prepare | Train | Run | Reproduce | Table | Universal | ZeroShot, prog="tpsnet", args=argv
    )
    try:
        check_installation()
        command()
    except InputError as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 2
    except NotebookFailed as error:
        print(f"tpsnet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tpsnet: interrupted", file=sys.stderr)
        return 130
    return 0


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"-p {text}: write it as name=value")
    return name, value
