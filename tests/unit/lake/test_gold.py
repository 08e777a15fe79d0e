"""Publishing gold: whole partitions, and only while they are made of what is published."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.clock import SimulatedClock
from bellwether.config import SinkSettings
from bellwether.errors import InputsChanged, LakeError
from bellwether.lake import Lake, gold, paths, read
from bellwether.lake.gold import GoldSubmission, publish_gold
from bellwether.lake.layout import FileLayout
from bellwether.lake.manifest import encode
from bellwether.lake.publish import Publication
from bellwether.lake.revisions import revision_of
from bellwether.lake.scan import scan
from bellwether.lake.views import views
from bellwether.schemas import CHAIN, MINUTES
from tests.builders import SESSION, complete

LAYOUT = FileLayout(SinkSettings(), "snappy")
INPUTS = {"equities": "one"}
OPEN = get_calendar().hours(SESSION).open


@pytest.fixture
def lake(root: str) -> Lake:
    return Lake.open(root, simulated=True, clock=SimulatedClock(datetime(2025, 7, 2, tzinfo=UTC), speed=1))


def minutes(*vix: float | None, ticker: str = "SPY") -> pa.Table:
    """Return rows of minutes as they are built: windows in lists of fixed size, the chain's in lists of any."""
    windows = {"mom_log_returns": [0.1, None], "news_counts": [1, 0, 2], "news_sentiments": [None, 0.5, None]}
    rows = [
        {"ticker": ticker, "ts": OPEN + timedelta(minutes=number), "is_filled": False, "vix": value, **windows}
        | {"chain_atm_iv": [None, 0.2, 0.3][: number + 1] if number else None}
        for number, value in enumerate(vix)
    ]
    table = pa.Table.from_pylist(rows, MINUTES)
    for name, sizes in windows.items():
        at = MINUTES.get_field_index(name)
        fixed = pa.list_(MINUTES.field(name).type.value_type, len(sizes))
        table = table.set_column(at, name, pa.array([sizes] * len(rows), fixed))
    return table


def publish(
    lake: Lake, table: pa.Table, now: Callable[[], dict[str, str]] = lambda: INPUTS, **changes: Any
) -> Publication:
    what = GoldSubmission(
        dataset="minutes",
        session=SESSION,
        table=table,
        coverage=complete(table),
        inputs=INPUTS,
        warnings={"odd": 1},
        stage_id="s1",
        run_id="r1",
        config_hash="c1",
        timings_s={},
    )
    return publish_gold(lake, replace(what, **changes), LAYOUT, now)


def test_rows_and_manifest_are_put_in_force_together(lake: Lake) -> None:
    table = minutes(17.0, None, 18.0)
    publication = publish(lake, table)
    manifest = lake.manifest("minutes", SESSION)
    assert manifest == publication.manifest
    assert (manifest.inputs, manifest.warnings, manifest.rows, manifest.replaces) == (INPUTS, {"odd": 1}, 3, None)
    assert manifest.revision == revision_of(table)
    assert lake.storage.read(paths.manifest("minutes", SESSION)).content == encode(manifest)


def test_nothing_is_merged_a_session_is_replaced_whole_and_kept(lake: Lake) -> None:
    first = publish(lake, minutes(17.0, 18.0)).manifest
    second = publish(lake, minutes(19.0, ticker="QQQ"), stage_id="s2").manifest
    assert read("minutes", SESSION, SESSION, root=lake.root)["ticker"].to_pylist() == ["QQQ"]
    assert set(second.coverage) == {"QQQ"}
    [kept] = [entry.key for entry in lake.storage.list(paths.revisions("minutes", SESSION))]
    assert (kept, second.replaces) == (paths.revision(first), kept.name)
    before = read("minutes", SESSION, SESSION, root=lake.root, as_of=first.published_utc)
    assert before["vix"].to_pylist() == [17.0, 18.0]


def test_the_same_rows_of_the_same_inputs_under_the_same_settings_change_nothing(lake: Lake) -> None:
    first = publish(lake, minutes(17.0))
    again = publish(lake, minutes(17.0), run_id="r2", stage_id="s2")
    assert (again.changed, again.manifest) == (False, first.manifest)


@pytest.mark.parametrize("change", [{"inputs": {"equities": "two"}}, {"config_hash": "c2"}], ids=["inputs", "settings"])
def test_the_same_rows_of_something_else_are_recorded_as_such(lake: Lake, change: dict[str, Any]) -> None:
    publish(lake, minutes(17.0))
    again = publish(lake, minutes(17.0), lambda: change.get("inputs", INPUTS), **change)
    assert again.changed
    manifest = lake.manifest("minutes", SESSION)
    assert {name: getattr(manifest, name) for name in change} == change


def test_an_index_left_behind_is_written_though_nothing_changed(lake: Lake) -> None:
    publish(lake, minutes(17.0))
    lake.storage.delete(paths.manifest("minutes", SESSION))
    publish(lake, minutes(17.0))
    assert lake.storage.read(paths.manifest("minutes", SESSION)) is not None


@pytest.mark.parametrize("now", [{}, {"equities": "two"}, INPUTS | {"news": "one"}], ids=["gone", "other", "more"])
def test_gold_of_inputs_that_are_no_longer_published_is_refused(lake: Lake, now: dict[str, str]) -> None:
    first = publish(lake, minutes(17.0)).manifest
    with pytest.raises(InputsChanged, match=f"minutes {SESSION}: inputs changed while gold was being built"):
        publish(lake, minutes(18.0), lambda: now)
    assert lake.manifest("minutes", SESSION) == first


