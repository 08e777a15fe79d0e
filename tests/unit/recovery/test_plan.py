"""From the ledger to what is to be done, each mode by what it selects; then the same over a real lake."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import Config, SinkSettings
from bellwether.errors import ConfigError, NotASession
from bellwether.lake import Coverage, Lake, TickerCoverage, Universe
from bellwether.lake.coverage import record_failures
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.producers import DAG_OF, DATASETS_OF
from bellwether.recovery.ledger import Gold, Known, Pace
from bellwether.recovery.plan import Facts, Plan, choose, is_settled, make_plan, rebuilt
from bellwether.recovery.request import Mode, Request
from tests.builders import bars, complete, failed, submission

# Thanksgiving lies between the first two; the second is a half day, and a weekend follows.
WEDNESDAY, HALF_DAY, MONDAY = date(2025, 11, 26), date(2025, 11, 28), date(2025, 12, 1)
NOW = datetime(2025, 12, 2, 12, tzinfo=UTC)
UNIVERSE = ("AAPL", "MSFT", "QQQ", "SPY")
WHOLE = Known(UNIVERSE, {})
FAILED = Known(UNIVERSE, {"QQQ": Coverage.FAILED})
MISSING = Known(UNIVERSE, dict.fromkeys(UNIVERSE, Coverage.MISSING))
PARTLY = Known(UNIVERSE, {"QQQ": Coverage.MISSING, "SPY": Coverage.FAILED})
BAD_ROWS = Known(UNIVERSE, {}, quarantined=("MSFT",))
REFUSED = Known(UNIVERSE, {"MSFT": Coverage.QUARANTINED}, quarantined=("MSFT",))
UNPLANNED = Known(None, {})


def plan(
    mode: Mode,
    known: Mapping[str, Sequence[Known]],
    *,
    gold: Mapping[date, Gold] | None = None,
    paces: Mapping[str, Pace] | None = None,
    asked: Sequence[str] = (),
    **changes: object,
) -> Plan:
    """Choose of three sessions; `known` has those of each dataset, of others of their DAGs nothing is left to do."""
    days = (WEDNESDAY, HALF_DAY, MONDAY)
    of_all = {(dataset, day): WHOLE for dataset in DAG_OF for day in days}
    given = {
        (dataset, day): each for dataset, sessions in known.items() for day, each in zip(days, sessions, strict=False)
    }
    datasets = tuple(asked or known)
    facts = Facts(
        sessions={dataset: days[: len(known.get(dataset, days))] for dataset in datasets},
        known=of_all | given,
        paces=dict.fromkeys(DAG_OF, Pace()) | dict(paces or {}),
        gold=gold or {},
        now=NOW,
    )
    return choose(Request(datasets, mode, **{"newest_first": False, **changes}), facts)


def steps(made: Plan) -> list[tuple[str, date, int | None]]:
    return [(step.dag_id, step.session, step.calls) for step in made.steps]


# --- modes


@pytest.mark.parametrize(
    ("mode", "chosen"),
    [
        (Mode.MISSING, [(MISSING, "all 4 missing"), (PARTLY, "1 of 4 missing: QQQ"), (UNPLANNED, "never planned")]),
        (Mode.FAILED, [(FAILED, "1 of 4 failed: QQQ"), (PARTLY, "1 of 4 failed: SPY")]),
        (
            Mode.QUARANTINED,
            [(BAD_ROWS, "1 of 4 with rows in quarantine: MSFT"), (REFUSED, "1 of 4 with rows in quarantine: MSFT")],
        ),
        (Mode.FORCE, [(each, "everything again") for each in (WHOLE, FAILED, MISSING, PARTLY, BAD_ROWS, REFUSED)]),
    ],
)
def test_a_mode_selects_sessions_by_what_the_ledger_says(mode: Mode, chosen: list[tuple[Known, str]]) -> None:
    for known in (WHOLE, FAILED, MISSING, PARTLY, BAD_ROWS, REFUSED, UNPLANNED):
        made = plan(mode, {"equities": [known]}, paces={"equities": Pace(tickers=4)})
        expected = [why for each, why in chosen if each is known] or (
            ["everything again"] if mode is Mode.FORCE else []
        )
        assert [step.why for step in made.steps] == expected, known


def test_what_is_fetched_is_all_that_is_not_proven_and_with_force_everything() -> None:
    assert [step.calls for step in plan(Mode.FAILED, {"equities": [PARTLY]}).steps] == [2]
    forced = plan(Mode.FORCE, {"equities": [PARTLY]}).steps[0]
    assert (forced.force, forced.calls) == (True, 4)


def test_quarantined_tickers_are_named_where_they_can_be_asked_for_alone_and_else_all_are_fetched() -> None:
    [named] = plan(Mode.QUARANTINED, {"equities": [BAD_ROWS]}).steps
    assert (named.tickers, named.force, named.calls) == (("MSFT",), False, 1)
    feed = Known(("*",), {}, quarantined=("*",))
    [whole] = plan(Mode.QUARANTINED, {"news": [feed]}, paces={"news": Pace(1, 3.0)}).steps
    assert (whole.tickers, whole.force, whole.calls, whole.why) == ((), True, 3, "with rows in quarantine")


def test_a_dag_of_several_datasets_runs_once_a_session_and_costs_what_all_of_them_lack() -> None:
    made = plan(Mode.MISSING, {"splits": [PARTLY, WHOLE], "dividends": [MISSING, WHOLE]}, asked=["splits"])
    assert steps(made) == [("reference_daily", WEDNESDAY, 2 + 4)]
    both = plan(Mode.MISSING, {"splits": [PARTLY, WHOLE], "dividends": [MISSING, WHOLE]})
    assert [step.why for step in both.steps] == ["splits: 1 of 4 missing: QQQ; dividends: all 4 missing"]


def test_contracts_that_are_not_discovered_are_counted_unless_they_are_recovered_before() -> None:
    paces = {"options": Pace(100), "contracts": Pace(2, 2.0)}
    undiscovered = {
        "options": [UNPLANNED],
        "contracts": [Known(("AAPL", "SPY"), dict.fromkeys(("AAPL", "SPY"), Coverage.MISSING))],
    }
    assert steps(plan(Mode.MISSING, undiscovered, paces=paces, asked=["options"])) == [
        ("options_daily", WEDNESDAY, 104)
    ]
    assert steps(plan(Mode.MISSING, undiscovered, paces=paces)) == [
        ("options_discovery", WEDNESDAY, 4),
        ("options_daily", WEDNESDAY, 100),
    ]


def test_what_the_vendor_shows_of_the_present_alone_is_lost_and_costs_nothing() -> None:
    made = plan(Mode.MISSING, {"options_snapshot": [MISSING], "equities": [MISSING]})
    assert steps(made) == [("equities_daily", WEDNESDAY, 4)]
    assert list(made.lost) == [("options_snapshot", WEDNESDAY)]
    assert "cannot be had later" in made.lost["options_snapshot", WEDNESDAY]


# --- revised


def gold(*changed: str, exists: bool = True, lacking: Sequence[str] = ()) -> Gold:
    return Gold(exists, frozenset(lacking), frozenset(changed))


def test_revised_selects_sessions_whose_gold_is_of_other_inputs_and_fetches_nothing_that_is_complete() -> None:
    made = plan(
        Mode.REVISED,
        {"equities": [WHOLE, WHOLE, WHOLE]},
        gold={WEDNESDAY: gold("equities"), HALF_DAY: gold(), MONDAY: gold("equities", exists=False)},
    )
    assert steps(made) == [("equities_daily", WEDNESDAY, 0), ("equities_daily", MONDAY, 0)]
    assert [step.why for step in made.steps] == ["equities changed since gold was built", "there is no gold yet"]


def test_a_revised_session_is_announced_by_one_dag_however_many_inputs_changed() -> None:
    known = {"equities": [WHOLE], "options": [WHOLE], "news": [WHOLE]}
    made = plan(Mode.REVISED, known, gold={WEDNESDAY: gold("news", "options")})
    assert steps(made) == [("options_daily", WEDNESDAY, 0)]


def test_a_revised_session_that_lacks_a_required_input_is_named_and_left_out() -> None:
    made = plan(Mode.REVISED, {"news": [WHOLE]}, gold={WEDNESDAY: gold("news", lacking=["equities"])})
    assert (made.steps, made.unready) == ((), {WEDNESDAY: {"equities"}})


def test_a_session_is_announced_by_what_cannot_be_had_later_only_where_nothing_of_it_lacks() -> None:
    known = {"options_snapshot": [WHOLE, PARTLY]}
    made = plan(Mode.REVISED, known, gold={WEDNESDAY: gold("options_snapshot"), HALF_DAY: gold("options_snapshot")})
    assert steps(made) == [("options_snapshot", WEDNESDAY, 0)]
    assert list(made.lost) == [("options_snapshot", HALF_DAY)]


# --- order and budget


def test_sessions_come_in_the_order_asked_for_and_within_one_what_others_build_on_first() -> None:
    known = {"options": [MISSING] * 3, "contracts": [MISSING] * 3}
    oldest = [session for _, session, _ in steps(plan(Mode.MISSING, known))]
    assert oldest == [WEDNESDAY, WEDNESDAY, HALF_DAY, HALF_DAY, MONDAY, MONDAY]
    newest = steps(plan(Mode.MISSING, known, newest_first=True))
    assert [session for _, session, _ in newest] == oldest[::-1]
    assert [dag_id for dag_id, _, _ in newest] == ["options_discovery", "options_daily"] * 3


@pytest.mark.parametrize(
    ("budget", "within", "beyond"),
    [
        pytest.param(None, [MONDAY, HALF_DAY, WEDNESDAY], [], id="none"),
        pytest.param(10, [MONDAY, HALF_DAY, WEDNESDAY], [], id="just enough"),
        pytest.param(9, [MONDAY, HALF_DAY], [WEDNESDAY], id="one too few"),
        pytest.param(5, [MONDAY], [HALF_DAY, WEDNESDAY], id="a later session that would fit does not overtake"),
        pytest.param(1, [], [MONDAY, HALF_DAY, WEDNESDAY], id="nothing fits"),
    ],
)
def test_the_budget_takes_sessions_in_their_order_and_leaves_the_rest(
    budget: int | None, within: list[date], beyond: list[date]
) -> None:
    made = plan(
        Mode.MISSING,
        {"equities": [MISSING, MISSING, Known(UNIVERSE, dict.fromkeys(UNIVERSE[:2], Coverage.MISSING))]},
        budget=budget,
        newest_first=True,
    )
    assert [step.session for step in made.steps] == within
    assert [step.session for step in made.beyond] == beyond
    assert made.calls <= (budget or 10)


def test_what_costs_nobody_knows_how_much_is_done_without_a_budget_only() -> None:
    assert steps(plan(Mode.MISSING, {"equities": [UNPLANNED]})) == [("equities_daily", WEDNESDAY, None)]
    limited = plan(Mode.MISSING, {"equities": [UNPLANNED]}, budget=1000)
    assert ([step.session for step in limited.beyond], limited.steps) == ([WEDNESDAY], ())


# --- what is built again


def test_gold_is_built_again_where_it_exists_or_where_its_inputs_stand_by_then() -> None:
    made = plan(Mode.MISSING, {"equities": [MISSING, MISSING]})
    reached = {
        WEDNESDAY: gold(exists=False, lacking=["equities"]),
        HALF_DAY: gold(exists=False, lacking=["equities", "options"]),
        MONDAY: gold(exists=True),
    }
    assert rebuilt(made, reached) == (WEDNESDAY, MONDAY)
    assert rebuilt(made, {MONDAY: gold(exists=False)}) == ()


# --- over a lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake: the first session is complete, the half day partly present, the last untouched."""
    lake = Lake.open(tmp_path, simulated=True, clock=SimulatedClock(NOW, speed=0))
    layout = FileLayout(SinkSettings(), "snappy")
    universe = Universe(UNIVERSE, spec_hash=Config().universe("equities").hash)
    publish(
        lake,
        submission(*(bars(ticker, WEDNESDAY) for ticker in UNIVERSE), session=WEDNESDAY, universe=universe),
        layout,
    )
    present = [bars(ticker, HALF_DAY) for ticker in UNIVERSE[:2]]
    coverage = complete(*present) | failed(["QQQ"]) | {"MSFT": TickerCoverage(Coverage.PARTIAL, 5, 1, stage_id="s1")}
    publish(lake, submission(*present, session=HALF_DAY, coverage=coverage, universe=universe), layout)
    return lake


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config.load(tmp_path, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, MSFT, QQQ, SPY]"})


