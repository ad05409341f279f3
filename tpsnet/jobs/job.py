"""A job as a value: what it is called with, and what its result depends on."""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """Something to compute once.

    Attributes:
        made_with: Everything its result depends on, JSON-able; a result is reused only if it is equal.
        arguments: What the work is called with; JSON-able where it goes to a cluster.
        title: Shown when it is done.
        later: Names in ``made_with`` that older results of the same job lack, latest first.
        kind: Jobs of one kind take about as long as one another.
    """

    made_with: dict
    arguments: tuple
    title: str
    later: tuple[str, ...] = ()
    kind: str = ""

    @property
    def key(self) -> str:
        """``made_with`` as text."""
        return key(self.made_with)

    @property
    def keys(self) -> list[str]:
        """``key``, and how ever older results have it."""
        lacking = [self.later[:n] for n in range(len(self.later) + 1)]
        return [key({k: v for k, v in self.made_with.items() if k not in names}) for names in lacking]

    @property
    def name(self) -> str:
        """A short name for files, as good as unique."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]


def key(made_with: dict) -> str:
    """Everything that made a result, as text."""
    return json.dumps(made_with, sort_keys=True)
