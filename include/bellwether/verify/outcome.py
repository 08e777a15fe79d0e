"""What verifying a partition came to."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class State(StrEnum):
    """What can be said of a published partition.

    `equal`: every byte is what its evidence comes to. `different`: not so, and nothing explains it. `damaged`: it, or
    its evidence, cannot be read or was changed. `unverifiable`: it cannot be told, and why is said.
    """

    EQUAL = "equal"
    DIFFERENT = "different"
    DAMAGED = "damaged"
    UNVERIFIABLE = "unverifiable"

    @property
    def is_trouble(self) -> bool:
        """Whether somebody must look."""
        return self in {State.DIFFERENT, State.DAMAGED}


class Unverifiable(Exception):
    """A partition cannot be built again; the message says why. It leaves `bellwether.verify` as a state."""


@dataclass(frozen=True)
class Outcome:
    """What verifying one partition came to.

    Attributes
    ----------
    why
        The first difference, what is damaged, or why it cannot be told; empty where equal.
    rows, rows_rebuilt
        Published, and built again; None where there is no such table.
    rows_different
        None where nothing was compared.
    columns
        In which rows of one key differ.
    revision
        The one verified; None where it cannot be read.
    """

    session: date
    dataset: str
    state: State
    why: str
    verified_utc: datetime
    rows: int | None = None
    rows_rebuilt: int | None = None
    rows_different: int | None = None
    columns: tuple[str, ...] = ()
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.dataset} {self.session}: {self.state}" + (f", {self.why}" if self.why else "")
