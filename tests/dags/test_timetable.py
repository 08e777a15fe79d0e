"""The sessions timetable: which runs exist, when they are due, which keys are refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime

import pendulum
import pytest
from airflow.exceptions import InvalidPartitionKeyError
from airflow.serialization.decoders import decode_partition_mapper, decode_timetable
from airflow.serialization.encoders import encode_partition_mapper, encode_timetable
from airflow.timetables.base import DagRunInfo, TimeRestriction
from airflow.utils.types import DagRunType

from bellwether.clock import SimulatedClock
from bellwether.due import DUE, Due
from bellwether_airflow import timetables
from bellwether_airflow.timetables import SessionMapper, SessionTimetable, partition_date

SetClock = Callable[[str], None]
TIMETABLE = SessionTimetable(DUE["equities"])
BLACK_FRIDAY_EVENING = "2025-11-29T01:15:00+00:00"  # 20:15 New York: the half day is due now


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    def set_clock(now: str) -> None:
        monkeypatch.setattr(timetables, "_clock", SimulatedClock(datetime.fromisoformat(now), speed=0))

    return set_clock


def day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)


def keys(first: str, last: str) -> list[str | None]:
    infos = TIMETABLE.iter_partition_dagrun_infos(earliest=day(first), latest=day(last))
    return [info.partition_key for info in infos]


def restriction(*, catchup: bool, earliest: str | None = None, latest: str | None = None) -> TimeRestriction:
    bounds = [pendulum.instance(day(bound)) if bound else None for bound in (earliest, latest)]
    return TimeRestriction(*bounds, catchup=catchup)


def run_of(session: str) -> DagRunInfo:
    [info] = TIMETABLE.iter_partition_dagrun_infos(earliest=day(session), latest=day(session))
    return info


class TestBackfill:
    def test_november_2025_makes_exactly_its_nineteen_sessions(self, at: SetClock) -> None:
        at("2026-01-05T00:00:00+00:00")
        trading = [*range(3, 8), *range(10, 15), *range(17, 22), 24, 25, 26, 28]
        assert keys("2025-11-01", "2025-11-30") == [f"2025-11-{number:02}" for number in trading]

    @pytest.mark.parametrize(
        ("session", "due_utc", "partition_utc"),
        [
            pytest.param("2025-03-07", "2025-03-08T01:15", "2025-03-07T05:00", id="last session of winter time"),
            pytest.param("2025-03-10", "2025-03-11T00:15", "2025-03-10T04:00", id="first session of summer time"),
            pytest.param("2025-10-31", "2025-11-01T00:15", "2025-10-31T04:00", id="last session of summer time"),
            pytest.param("2025-11-03", "2025-11-04T01:15", "2025-11-03T05:00", id="first session of winter time"),
            pytest.param("2025-07-03", "2025-07-04T00:15", "2025-07-03T04:00", id="half day before July 4th"),
            pytest.param("2025-11-28", "2025-11-29T01:15", "2025-11-28T05:00", id="half day after Thanksgiving"),
            pytest.param("2025-12-31", "2026-01-01T01:15", "2025-12-31T05:00", id="year end"),
        ],
    )
    def test_run_is_due_at_20_15_new_york(self, at: SetClock, session: str, due_utc: str, partition_utc: str) -> None:
        at("2026-01-05T00:00:00+00:00")
        assert run_of(session) == DagRunInfo(
            run_after=pendulum.parse(due_utc),
            data_interval=None,
            partition_date=pendulum.parse(partition_utc),
            partition_key=session,
        )

    def test_a_backfill_into_the_future_ends_with_the_last_due_session(self, at: SetClock) -> None:
        at(BLACK_FRIDAY_EVENING)
        assert keys("2025-11-24", "2025-12-31") == ["2025-11-24", "2025-11-25", "2025-11-26", "2025-11-28"]
        at("2025-11-29T01:14:59+00:00")
        assert keys("2025-11-24", "2025-12-31") == ["2025-11-24", "2025-11-25", "2025-11-26"]

    def test_a_range_without_sessions_makes_no_runs(self, at: SetClock) -> None:
        at("2026-01-05T00:00:00+00:00")
        assert keys("2025-11-29", "2025-11-30") == []

    @pytest.mark.parametrize("bound", ["2025-11-26T00:00+00:00", "2025-11-26T05:00+00:00", "2025-11-26T15:30-05:00"])
    def test_windows_are_of_whole_days_whatever_the_hour_of_their_bounds(self, at: SetClock, bound: str) -> None:
        at("2026-01-05T00:00:00+00:00")
        moment = datetime.fromisoformat(bound)
        [info] = TIMETABLE.iter_partition_dagrun_infos(earliest=moment, latest=moment)
        assert info.partition_key == "2025-11-26"
        assert TIMETABLE.localize_partition_datetime(moment) == info.partition_date


class TestSchedule:
    @pytest.mark.parametrize(
        ("last", "bounds", "expected"),
        [
            pytest.param(None, {"catchup": True, "earliest": "2025-11-01"}, "2025-11-03", id="catchup from the start"),
            pytest.param("2025-11-26", {"catchup": True, "earliest": "2025-11-01"}, "2025-11-28", id="over a holiday"),
            pytest.param("2025-11-05", {"catchup": True, "earliest": "2025-11-01"}, "2025-11-06", id="catching up"),
            pytest.param("2025-11-05", {"catchup": True, "earliest": "2025-11-20"}, "2025-11-20", id="start moved"),
            pytest.param(None, {"catchup": True}, "2025-11-28", id="catchup without start: the last completed"),
            pytest.param(None, {"catchup": False, "earliest": "2025-11-01"}, "2025-11-28", id="no catchup: the last"),
            pytest.param("2025-11-05", {"catchup": False}, "2025-11-28", id="no catchup after a pause: the last"),
            pytest.param("2025-11-28", {"catchup": False}, "2025-12-01", id="the next one, in the future"),
            pytest.param(None, {"catchup": False, "earliest": "2026-01-01"}, "2026-01-02", id="start in the future"),
            pytest.param("2025-11-28", {"catchup": True, "latest": "2025-11-30"}, None, id="end date reached"),
            pytest.param("2025-11-26", {"catchup": True, "latest": "2025-11-28"}, "2025-11-28", id="end date included"),
            pytest.param(None, {"catchup": True, "earliest": "2099-01-01"}, None, id="beyond the known calendar"),
        ],
    )
    def test_next_run(self, at: SetClock, last: str | None, bounds: dict[str, str], expected: str | None) -> None:
        at(BLACK_FRIDAY_EVENING)
        info = TIMETABLE.next_dagrun_info_v2(
            last_dagrun_info=run_of(last) if last else None,
            restriction=restriction(**bounds),  # type: ignore[arg-type]
        )
        assert (info.partition_key if info else None) == expected

    def test_a_run_whose_partition_was_cleared_still_counts(self, at: SetClock) -> None:
        at(BLACK_FRIDAY_EVENING)
        erased = run_of("2025-11-25")._replace(partition_date=None, partition_key=None)
        info = TIMETABLE.next_dagrun_info_v2(
            last_dagrun_info=erased, restriction=restriction(catchup=True, earliest="2025-11-01")
        )
        assert info is not None
        assert info.partition_key == "2025-11-26"


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "text"),
        [
            ("2025-11-27", "2025-11-27 is not a trading session of XNYS; nearest: 2025-11-26, 2025-11-28"),
            ("2025-11-29", "2025-11-29 is not a trading session of XNYS; nearest: 2025-11-28, 2025-12-01"),
            ("2025-01-09", "2025-01-09 is not a trading session of XNYS; nearest: 2025-01-08, 2025-01-10"),
            ("banana", "'banana' is not a session: give an XNYS trading day as YYYY-MM-DD"),
            ("2025-11-3", "'2025-11-3' is not a session: give an XNYS trading day as YYYY-MM-DD"),
            ("2025-13-01", "'2025-13-01' is not a session: give an XNYS trading day as YYYY-MM-DD"),
        ],
    )
    def test_what_is_no_session_is_refused_with_what_is_allowed(self, at: SetClock, key: str, text: str) -> None:
        at(BLACK_FRIDAY_EVENING)
        for resolve in (TIMETABLE.resolve_partition_date, SessionMapper().to_partition_date):
            with pytest.raises(InvalidPartitionKeyError) as refusal:
                resolve(key)
            assert str(refusal.value) == text

    @pytest.mark.parametrize(
        ("now", "completed"),
        [
            pytest.param("2025-11-29T01:14:59+00:00", "2025-11-26", id="one second before the half day is due"),
            pytest.param(BLACK_FRIDAY_EVENING, "2025-11-28", id="at the minute"),
            pytest.param("2025-11-30T12:00:00+00:00", "2025-11-28", id="Sunday"),
            pytest.param("2025-11-27T23:00:00+00:00", "2025-11-26", id="holiday"),
            pytest.param("2025-11-03T12:00:00+00:00", "2025-10-31", id="Monday morning after the clock change"),
        ],
    )
    def test_without_a_key_it_is_the_last_completed_session_and_later_ones_are_refused(
        self, at: SetClock, now: str, completed: str
    ) -> None:
        at(now)
        session = date.fromisoformat(completed)
        assert TIMETABLE.resolve_partition_date(None) == partition_date(session)
        assert TIMETABLE.resolve_partition_date(completed) == partition_date(session)
        later = TIMETABLE.next_dagrun_info_v2(last_dagrun_info=run_of(completed), restriction=restriction(catchup=True))
        assert later is not None
        assert later.partition_key is not None
        with pytest.raises(InvalidPartitionKeyError) as refusal:
            TIMETABLE.resolve_partition_date(later.partition_key)
        assert str(refusal.value) == (
            f"session {later.partition_key} is not due yet (20:15 New York); the last one due is {completed}"
        )

    def test_the_utc_date_of_the_partition_date_is_the_session(self, at: SetClock) -> None:
        at(BLACK_FRIDAY_EVENING)
        for key in keys("2025-03-01", "2025-11-30"):
            moment = TIMETABLE.resolve_partition_date(key)
            assert moment is not None
            assert moment.astimezone(UTC).date().isoformat() == key

    def test_consumers_give_a_key_the_same_partition_date_as_producers(self, at: SetClock) -> None:
        at(BLACK_FRIDAY_EVENING)
        mapper = SessionMapper()
        assert mapper.to_downstream("2025-11-28") == "2025-11-28"
        assert mapper.to_partition_date("2025-11-28") == TIMETABLE.resolve_partition_date("2025-11-28")


class TestInAirflow:
    def test_timetable_and_mapper_survive_the_serialization_of_dags(self) -> None:
        encoded = encode_timetable(SessionTimetable(Due("close", 930)))
        assert encoded == {
            "__type": "bellwether_airflow.timetables.SessionTimetable",
            "__var": {"bound": "close", "minutes": 930},
        }
        decoded = decode_timetable(encoded)
        assert isinstance(decoded, SessionTimetable)
        assert decoded.serialize() == {"bound": "close", "minutes": 930}
        assert isinstance(decode_partition_mapper(encode_partition_mapper(SessionMapper())), SessionMapper)

    @pytest.mark.parametrize(
        ("due", "summary"),
        [
            (Due("post_close", 0), "Sessions, 20:00 New York"),
            (Due("post_close", 15), "Sessions, 20:15 New York"),
            (Due("post_close", 240), "Sessions, 00:00 New York, 1 d later"),
            (Due("close", -10), "Sessions, 15:50 New York, earlier on half days"),
            (Due("open", 20), "Sessions, 09:50 New York"),
        ],
    )
    def test_the_list_of_dags_shows_when_runs_are_due(self, due: Due, summary: str) -> None:
        timetable = SessionTimetable(due)
        assert timetable.summary == summary
        assert summary.removeprefix("Sessions, ") in timetable.description

    def test_run_ids_name_type_and_session_and_never_repeat(self, at: SetClock) -> None:
        at(BLACK_FRIDAY_EVENING)
        info = run_of("2025-11-28")
        ids = {
            TIMETABLE.generate_run_id(
                run_type=DagRunType.BACKFILL_JOB,
                run_after=info.run_after,
                data_interval=None,
                partition_key=info.partition_key,
            )
            for _ in range(20)
        }
        assert len(ids) == 20
        assert all(run_id.startswith("backfill__2025-11-28__") for run_id in ids)

    def test_run_ids_of_runs_triggered_by_hand_show_the_time(self) -> None:
        moment = pendulum.datetime(2025, 11, 28, 12)
        run_id = TIMETABLE.generate_run_id(run_type=DagRunType.MANUAL, run_after=moment, data_interval=None)
        assert run_id.startswith("manual__2025-11-28T12:00:00+00:00__")

    def test_a_logical_date_given_by_hand_is_an_empty_interval(self) -> None:
        moment = pendulum.datetime(2025, 11, 28, 12)
        assert TIMETABLE.infer_manual_data_interval(run_after=moment).start == moment