def test_who_was_overtaken_by_gold_of_newer_inputs_looks_again_and_is_refused(lake: Lake) -> None:
    published = dict(INPUTS)

    def overtaken() -> dict[str, str]:
        seen = dict(published)
        if seen == INPUTS:  # right after the look: new inputs, and their gold
            published["equities"] = "two"
            publish(lake, minutes(19.0), lambda: published, inputs={"equities": "two"})
        return seen

    with pytest.raises(InputsChanged):
        publish(lake, minutes(18.0), overtaken)
    assert lake.manifest("minutes", SESSION).inputs == {"equities": "two"}


def test_who_is_overtaken_by_the_same_inputs_swaps_with_what_came_in_between(lake: Lake) -> None:
    calls = []

    def overtaken() -> dict[str, str]:
        calls.append(1)
        if len(calls) == 1:
            publish(lake, minutes(17.0, 17.0))
        return INPUTS

    publication = publish(lake, minutes(18.0), overtaken)
    assert (publication.changed, len(calls)) == (True, 2)
    assert publication.manifest.replaces is not None


def test_one_who_always_loses_gives_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gold, "MOST_ROUNDS", 3)
    count = 0

    def overtaken() -> dict[str, str]:
        nonlocal count
        count += 1
        publish(lake, minutes(float(count)))
        return INPUTS

    with pytest.raises(LakeError, match="3 other publications came in between"):
        publish(lake, minutes(-1.0), overtaken)


class TestReaders:
    """What reads clean datasets reads gold, lists included."""

    def test_read_and_scan_give_the_schemas_types(self, lake: Lake) -> None:
        publish(lake, minutes(17.0, None, 18.0))
        table = read("minutes", SESSION, SESSION, root=lake.root)
        assert table.schema == MINUTES
        assert table["mom_log_returns"].to_pylist() == [[0.1, None]] * 3
        assert table["chain_atm_iv"].to_pylist() == [None, [None, 0.2], [None, 0.2, 0.3]]
        scanned = scan("minutes", SESSION, SESSION, root=lake.root).to_table()
        assert scanned.cast(MINUTES).equals(table)

    def test_columns_and_tickers_are_chosen(self, lake: Lake) -> None:
        publish(lake, pa.concat_tables([minutes(16.0, ticker="AAPL"), minutes(17.0)]))
        asked = ("minutes", SESSION, SESSION, "SPY", ["news_counts", "vix"])
        table = read(*asked, root=lake.root)
        assert table.to_pylist() == [{"news_counts": [1, 0, 2], "vix": 17.0}]
        assert scan(*asked, root=lake.root).to_table().to_pylist() == table.to_pylist()

    @pytest.mark.parametrize("dataset", ["minutes", "chain"])
    def test_what_is_computed_of_minutes_is_not_combined_into_coarser_ones(self, lake: Lake, dataset: str) -> None:
        with pytest.raises(LakeError, match=f"every='1h' of {dataset}: only minute bars are combined"):
            read(dataset, SESSION, SESSION, every="1h", root=lake.root)
        with pytest.raises(LakeError, match=f"adjust='splits' of {dataset}: only equities"):
            read(dataset, SESSION, SESSION, adjust="splits", root=lake.root)

    def test_tickers_of_the_chain_are_its_contracts_or_their_underlyings(self, lake: Lake) -> None:
        rows = [
            {"underlying": underlying, "ticker": f"O:{underlying}250718C00200000", "ts": OPEN, "iv_status": "no_rate"}
            | dict.fromkeys(("open", "high", "low", "close", "volume", "strike", "t_years"), 1.0)
            | {"right": "call", "expiration": SESSION, "exercise_style": "american", "settlement": "pm"}
            | {"is_adjusted": False, "is_american_biased": False}
            for underlying in ("AAPL", "SPY")
        ]
        table = pa.Table.from_pylist(rows, CHAIN)
        publish(lake, table, dataset="chain", coverage={})
        assert read("chain", SESSION, SESSION, root=lake.root).equals(table)
        for name in ("SPY", rows[1]["ticker"]):
            assert read("chain", SESSION, SESSION, name, root=lake.root).equals(table.slice(1))
            assert scan("chain", SESSION, SESSION, name, root=lake.root).to_table().equals(table.slice(1))
            only = read("chain", SESSION, SESSION, [name], ["close"], root=lake.root)
            assert only.equals(table.slice(1).select(["close"]))


def test_duckdb_sees_gold_and_its_lists(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish(lake, minutes(17.0, None, 18.0))
    with duckdb.connect() as connection:
        connection.execute(views(lake))
        found = connection.sql("SELECT session, vix, news_counts[3], len(mom_log_returns) FROM minutes ORDER BY ts")
        assert found.fetchall() == [(SESSION, 17.0, 2, 2), (SESSION, None, 2, 2), (SESSION, 18.0, 2, 2)]
        unnested = connection.sql("SELECT sum(iv) FROM (SELECT unnest(chain_atm_iv) AS iv FROM minutes)").fetchall()
        assert unnested == [(pytest.approx(0.7),)]
        assert connection.sql("SELECT ticker, state FROM minutes_coverage").fetchall() == [("SPY", "complete")]


def test_plain_readers_see_the_lists_of_a_file(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    publish(lake, minutes(17.0, None))
    file = lake.storage.url(paths.partition("minutes", SESSION))
    assert polars.read_parquet(file)["news_counts"].to_list() == [[1, 0, 2]] * 2
    assert [list(each) for each in pandas.read_parquet(file)["news_counts"]] == [[1, 0, 2]] * 2
