"""An incident is over when what it was about stands, whoever mended it, and not before."""

from datetime import date
from pathlib import Path

import pytest

from bellwether.config import Config
from bellwether.errors import Blame
from bellwether.incidents.found import of_look_back
from bellwether.incidents.healing import heal, heal_own, heal_what_is_gone, healed_by
from bellwether.incidents.incident import Run, Watch
from bellwether.incidents.ledger import at_work, report
from bellwether.incidents.table import publish_incidents
from bellwether.lake import Lake, read
from bellwether.monitoring.health import Problem, look_back
from bellwether.monitoring.workers import Worker
from tests.builders import publish_bars
from tests.incidents import SESSION, People, TurnedClock, found


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Config:
    return Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"})


def never(_run: Run) -> bool:
    return False


def test_a_later_publication_of_all_tickers_heals_whatever_run_made_it(
    lake: Lake, clock: TurnedClock, config: Config
) -> None:
    publish_bars(lake, ["SPY"])
    clock.turn(minutes=1)
    report(lake, found())
    assert heal(lake, config, never) == []
    clock.turn(minutes=1)
    publish_bars(lake, ["SPY"], seed=1)
    assert heal(lake, config, never) == []  # AAPL is missing still
    publish_bars(lake, ["AAPL"], seed=2)
    [healed] = heal(lake, config, never)
    assert healed.healed_by == "run run-s2"
    assert heal(lake, config, never) == []


def test_what_was_published_before_the_report_heals_only_what_was_seen_to_lack(
    lake: Lake, clock: TurnedClock, config: Config
) -> None:
    publish_bars(lake, ["AAPL", "SPY"])
    clock.turn(minutes=1)
    report(lake, found())
    report(lake, found(blame=Blame.OURS, watch=Watch.STANDING))
    assert [each.last.blame for each in heal(lake, config, never)] == [Blame.OURS]


def test_runs_that_turned_green_heal_when_all_have(lake: Lake, config: Config) -> None:
    green: set[str] = set()
    report(lake, found("recovery", run=Run("ops_recover", "manual__1")))
    report(lake, found("recovery", run=Run("ops_recover", "manual__2")))
    green.add("manual__2")
    assert heal(lake, config, lambda run: run.run_id in green) == []
    green.add("manual__1")
    [healed] = heal(lake, config, lambda run: run.run_id in green)
    assert healed.healed_by == "run manual__2"


def test_a_run_that_somebody_marked_as_well_heals_nothing_while_the_session_lacks_it(
    lake: Lake, config: Config
) -> None:
    run = Run("equities_daily", "a")
    report(lake, found(run=run))
    report(lake, found("recovery", run=run))
    [recovered] = heal(lake, config, lambda _: True)
    assert recovered.last.dataset == "recovery"
    publish_bars(lake, ["AAPL", "SPY"])
    assert [each.last.dataset for each in heal(lake, config, lambda _: True)] == ["equities"]


def test_the_sweep_that_comes_to_its_end_heals_failures_of_earlier_ones_alone(lake: Lake) -> None:
    report(lake, found("incidents", blame=Blame.OURS, run=Run("ops_incidents", "a")))
    report(lake, found("health", blame=Blame.OURS, run=Run("ops_health", "a")))
    heal_own(lake, Run("ops_incidents", "b"))
    assert {each.last.dataset: each.healed_by for each in at_work(lake)} == {"incidents": "run b", "health": ""}


def test_what_only_a_look_back_sees_is_over_when_the_next_one_does_not_find_it(
    lake: Lake, config: Config, clock: TurnedClock, people: People
) -> None:
    slow = Problem(SESSION, "equities", "overrun", "it took twice as long as usual")
    health = look_back(lake, config, SESSION, 1)
    [found_so] = of_look_back(lake, health, [slow], (), dag_id="ops_health")
    assert (found_so.watch, found_so.severity) == (Watch.LOOK, "warning")
    report(lake, found_so)
    publish_bars(lake, ["AAPL", "SPY"])
    assert heal(lake, config, never) == []
    heal_what_is_gone(lake, health, [slow])
    assert [each.state for each in at_work(lake)] == ["open"]
    heal_what_is_gone(lake, health, [])
    assert [each.state for each in at_work(lake)] == ["healed"]
    assert people.sweep() == [f"health {SESSION}: healed"]


def test_what_the_look_back_does_not_reach_any_more_is_over(lake: Lake, config: Config) -> None:
    burst = Problem(SESSION, "equities", "error burst", "20 errors")
    [found_so] = of_look_back(lake, look_back(lake, config, SESSION, 1), [burst], (), dag_id="ops_health")
    report(lake, found_so)
    for other in (date(2025, 6, 30), date(2025, 7, 2)):
        heal_what_is_gone(lake, look_back(lake, config, other, 1), [])
    assert [each.state for each in at_work(lake)] == ["open"]
    heal_what_is_gone(lake, look_back(lake, config, date(2025, 8, 1), 2), [])
    assert [each.state for each in at_work(lake)] == ["healed"]


@pytest.mark.parametrize(
    ("condition", "is_healed"),
    [({}, True), ({"is_dead": True}, False), ({"is_stalled": True}, False), ({"open_gaps": 1}, False)],
)
def test_a_stall_is_over_when_the_recorder_hears(
    lake: Lake, config: Config, clock: TurnedClock, condition: dict[str, bool], is_healed: bool
) -> None:
    incident = report(lake, found("equities_live", blame=Blame.STALL, watch=Watch.STREAM, run=None))
    known: dict[str, object] = {"is_dead": False} | condition
    recorder = Worker("id", "stream", "equities", SESSION, "w1", "listening", clock.now(), 3.0, **known)  # type: ignore[arg-type]
    other = Worker("id", "stream", "options", SESSION, "w2", "listening", clock.now(), 3.0, is_dead=False)
    by = healed_by(lake, config, incident, [other, recorder], never)
    assert by == ("the recorder w1" if is_healed else "")


def test_the_dataset_has_a_row_for_each_incident_of_a_session(
    lake: Lake, config: Config, people: People, clock: TurnedClock, tmp_path: Path
) -> None:
    report(lake, found(failed=3))
    report(lake, found("news", session=date(2025, 7, 2)))
    people.tell()
    clock.turn(minutes=1)
    publish_bars(lake, ["AAPL", "SPY"])
    heal(lake, config, never)
    people.sweep()
    assert [each.last.dataset for each in at_work(lake)] == ["news"]
    publish_incidents(lake, config, [SESSION], run_id="sweep")
    [row] = read("incidents", SESSION, SESSION, root=tmp_path).to_pylist()
    assert (row["incident_id"], row["cause"], row["state"]) == (f"equities.{SESSION}.vendor", "vendor", "healed")
    assert (row["failed"], row["planned"], row["healed_by"]) == (3, 8, "run run-s0")
    assert [event.split("UTC ")[1].split(":")[0] for event in row["events"]] == [
        "opened",
        "told",
        "healed by run run-s0",
        "told",
    ]
