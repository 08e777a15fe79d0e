"""When runs happen: one per trading session, and what a partition key means.

Scheduler, api-server and dag-processor all load this module, and so does every parse of a DAG file, so
the exchange's calendar (0.8 s) is imported at its first use only. Nothing here knows what a run does.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, Self
from zoneinfo import ZoneInfo

import pendulum
from airflow.exceptions import InvalidPartitionKeyError
from airflow.partition_mappers.identity import IdentityMapper
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.utils.types import DagRunType

from bellwether.clock import Clock, SystemClock
from bellwether.due import Due
from bellwether.errors import NotASession

if TYPE_CHECKING:
    from bellwether.calendar import SessionCalendar

NEW_YORK: Final = ZoneInfo("America/New_York")
_USUALLY: Final = {"pre_open": time(4), "open": time(9, 30), "close": time(16), "post_close": time(20)}
_clock: Clock = SystemClock()


def partition_date(session: date) -> pendulum.DateTime:
    """Return the instant Airflow stores for a session: its midnight in New York, in UTC.

    Its UTC date is the session too, so a run without a key finds its session in `dag_run.partition_date`.
    """
    return pendulum.instance(datetime.combine(session, time(0), NEW_YORK).astimezone(UTC))


def parse_key(key: str) -> date:
    """Return the session a partition key names.

    Raises
    ------
    InvalidPartitionKeyError
        The key names no session; the text, which Airflow shows to the user (HTTP 400), says what is allowed.
    """
    try:
        return _calendar().parse(key)
    except NotASession as error:
        raise InvalidPartitionKeyError(str(error)) from error


def _calendar() -> "SessionCalendar":
    from bellwether.calendar import get_calendar  # noqa: PLC0415 - loads exchange_calendars and pandas

    return get_calendar()


class SessionTimetable(Timetable):
    """One run per trading session, once it is due.

    Holidays and weekends never make a run; half days do: earlier where the close decides, at the usual time where the
    end of extended hours does, 20:00 New York on every session. Partition keys are `YYYY-MM-DD`.

    Parameters
    ----------
    due
        When a session's run is due.
    """

    partitioned = True
    # Partitioned runs have neither data interval nor logical date; without this the grid orders them by creation.
    run_ordering: Sequence[str] = ("partition_date", "run_after")

    def __init__(self, due: Due) -> None:
        self.due = due
        self.description = f"Every NYSE session, at {self._due_text()}; no run on weekends and holidays"

    @property
    def summary(self) -> str:
        """What the list of DAGs shows as schedule."""
        return f"Sessions, {self._due_text()}"

    def serialize(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values."""
        return {"bound": self.due.bound, "minutes": self.due.minutes}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Return the timetable `serialize` described."""
        return cls(Due(data["bound"], data["minutes"]))

    def next_dagrun_info_v2(
        self, *, last_dagrun_info: DagRunInfo | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the run of the next session, or None where the DAG's end date or the known calendar ends.

        With catchup that is the session after the last run's (at first, the first session of the DAG); without,
        sessions missed meanwhile are left out and the last one due is next.
        """
        calendar = _calendar()
        starts: list[date] = []
        if last_dagrun_info is not None:
            starts.append(self._session_of(last_dagrun_info) + timedelta(days=1))
        if restriction.earliest is not None:
            starts.append(self.localize_partition_datetime(restriction.earliest).date())
        if not restriction.catchup or not starts:
            starts.append(self._last_due())
        end = self.localize_partition_datetime(restriction.latest).date() if restriction.latest else calendar.last
        candidates = calendar.sessions(max(starts), end)
        return self._run(candidates[0]) if candidates else None

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Refuse: sessions have no data intervals; Airflow asks `next_dagrun_info_v2`."""
        raise NotImplementedError

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Iterable[DagRunInfo]:
        """Yield the run of each due session from the day of `earliest` to that of `latest`, both included.

        Sessions not yet due are left out: a backfill into the future would hold itself open and take those
        sessions away from the schedule.
        """
        first, last = (self.localize_partition_datetime(bound).date() for bound in (earliest, latest))
        yield from map(self._run, _calendar().sessions(first, min(last, self._last_due())))

    def localize_partition_datetime(self, dt: datetime) -> pendulum.DateTime:
        """Return the partition date of the day `dt` reads, whatever its hour: windows are of whole days."""
        return partition_date(dt.date())

    def resolve_partition_date(self, partition_key: str | None) -> datetime | None:
        """Return the partition date of a key; without a key, that of the last session due.

        So a run triggered by hand without a key is of that session from its beginning, also when it is
        cleared days later.
        """
        if partition_key is None:
            return partition_date(self._last_due())
        return self._decode_partition_date(partition_key)

    def infer_manual_data_interval(self, *, run_after: pendulum.DateTime) -> DataInterval:
        """Return an empty interval: only asked when the user gives a logical date, which sessions do not use."""
        return DataInterval.exact(run_after)

    def generate_run_id(
        self,
        *,
        run_type: DagRunType,
        run_after: pendulum.DateTime,
        data_interval: DataInterval | None,
        partition_key: str | None = None,
        **extra: Any,  # noqa: ANN401 - Airflow's signature
    ) -> str:
        """Return a run id that names the session and never repeats: `backfill__2025-11-28__7f3a9c`.

        The random end lets a session be reprocessed: Airflow makes a new run beside the old one. Airflow does
        not pass the key of runs triggered by hand, which show the time instead.
        """
        named = partition_key or run_after.isoformat()
        return DagRunType(run_type).generate_run_id(suffix=f"{named}__{secrets.token_hex(3)}")

    def _decode_partition_date(self, partition_key: str) -> pendulum.DateTime:
        session = parse_key(partition_key)
        last = self._last_due()
        if session > last:
            due = self._due_text()
            msg = f"session {session} is not due yet ({due}); the last one due is {last}"
            raise InvalidPartitionKeyError(msg)
        return partition_date(session)

    def _last_due(self, now: datetime | None = None) -> date:
        return _calendar().last_due(now or _clock.now(), self.due)

    def _session_of(self, run: DagRunInfo) -> date:
        if run.partition_date is not None:
            return run.partition_date.date()
        # "Clear partitions" erased it; forgetting the run would make catchup begin again at the DAG's start.
        return self._last_due(run.run_after)

    def _run(self, session: date) -> DagRunInfo:
        return DagRunInfo(
            run_after=pendulum.instance(self.due(_calendar().hours(session))),
            data_interval=None,
            partition_date=partition_date(session),
            partition_key=session.isoformat(),
        )

    def _due_text(self) -> str:
        # The calendar is too heavy for a text shown at parse time; on half days the close comes earlier.
        due = datetime.combine(date.min, _USUALLY[self.due.bound]) + timedelta(minutes=self.due.minutes)
        days_later = (due.date() - date.min).days
        half_days = ", earlier on half days" if self.due.bound == "close" else ""
        return f"{due:%H:%M} New York" + (f", {days_later} d later" if days_later else "") + half_days


class SessionMapper(IdentityMapper):
    """What DAGs run by assets use: keys pass unchanged, and one that names no session is refused.

    Must be registered in the plugin: unregistered, the tasks that emit the asset fail.
    """

    def to_partition_date(self, downstream_key: str) -> datetime:
        """Return the partition date of a key, the same as the producers' timetable gives it.

        Raises
        ------
        InvalidPartitionKeyError
            The key names no session.
        """
        return partition_date(parse_key(downstream_key))
