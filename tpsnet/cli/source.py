"""What several commands ask for: pictures, a CLIP, and label spaces."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Setting = Literal["closed", "partial", "open", "opda"]


@dataclass(frozen=True)
class Source:
    """Pictures and CLIP; the embedded ones unless told otherwise."""

    root: Path | None = None
    """Folder of domains (root/domain/class/picture); the embedded pictures by default."""
    model: str | None = None
    """open_clip name, local-dir:FOLDER, or (UEM and the floors) moco:FILE; the embedded CLIP by default."""
    pretrained: str | None = None
    """Pretrained tag (downloads) or weights file of a named CLIP."""
    device: str = "cpu"
    """Where to compute, e.g. cuda."""

    def where(self) -> Path:
        """The picture folder."""
        from tpsnet.data import embedded_root

        return self.root or embedded_root()

    def clip(self) -> str:
        """The CLIP's address."""
        from tpsnet.backbone import embedded_clip

        return self.model or embedded_clip()

    @property
    def is_moco(self) -> bool:
        """Whether the backbone has no texts."""
        return (self.model or "").startswith("moco:")