def over(lake: Lake, config: Config, mode: Mode, **changes: object) -> Plan:
    asked = {"start": date(2025, 11, 26), "end": date(2025, 12, 1), "newest_first": False} | changes
    return make_plan(lake, config, Request(("equities",), mode, **asked))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.MISSING, [("equities_daily", HALF_DAY, 2), ("equities_daily", MONDAY, 4)]),
        (Mode.FAILED, [("equities_daily", HALF_DAY, 2)]),
        (Mode.QUARANTINED, [("equities_daily", HALF_DAY, 1)]),
        (Mode.REVISED, [("equities_daily", WEDNESDAY, 0)]),
        (Mode.FORCE, [("equities_daily", day, 4) for day in (WEDNESDAY, HALF_DAY, MONDAY)]),
    ],
)
def test_over_a_holiday_a_half_day_and_a_partly_present_session(
    lake: Lake, config: Config, mode: Mode, expected: list[object]
) -> None:
    assert steps(over(lake, config, mode)) == expected


def test_the_gold_of_a_recovered_session_and_of_those_it_warms_up_is_built_again(lake: Lake, config: Config) -> None:
    assert over(lake, config, Mode.MISSING).rebuilt == (HALF_DAY, MONDAY)
    assert over(lake, config, Mode.REVISED).rebuilt == (WEDNESDAY,)
    assert over(lake, config, Mode.MISSING, budget=2).rebuilt == (HALF_DAY,)


