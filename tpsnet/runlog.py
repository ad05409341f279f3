"""The run folder: ``log.jsonl`` (a row an epoch), TensorBoard events, and the checkpoint to resume from."""

import json
from pathlib import Path
from time import monotonic
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from tpsnet.checkpoint import load_training, save_training
from tpsnet.types import InputError

CHECKPOINT = "checkpoint.safetensors"
# Where and how often a run is written does not change what it computes.
CARRIED_OUT = ("run", "resume", "save_every")


class RunLog:
    """Rows of a run, on disk when there is a folder.

    Args:
        run: the folder, or ``None`` to keep rows in memory only.
        settings: named groups of values that a resumed run must share.
        resume: go on from the folder's checkpoint.
        save_every: seconds between checkpoints within a stage.

    Raises:
        InputError: the folder holds a run and ``resume`` is off.
    """

    def __init__(
        self, run: Path | None, settings: dict[str, dict], *, resume: bool, save_every: float
    ) -> None:
        self.run, self.save_every, self.rows = run, save_every, []
        self.saved = monotonic()
        flat = {f"{name}.{k}": v for name, group in settings.items() for k, v in group.items()}
        self.settings = json.loads(
            json.dumps({k: v for k, v in flat.items() if k.split(".")[1] not in CARRIED_OUT}, default=str)
        )
        self.exists = run is not None and (run / CHECKPOINT).is_file()
        if self.exists and not resume:
            raise InputError(f"{run} already holds a run; resume it (--resume) or choose another folder")
        self.board: SummaryWriter | None = None

    def restore(self, method: nn.Module) -> tuple[int, int, dict[int, dict[str, Tensor]]]:
        """Stage and epoch to go on with, and the optimiser's state there; (0, 0, {}) for a new run."""
        if not self.exists:
            return 0, 0, {}
        slots, meta = load_training(self.run / CHECKPOINT, method, self.settings)
        self.rows = meta["rows"]
        stage, epoch = meta["then"]
        return stage, epoch, slots if epoch else {}

    def __enter__(self) -> "RunLog":
        if self.run is not None:
            try:
                self.run.mkdir(parents=True, exist_ok=True)
                # The log may be an epoch ahead of the checkpoint; the checkpoint is the truth.
                text = "".join(json.dumps(row) + "\n" for row in self.rows)
                (self.run / "log.jsonl").write_text(text, encoding="utf-8")
            except OSError as error:
                raise InputError(f"cannot write to {self.run} ({error}); choose another run folder") from None
            self.board = SummaryWriter(str(self.run / "tensorboard"), purge_step=len(self.rows))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.board is not None:
            self.board.close()

    def add(
        self, row: dict, method: nn.Module, optimizer: torch.optim.Optimizer, *, then: tuple[int, int]
    ) -> None:
        """Record an epoch, and that a resumed run starts at stage and epoch ``then``."""
        self.rows.append(row)
        if self.run is None:
            return
        if then[1] == 0 or monotonic() - self.saved >= self.save_every:
            meta = {"settings": self.settings, "then": then, "rows": self.rows}
            save_training(self.run / CHECKPOINT, method, optimizer, meta)
            self.saved = monotonic()
        with (self.run / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for name, value in row.items():
            if isinstance(value, float):
                self.board.add_scalar(f"{row['stage']}/{name}", value, len(self.rows) - 1)
