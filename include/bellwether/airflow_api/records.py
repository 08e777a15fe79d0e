"""What Airflow tells of runs, tasks, backfills and DAGs; fields are named as in its answers."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

_NEW_YORK = ZoneInfo("America/New_York")  # bellwether.calendar has it too, but takes a second to load


class Run(msgspec.Struct, frozen=True):
    """A DAG run. Times are aware, durations in seconds."""

    dag_id: str
    dag_run_id: str
    run_type: str
    state: str
    partition_key: str | None = None
    partition_date: datetime | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    duration: float | None = None
    note: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether the run has ended, well or not."""
        return self.state in ("success", "failed")

    @property
    def session(self) -> date | None:
        """The session it is of; None where its key is of a time when another timetable gave the keys."""
        if self.partition_key is not None:
            try:
                return date.fromisoformat(self.partition_key)
            except ValueError:
                return None
        # A run that was triggered without a key has only the session's midnight.
        return self.partition_date.astimezone(_NEW_YORK).date() if self.partition_date else None


class TaskInstance(msgspec.Struct, frozen=True):
    """One task of a run; `state` is None until Airflow has scheduled it. `duration` in seconds."""

    task_id: str
    dag_run_id: str
    map_index: int
    state: str | None = None
    rendered_map_index: str | None = None
    try_number: int = 0
    pid: int | None = None
    duration: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the task has ended for good, well or not, or was skipped."""
        return self.state in ("success", "failed", "upstream_failed", "skipped", "removed")


class Backfill(msgspec.Struct, frozen=True):
    """A backfill; its runs exist once it is accepted. Airflow notices up to 30 s late that they are over."""

    id: int
    dag_id: str
    created_at: datetime
    completed_at: datetime | None = None
    is_paused: bool = False
    from_date: datetime | None = None
    to_date: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether Airflow has not closed it yet."""
        return self.completed_at is None

    def holds_up(self, session: date) -> bool:
        """Return whether runs it made of a session never begin: it is paused, as a cancelled one stays for ever."""
        first, last = (moment and moment.date() for moment in (self.from_date, self.to_date))
        return self.is_paused and first is not None and last is not None and first <= session <= last


class Dag(msgspec.Struct, frozen=True):
    """A DAG as the scheduler knows it."""

    dag_id: str
    is_paused: bool
    tags: tuple[dict[str, object], ...] = ()

    def has_tag(self, name: str) -> bool:
        """Return whether the DAG carries a tag."""
        return any(tag.get("name") == name for tag in self.tags)


class DagSchedule(msgspec.Struct, frozen=True):
    """What a DAG will do by itself; `next_dagrun_run_after` is None where no run is to come."""

    catchup: bool
    start_date: datetime | None = None
    next_dagrun_run_after: datetime | None = None
