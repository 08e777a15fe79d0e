"""What the ledger says of each DAG: captured or not, complete or not, lost for ever or not."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config, SinkSettings
from bellwether.doctor import ledger
from bellwether.doctor.ledger import Account, Span
from bellwether.lake import Coverage, Lake, TickerCoverage, Universe
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.producers import DATASETS_OF
from bellwether.schemas import SCHEMAS
from tests.builders import submission

NOW = datetime(2025, 7, 10, 12, tzinfo=UTC)
FIRST, SECOND, LAST = get_calendar().sessions(date(2025, 7, 7), date(2025, 7, 9))

CONTRACT = {
    **{"ticker": "O:SPY250718C00600000", "underlying": "SPY", "right": "call", "exercise_style": "american"},
    **{
        "expiration": date(2025, 7, 18),
        "strike": 600.0,
        "multiplier": 100.0,
        "is_adjusted": False,
        "chosen_by": "test",
    },
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.open(tmp_path, simulated=True)


@pytest.fixture
def config() -> Config:
    return Config()


def put(lake: Lake, config: Config, dataset: str, session: date, state: Coverage = Coverage.EMPTY) -> None:
    """Publish a session of a dataset on which nobody had rows."""
    wanted = config.universe(dataset).required
    coverage = dict.fromkeys(wanted, TickerCoverage(state, stage_id="s1"))
    table = SCHEMAS[dataset].empty_table()
    changes = {"dataset": dataset, "table": table, "coverage": coverage, "universe": Universe(wanted, spec_hash="x")}
    layout = FileLayout(SinkSettings(dictionary_columns=()), "snappy")
    publish(lake, submission(session=session, **changes), layout)


def read(lake: Lake, config: Config, dag_id: str, owed: tuple[date, ...] = (), span: Span | None = None) -> Account:
    return ledger.read(lake, config, dag_id, owed, span or Span(), NOW)


@pytest.mark.parametrize("dag_id", DATASETS_OF)
def test_what_was_never_captured_owes_nothing_before_its_first_run(lake: Lake, config: Config, dag_id: str) -> None:
    assert read(lake, config, dag_id) == Account(dag_id, is_required=dag_id == "equities_daily")


@pytest.mark.parametrize("dataset", [dataset for datasets in DATASETS_OF.values() for dataset in datasets])
def test_sessions_since_the_first_published_are_owed_of_every_dataset(lake: Lake, config: Config, dataset: str) -> None:
    [dag_id] = [dag_id for dag_id, datasets in DATASETS_OF.items() if dataset in datasets]
    for each in DATASETS_OF[dag_id]:
        for session in (FIRST,) if each == dataset else (FIRST, SECOND, LAST):
            put(lake, config, each, session)
    found = read(lake, config, dag_id)
    assert (found.due, found.lacking, found.incomplete) == ((FIRST, SECOND, LAST), (dataset,), (SECOND, LAST))
    assert found.lost == (frozenset({SECOND, LAST}) if dataset == "options_snapshot" else frozenset())


def test_a_plan_that_lacks_an_optional_dataset_leaves_nothing_to_fill(lake: Lake, config: Config) -> None:
    for session in (FIRST, SECOND, LAST):
        put(lake, config, "indices", session, Coverage.NOT_ENTITLED)
    assert read(lake, config, "indices_daily").incomplete == ()


def test_runs_that_published_nothing_are_not_passed_over(lake: Lake, config: Config) -> None:
    found = read(lake, config, "news_daily", owed=(SECOND,))
    assert (found.due, found.incomplete, found.is_required) == ((SECOND, LAST), (SECOND, LAST), False)


def test_contracts_that_a_later_discovery_added_are_owed(lake: Lake, config: Config) -> None:
    put(lake, config, "options", LAST)
    assert read(lake, config, "options_daily").incomplete == ()
    table = pa.Table.from_pylist([CONTRACT], schema=SCHEMAS["contracts"])
    coverage = {"SPY": TickerCoverage(Coverage.COMPLETE, rows=1, stage_id="s1")}
    changes = {"dataset": "contracts", "table": table, "coverage": coverage}
    publish(lake, submission(session=LAST, **changes), FileLayout(SinkSettings(dictionary_columns=()), "snappy"))
    assert read(lake, config, "options_daily").incomplete == (LAST,)


@pytest.mark.parametrize(
    ("span", "due"),
    [(Span(SECOND, SECOND), (SECOND,)), (Span(SECOND), (SECOND, LAST)), (Span(), (FIRST, SECOND, LAST))],
)
def test_sessions_asked_for_are_looked_at_up_to_the_last_that_is_due(
    lake: Lake, config: Config, span: Span, due: tuple[date, ...]
) -> None:
    put(lake, config, "equities", FIRST)
    assert read(lake, config, "equities_daily", span=span).due == due


def test_no_more_than_thirty_sessions_are_looked_at(lake: Lake, config: Config) -> None:
    assert len(read(lake, config, "equities_daily", owed=(date(2003, 9, 10),)).due) == 30
