"""Where images and backbone come from."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tpsnet.backbone import EMBEDDED, Backbone, MoCo, load_backbone
from tpsnet.data import DATASETS, Dataset, Pair, Spelling, embedded_root, load_pair
from tpsnet.errors import InputError
from tpsnet.experiments.protocols import Protocol
from tpsnet.paths import user_path
from tpsnet.settings import Settings
from tpsnet.types import Resize


@dataclass(frozen=True)
class Source(Settings):
    """Images and backbone; the embedded ones unless told otherwise.

    Attributes:
        root: Folder of domains (root/domain/class/image); the embedded images by default.
        model: An open_clip name; local-dir:FOLDER, where the folder holds configuration and weights; or (for
            UEM and the baselines) moco:FILE. The embedded CLIP by default.
        pretrained: Of a named CLIP: a pretrained tag (downloads) or a weights file (OpenAI's .pt, a
            checkpoint, safetensors).
        device: Where to compute, e.g. cuda.
        spelling: How class folders are named.
        dataset: Which of the known data sets lies in root, in any layout in which it is passed on; domains,
            classes and zero-shot splits are then called as it has them.
    """

    root: Path | None = None
    model: str = EMBEDDED
    pretrained: str | None = None
    device: str = "cpu"
    spelling: Spelling = field(default_factory=Spelling)
    dataset: Literal[tuple(DATASETS)] | None = None

    def folder(self, protocol: Protocol) -> Path:
        """The image folder.

        Raises:
            InputError: A data set is named, and no folder of it.
        """
        if self.dataset and not self.root:
            raise InputError(f"--dataset {self.dataset} needs --root, the folder that it lies in")
        return user_path(self.root) if self.root else embedded_root(protocol.further)

    @property
    def known(self) -> Dataset | None:
        """The data set of this name."""
        return DATASETS[self.dataset] if self.dataset else None

    def names(self, pair: tuple[str, str]) -> tuple[str, str]:
        """Two domains by the names that the data set has for them.

        Raises:
            InputError: It has no such domain.
        """
        return tuple(self.known.domain(name).name for name in pair) if self.known else pair

    def backbone(self) -> Backbone | MoCo:
        """Load the backbone."""
        return load_backbone(self.model, self.pretrained, self.device)

    def pair(self, names: tuple[str, str], protocol: Protocol, size: int | Resize, classes: int = 0) -> Pair:
        """Load two domains as the backbone takes them, see ``data.load_pair``."""
        return load_pair(self.folder(protocol), names, size, classes, self.spelling, self.known)

    def resolve(self, protocol: Protocol) -> Protocol:
        """The protocol with what it leaves open on a data set, or on the embedded images.

        Raises:
            InputError: It names a split that the data set has not, or of no data set.
        """
        if self.root:
            return protocol.published(self.known)
        return protocol.embedded()
