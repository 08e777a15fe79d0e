"""What should be published by now and is not, by the calendar: from which minute on, of whom, and said once."""

from datetime import UTC, date, datetime, timedelta

import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE, OVERDUE
from bellwether.errors import Blame
from bellwether.incidents.incident import Report, opened
from bellwether.incidents.overdue import overdue
from bellwether.lake import Lake
from bellwether.lake.coverage import record_failures
from bellwether.lake.manifest import encode
from bellwether.monitoring.tries import DEFERRED, Identity, TryRecord
from bellwether.producers import DATASETS_OF
from tests.builders import failed, publish_bars
from tests.incidents import TurnedClock, found

BEFORE, HALF_DAY, AFTER = date(2025, 7, 2), date(2025, 7, 3), date(2025, 7, 7)
PRODUCER = "equities_daily"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[SPY]")
    return Config.load()


def late(lake: Lake, config: Config, *known: Report, awaited: tuple[str, ...] = (PRODUCER,)) -> list[Report]:
    incidents = [opened(f"{each.dataset}.{each.session}.{each.blame}", each, lake.clock.now()) for each in known]
    return overdue(lake, config, incidents, is_awaited=awaited.__contains__, url_of="http://airflow/dags/{}".format)


def at(clock: TurnedClock, *moment: int) -> None:
    clock.at = datetime(*moment, tzinfo=UTC)


def test_every_dataset_has_a_moment_after_it_is_due_and_those_of_one_dag_the_same() -> None:
    assert set(OVERDUE) == set(DUE)
    assert all(OVERDUE[dataset].minutes > due.minutes for dataset, due in DUE.items())
    assert all(len({OVERDUE[dataset] for dataset in datasets}) == 1 for datasets in DATASETS_OF.values())


@pytest.mark.parametrize(
    ("moment", "session"),
    [
        pytest.param((2025, 7, 3, 2, 14), None, id="a minute before, the session before stands"),
        # Equities trade until 20:00 New York on half days, too; they are due 15 minutes later and have two hours.
        pytest.param((2025, 7, 4, 2, 14), BEFORE, id="a half day, a minute before: the one before lacks"),
        pytest.param((2025, 7, 4, 2, 15), HALF_DAY, id="a half day"),
        pytest.param((2025, 7, 5, 12, 0), HALF_DAY, id="a holiday is none"),
        pytest.param((2025, 7, 8, 2, 15), AFTER, id="the session after a long weekend"),
    ],
)
def test_the_last_session_that_should_be_published_is_the_one_looked_at(
    lake: Lake, clock: TurnedClock, config: Config, moment: tuple[int, ...], session: date | None
) -> None:
    publish_bars(lake, ["SPY"], date(2025, 7, 1))
    at(clock, *moment)
    assert [each.session for each in late(lake, config)] == ([session] if session else [])


def test_the_chain_of_a_half_day_is_awaited_by_its_own_close() -> None:
    due = OVERDUE["options_snapshot"]
    assert due(get_calendar().hours(HALF_DAY)) == datetime(2025, 7, 3, 16, 55, tzinfo=UTC)
    assert due(get_calendar().hours(AFTER)) == datetime(2025, 7, 7, 19, 55, tzinfo=UTC)


def test_it_says_when_it_was_due_how_it_stands_and_where_to_look(
    lake: Lake, clock: TurnedClock, config: Config
) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    at(clock, 2025, 7, 4, 2, 15)
    [report] = late(lake, config)
    assert report.subject == f"equities {HALF_DAY}: overdue"
    assert report.body == (
        "Due since 2025-07-04 00:15 UTC, 15 minutes after the end of extended hours; it should be published by 02:15 "
        "UTC.\n\n- equities: missing: SPY; never fetched\n\nNo run of it has failed. See what its run waits for, or "
        "why there is none: http://airflow/dags/equities_daily"
    )
    assert (report.severity, report.causes, report.dag_id) == ("error", ("overdue",), PRODUCER)


def test_nothing_is_said_of_what_is_published_told_paused_or_was_never_begun(
    lake: Lake, clock: TurnedClock, config: Config
) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    at(clock, 2025, 7, 4, 2, 15)
    assert len(late(lake, config)) == 1
    assert late(lake, config, awaited=()) == []
    assert late(lake, config, found(session=HALF_DAY)) == []
    assert len(late(lake, config, found(session=BEFORE))) == 1
    publish_bars(lake, ["SPY"], HALF_DAY)
    assert late(lake, config) == []


def test_who_began_after_the_session_was_due_has_all_of_it_to_come(
    lake: Lake, clock: TurnedClock, config: Config
) -> None:
    at(clock, 2025, 7, 4, 2, 15)
    assert late(lake, config) == []
    publish_bars(lake, ["SPY"], BEFORE)
    assert late(lake, config) == []


def test_of_a_session_that_is_published_a_ticker_that_was_added_later_is_not_overdue(
    lake: Lake, clock: TurnedClock, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    publish_bars(lake, ["SPY"], HALF_DAY)
    at(clock, 2025, 7, 4, 2, 15)
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "[SPY, TSLA]")
    assert late(lake, Config.load()) == []


def test_a_universe_that_only_a_rule_could_tell_is_overdue_all_the_same(
    lake: Lake, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    at(clock, 2025, 7, 4, 2, 15)
    monkeypatch.setenv("BELLWETHER__SOURCES__EQUITIES__UNIVERSE", "{rule: top_dollar_volume, count: 500}")
    [report] = late(lake, Config.load())
    assert "- equities: missing: never fetched" in report.body


@pytest.mark.parametrize(("hours", "expected"), [(23, 0), (25, 1)])
def test_what_waits_because_the_vendor_asked_it_to_is_not_overdue_for_as_long_as_it_may(
    lake: Lake, clock: TurnedClock, config: Config, hours: int, expected: int
) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    at(clock, 2025, 7, 4, 2, 15)
    identity = Identity(
        dag_id=PRODUCER,
        run_id="scheduled__x",
        task_id="ingest",
        map_index=0,
        try_number=1,
        dataset="equities",
        session=HALF_DAY,
    )
    since = clock.at - timedelta(hours=hours)
    waits = TryRecord(identity=identity, state=DEFERRED, started_utc=since, heard_utc=since, moved_utc=since)
    lake.storage.write(identity.key, encode(waits))
    assert len(late(lake, config)) == expected


def test_words_of_the_vendor_are_tame(lake: Lake, clock: TurnedClock, config: Config) -> None:
    publish_bars(lake, ["SPY"], BEFORE)
    at(clock, 2025, 7, 4, 2, 15)
    record_failures(lake, "equities", HALF_DAY, failed(["SPY"], "ServerError: \n\n[well](http://x) @everyone\x1b[2J"))
    [report] = late(lake, config)
    assert report.blame is Blame.VENDOR
    assert not {"[", "\x1b", "@"} & set(report.body)
    assert len(report.body.splitlines()) == 5