def test_a_session_of_which_nothing_could_be_published_is_failed(lake: Lake, config: Config) -> None:
    record_failures(lake, "equities", MONDAY, failed(UNIVERSE))
    assert [step.session for step in over(lake, config, Mode.FAILED).steps] == [HALF_DAY, MONDAY]
    assert [step.session for step in over(lake, config, Mode.MISSING).steps] == [HALF_DAY]


@pytest.mark.parametrize(
    ("mode", "settled"),
    [
        (Mode.MISSING, [WEDNESDAY]),
        (Mode.FAILED, [WEDNESDAY, MONDAY]),
        (Mode.REVISED, [HALF_DAY, MONDAY]),
        (Mode.FORCE, []),
        (Mode.QUARANTINED, []),
    ],
)
def test_the_ledger_says_what_others_settled_meanwhile(
    lake: Lake, config: Config, mode: Mode, settled: list[date]
) -> None:
    request = Request(("equities",), mode)
    found = [day for day in (WEDNESDAY, HALF_DAY, MONDAY) if is_settled(lake, config, request, "equities_daily", day)]
    assert found == settled


# --- the range


@pytest.mark.parametrize(
    ("asked", "sessions"),
    [
        pytest.param({"start": date(2025, 11, 27), "end": date(2025, 11, 30)}, [HALF_DAY], id="holiday to Sunday"),
        pytest.param({"start": date(2025, 11, 26)}, [WEDNESDAY, HALF_DAY, MONDAY], id="no end: the last session due"),
        pytest.param({"start": date(2025, 11, 29), "end": date(2026, 1, 5)}, [MONDAY], id="into the future"),
        pytest.param({"last": 2}, [HALF_DAY, MONDAY], id="the last two"),
        pytest.param({"last": 2, "end": date(2025, 11, 30)}, [WEDNESDAY, HALF_DAY], id="the last two up to a Sunday"),
    ],
)
def test_a_range_is_of_sessions_that_are_due(asked: dict[str, date], sessions: list[date]) -> None:
    assert Request(("equities",), Mode.MISSING, **asked).sessions("equities", NOW) == sessions


