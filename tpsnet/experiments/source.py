"""Where images and backbone come from."""

from dataclasses import dataclass
from pathlib import Path

from tpsnet.backbone import EMBEDDED, Backbone, MoCo, load_backbone
from tpsnet.data import Pair, embedded_root, load_pair
from tpsnet.experiments.protocols import Protocol


@dataclass(frozen=True)
class Source:
    """Images and backbone; the embedded ones unless told otherwise.

    Attributes:
        root: Folder of domains (root/domain/class/image); the embedded images by default.
        model: An open_clip name, local-dir:FOLDER, or (for UEM and the baselines) moco:FILE; the embedded
            CLIP by default.
        pretrained: Pretrained tag (downloads) or weights file of a named CLIP.
        device: Where to compute, e.g. cuda.
    """

    root: Path | None = None
    model: str = EMBEDDED
    pretrained: str | None = None
    device: str = "cpu"

    def folder(self, protocol: Protocol) -> Path:
        """The image folder."""
        return self.root or embedded_root(protocol.further)

    def backbone(self) -> Backbone | MoCo:
        """Load the backbone."""
        return load_backbone(self.model, self.pretrained, self.device)

    def pair(self, names: tuple[str, str], protocol: Protocol, size: int) -> Pair:
        """Load two domains at an image size."""
        return load_pair(self.folder(protocol), names, size)

    def resolve(self, protocol: Protocol) -> Protocol:
        """The protocol with what it leaves open on the embedded images."""
        return protocol if self.root else protocol.embedded()
