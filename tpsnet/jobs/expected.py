"""How long the rest takes, from what jobs of the same kind have taken."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from tpsnet.jobs.job import Job
from tpsnet.progress import in_words


class Expected:
    """The time left of several jobs, some at the same time.

    A job takes as long as those of its kind took on the average; all share the workers evenly, and the rest
    takes at least as long as its longest job. Time that jobs wait in a cluster's queue is not in it.

    Args:
        jobs: What there is to do.
        at_once: How many run at the same time.
    """

    def __init__(self, jobs: Sequence[Job], at_once: int) -> None:
        self.left = Counter(job.kind for job in jobs)
        self.at_once = at_once
        self.measured: dict[str, list[float]] = defaultdict(list)

    def over(self, job: Job, seconds: float | None) -> None:
        """A job is over.

        Args:
            job: The job.
            seconds: How long it took; ``None`` if it failed, which says nothing about the others.
        """
        self.left[job.kind] -= 1
        if seconds is not None:
            self.measured[job.kind].append(seconds)

    def words(self) -> str:
        """What is left, nothing at the end; kinds of which no job is done yet are counted, not guessed."""
        left = {kind: n for kind, n in self.left.items() if n}
        each = {kind: sum(times) / len(times) for kind, times in self.measured.items() if kind in left}
        unknown = sum(n for kind, n in left.items() if kind not in each)
        rows = f"{unknown} row{'s' * (unknown > 1)} of kinds not timed yet" if unknown else ""
        if not each:
            return rows
        total = sum(left[kind] * seconds for kind, seconds in each.items())
        rest = max(total / self.at_once, *each.values())
        return f"{in_words(rest)} left" + (f" and {rows}" if rows else "")
