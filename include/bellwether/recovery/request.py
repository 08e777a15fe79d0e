"""What is asked for: datasets, sessions, and what makes a session one to recover.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from bellwether.due import DUE
from bellwether.errors import ConfigError, NotASession


class Mode(StrEnum):
    """What makes a session of a dataset one to recover; a run then fetches all that is not proven of it.

    `missing`: a ticker was never fetched. `failed`: one could not be fetched. `revised`: gold is not of the inputs
    that stand now; the session is announced again, and what is complete is not fetched. `quarantined`: one has rows in
    quarantine; it is fetched again, complete or not. `force`: every session, every ticker.
    """

    MISSING = "missing"
    FAILED = "failed"
    REVISED = "revised"
    QUARANTINED = "quarantined"
    FORCE = "force"


@dataclass(frozen=True)
class Request:
    """A recovery as it is asked for.

    Attributes
    ----------
    datasets
        Of which to recover sessions.
    mode
        Which sessions.
    start, end
        First and last day; no session need be on either. Without an end, the last session due.
    last
        How many sessions up to the end, where no start is given.
    budget
        The most API calls it may take.
    newest_first
        Which sessions come first, and so fit into the budget.
    """

    datasets: tuple[str, ...]
    mode: Mode
    start: date | None = None
    end: date | None = None
    last: int = 1
    budget: int | None = None
    newest_first: bool = True

    def sessions(self, dataset: str, now: datetime) -> list[date]:
        """Return the sessions of a dataset that are asked for and due, ascending.

        Raises
        ------
        ConfigError
            The range ends before it begins.
        NotASession
            There is no session due in it.
        """
        from bellwether.calendar import get_calendar  # noqa: PLC0415 - loads pandas

        calendar = get_calendar()
        last_due = calendar.last_due(now, DUE[dataset])
        end = min(self.end or last_due, last_due)
        if self.start is None:
            return calendar.sessions(calendar.first, end)[-self.last :]
        if self.end is not None and self.end < self.start:
            msg = f"the range ends on {self.end}, before it begins on {self.start}"
            raise ConfigError(msg)
        if found := calendar.sessions(self.start, end):
            return found
        until = self.end or last_due
        msg = f"no session of {dataset} is due from {self.start} to {until}; the last one due is {last_due}"
        raise NotASession(msg)