def test_a_session_is_due_by_dataset() -> None:
    at_noon = get_calendar().hours(MONDAY).open.replace(hour=17)
    request = Request(("equities",), Mode.MISSING, last=1)
    assert request.sessions("equities", at_noon) == [HALF_DAY]
    assert request.sessions("contracts", at_noon) == [MONDAY]


@pytest.mark.parametrize(
    ("start", "end", "error", "says"),
    [
        (
            date(2025, 11, 27),
            date(2025, 11, 27),
            NotASession,
            "no session of equities is due from 2025-11-27 to 2025-11-27",
        ),
        (date(2026, 1, 5), None, NotASession, "the last one due is 2025-12-01"),
        (date(2025, 12, 1), date(2025, 11, 26), ConfigError, "ends on 2025-11-26, before it begins on 2025-12-01"),
    ],
)
def test_a_range_without_a_session_is_refused(start: date, end: date | None, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Request(("equities",), Mode.MISSING, start, end).sessions("equities", NOW)


def test_every_dag_of_the_project_can_be_recovered(lake: Lake, config: Config) -> None:
    made = make_plan(lake, config, Request(tuple(DAG_OF), Mode.FORCE, last=1))
    assert {step.dag_id for step in made.steps} == set(DATASETS_OF) - {"options_snapshot"}


def test_no_dataset_is_refused(lake: Lake, config: Config) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        make_plan(lake, config, Request((), Mode.MISSING))
