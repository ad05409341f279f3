"""The run folder of a training: ``log.jsonl``, TensorBoard events, a checkpoint that becomes the model."""

import json
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from types import TracebackType

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from tpsnet import distributed
from tpsnet.errors import InputError
from tpsnet.io import read_json_lines
from tpsnet.methods import Method
from tpsnet.training.artefact import MODEL, load_finished, save_trained
from tpsnet.training.checkpoint import EpochRow, load_optimizer, load_training, save_training

CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


class RunLog:
    """Rows of a run, on disk when there is a folder.

    Args:
        folder: The folder, or ``None`` to keep rows in memory only.
        method: What is trained.
        identity: Named groups of values that a resumed run must share.
        resume: Whether to go on from the folder's checkpoint.
        save_every: Seconds between checkpoints within a stage.

    Raises:
        InputError: the folder holds a run and ``resume`` is off.
    """

    def __init__(
        self,
        folder: Path | None,
        method: Method,
        identity: dict[str, dict],
        *,
        resume: bool,
        save_every: float,
    ) -> None:
        self.folder, self.method, self.save_every, self.rows = folder, method, save_every, []
        self.saved = monotonic()
        self.identity = json.loads(json.dumps(flat(identity), default=str))
        self.finished = folder is not None and (folder / MODEL).is_file()
        self.started = folder is not None and (folder / CHECKPOINT).is_file()
        if (self.finished or self.started) and not resume:
            raise InputError(f"{folder} already holds a run; resume it (--resume) or choose another folder")
        self.board: SummaryWriter | None = None
        self.optimizer_state: dict[str, Tensor] = {}

    def restore(self) -> tuple[int, int]:
        """Stage and epoch to go on with; (0, 0) for a new run. The first of several processes tells them."""
        position = self._restore()
        position, self.rows = distributed.told([position, self.rows])
        self.optimizer_state = distributed.told_tensors(self.optimizer_state)
        return tuple(position)

    def _restore(self) -> tuple[int, int]:
        if self.finished:
            self.rows = load_finished(self.folder / MODEL, self.method, self.identity)
            return len(self.method.stages()), 0
        if not self.started:
            return 0, 0
        self.optimizer_state, head = load_training(self.folder / CHECKPOINT, self.method, self.identity)
        self.rows = [asdict(row) for row in head.rows]
        return head.next_position

    def restore_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Go on with the optimiser of a stage that was interrupted."""
        load_optimizer(optimizer, self.optimizer_state, (self.folder or Path()) / CHECKPOINT)

    def __enter__(self) -> "RunLog":
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                # The log may be an epoch ahead of the checkpoint; the checkpoint is the truth.
                text = "".join(json.dumps(row) + "\n" for row in self.rows)
                (self.folder / LOG).write_text(text, encoding="utf-8")
                self.board = SummaryWriter(str(self.folder / "tensorboard"), purge_step=len(self.rows))
            except OSError as error:
                raise self._refused(error) from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if self.board is not None:
                self.board.close()
        except OSError as failed:  # TensorBoard writes in a thread, whose errors surface late
            error = error or failed
        if isinstance(error, OSError):
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> InputError:
        return InputError(f"cannot write to {self.folder} ({error}); choose another run folder")

    def add(self, row: dict, optimizer: torch.optim.Optimizer, *, next_position: tuple[int, int]) -> None:
        """Record an epoch, and that a resumed run starts at stage and epoch ``next_position``."""
        self.rows.append(row)
        if self.folder is None:
            return
        if next_position[1] == 0 or monotonic() - self.saved >= self.save_every:
            meta = {"identity": self.identity, "next_position": next_position, "rows": self.rows}
            save_training(self.folder / CHECKPOINT, self.method, optimizer, meta)
            self.saved = monotonic()
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        for kind in ("losses", "shares"):
            for name, value in row[kind].items():
                self.board.add_scalar(f"{row['stage']}/{name}", value, len(self.rows) - 1)

    def finish(self) -> None:
        """Write the trained artefact; the checkpoint has served."""
        if self.folder is None:
            return
        if not self.finished:
            save_trained(self.folder / MODEL, self.method, self.rows, self.identity)
        (self.folder / CHECKPOINT).unlink(missing_ok=True)


def read_log(folder: Path) -> list[dict]:
    """The log of a run folder, one row an epoch; empty where there is none.

    Raises:
        InputError: it is damaged.
    """
    file = folder / LOG
    return [asdict(row) for row in read_json_lines(file, EpochRow)] if file.exists() else []


def flat(values: dict, prefix: str = "") -> dict[str, object]:
    """Nested values by their dotted names."""
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found
