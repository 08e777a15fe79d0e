"""What a soak counts, and how it judges the lake: through children, so that the process that forks stays idle."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from bellwether.lake import Lake
from tests.soak.checks import Found
from tests.soak.children import ask
from tests.soak.scene import Scene


class BrokenError(Exception):
    """An invariant does not hold: what is played after that would prove nothing."""


@dataclass
class Tally:
    """What happened.

    Attributes
    ----------
    kills
        SIGKILLs by step, those at named points included.
    at_points
        SIGKILLs by named point of the code.
    full_disks
        Tries that failed because a file could not be written whole.
    runs, healed, given_up
        Runs begun; of those, completed after at least one kill, and ended by a kill.
    rounds
        Rounds of two publishers at once.
    recorder_kills
        Recorders of a stream that were ended, by signal.
    heard
        Broadcasts they wrote down, and others that are in a gap.
    gaps
        The gaps by cause.
    reads
        Reads by reader, while all this went on.
    stages
        Stages of runs that can still be cleared, so they may stay.
    found
        Broken invariants, by `checks.VIOLATIONS`.
    errors
        What went wrong, in words.
    """

    kills: Counter[str] = field(default_factory=Counter)
    at_points: Counter[str] = field(default_factory=Counter)
    full_disks: int = 0
    runs: int = 0
    healed: int = 0
    given_up: int = 0
    rounds: int = 0
    recorder_kills: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    reads: Counter[str] = field(default_factory=Counter)
    stages: set[str] = field(default_factory=set)
    found: Found = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def judge(self, scene: Scene, where: str, *judgements: Callable[[Lake], Found]) -> None:
        """Check the lake and count what is found.

        Raises
        ------
        BrokenError
            Something was.
        """

        def check() -> Found:
            lake = scene.lake()
            return sum((judgement(lake) for judgement in judgements), Counter())

        found: Found = Counter(ask(check))
        self.found += found
        if found:
            self.errors.append(f"{where}: {dict(found)}")
            raise BrokenError

    def fail(self, where: str, error: str) -> NoReturn:
        """Count a step that failed though nobody disturbed it.

        Raises
        ------
        BrokenError
            Always.
        """
        self.found["steps failed"] += 1
        self.errors.append(f"{where}: {error}")
        raise BrokenError
