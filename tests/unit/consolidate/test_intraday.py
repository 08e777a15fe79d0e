"""Gold of a session that goes on: of what its streams had, until when, and what it must not take the place of."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate import build
from bellwether.consolidate.build import consolidate as take_all_steps
from bellwether.consolidate.build import plan_gold
from bellwether.consolidate.inputs import published_inputs
from bellwether.consolidate.intraday import (
    build_so_far,
    count_failure,
    forget_failures,
    in_words,
    next_round,
    stream_so_far,
)
from bellwether.consolidate.readiness import readiness
from bellwether.consolidate.streamed import until_of
from bellwether.errors import InputsChanged, InputsMissing, LakeError
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.recovery.ledger import read_gold
from bellwether.schemas import INDICES, TIMESTAMP
from bellwether.streaming.batches import Batches, BatchRecord, Writer
from bellwether.streaming.gaps import GapLog
from bellwether.streaming.heard import streams_end
from tests.unit.consolidate.future import articles
from tests.unit.consolidate.lakes import (
    BEFORE,
    TICKERS,
    consolidate,
    equities,
    index_bars,
    planned,
    prints,
    put,
    record,
)
from tests.unit.consolidate.market import DAY
from tests.unit.consolidate.prints import CALL, PUT

pytestmark = pytest.mark.usefixtures("unjudged")

HOURS = get_calendar().hours(DAY)
PULLED = ("equities", "options", "indices", "news")


def clock(minutes: float) -> datetime:
    """Return the instant so many minutes after the open."""
    return HOURS.open + timedelta(minutes=minutes)


@pytest.fixture
def lake(lake: Lake) -> Lake:
    """Return a lake of a session in the morning: nothing of the day itself was pulled but contracts and reference."""
    for dataset in PULLED:
        lake.storage.delete(paths.partition(dataset, DAY))
    return lake


def go_on(lake: Lake, minutes: float, number: int = 1, *, extended: bool = False) -> None:
    """Let the streams go on until so many minutes after the open."""
    for dataset, bars in (
        ("equities", equities(extended=extended)),
        ("options", prints(CALL, PUT)),
        ("indices", index_bars().drop_columns(["is_stale"])),
    ):
        record(lake, dataset, bars, clock(minutes), number)


def land(lake: Lake) -> None:
    """Publish the daily pulls."""
    put(lake, "options", prints(CALL, PUT))
    put(lake, "indices", index_bars())
    put(lake, "equities", equities())


def go_round(lake: Lake, config: Config) -> Any:
    return build_so_far(lake, config, DAY, stage_id="i1", run_id="r1")


def gold(lake: Lake, dataset: str = "minutes") -> pa.Table:
    return read(dataset, DAY, DAY, root=lake.root)


def kept(lake: Lake, dataset: str) -> int:
    return len(list(lake.storage.list(paths.revisions(dataset, DAY))))


def over_by(table: pa.Table, minutes: float) -> pa.Table:
    last = pa.scalar(clock(minutes - 1), table["ts"].type)
    return table.filter(pc.less_equal(table["ts"], last)).combine_chunks()


class TestWhatItIsBuiltOf:
    def test_the_streams_stand_in_and_are_recorded_by_their_own_names(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        so_far = go_round(lake, config)
        inputs = so_far.minutes.inputs
        assert {name for name in inputs if "live" in name} == {
            *("equities_live", "options_live", "indices_live", "equities_live#told"),
            *("equities_live#until", "options_live#until", "indices_live#until"),
        }
        assert inputs["equities_live"] == lake.manifest("equities_live", DAY).revision
        assert not {*PULLED, "equities#told"} & inputs.keys()
        assert {"contracts", "splits", "splits#told", "rates", f"equities@{BEFORE}"} <= inputs.keys()
        assert so_far.minutes.is_provisional
        assert not so_far.is_settled

    def test_what_was_pulled_is_read_though_it_was_streamed_too(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        put(lake, "indices", index_bars(value=23.0))
        inputs = go_round(lake, config).minutes.inputs
        assert ("indices" in inputs, "indices_live" in inputs) == (True, False)
        assert set(gold(lake)["vix"].to_pylist()) == {23.0}

    def test_a_required_pull_that_lacks_a_ticker_does_not_stand_and_its_stream_is_read(
        self, lake: Lake, config: Config
    ) -> None:
        go_on(lake, 100)
        put(lake, "equities", equities().filter(pc.equal(equities()["ticker"], "SPY")), AAPL=Coverage.FAILED)
        assert set(go_round(lake, config).minutes.coverage) == set(TICKERS)

    def test_a_ticker_of_which_a_gap_may_hide_something_is_partial_in_gold_too(
        self, lake: Lake, config: Config
    ) -> None:
        go_on(lake, 100)
        GapLog(lake, "equities", DAY, "test").open(clock(20), ["SPY"], "refused", clock(21), "")
        known = go_round(lake, config).minutes.coverage
        assert {ticker: each.state for ticker, each in known.items()} == {
            "AAPL": Coverage.COMPLETE,
            "SPY": Coverage.PARTIAL,
        }
        assert known["SPY"].reason == "gaps that are not filled: refused"

    def test_news_that_were_polled_count_from_when_they_were_seen(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        go_round(lake, config)
        assert set(gold(lake)["news_counts"].to_pylist()[0]) == {None}
        seen = pa.scalar(clock(20), TIMESTAMP)
        polled = articles(TICKERS, 1).slice(0, 1)
        at = polled.schema.get_field_index("first_seen_utc")
        polled = polled.set_column(at, polled.schema.field(at), pa.array([seen]))
        told = BatchRecord(rows=1, last_arrival=0, covered_ms=int(clock(25).timestamp()) * 1000)
        Batches(lake, "news", DAY).write(Writer("run", 1, 10), 1, polled, told)
        inputs = go_round(lake, config).minutes.inputs
        assert ("news_live" in inputs, "news_live#until" in inputs, "news_live#told" in inputs) == (True, False, True)
        assert until_of(inputs) == clock(99)
        counts = read("minutes", DAY, DAY, polled["ticker"][0].as_py(), root=lake.root)["news_counts"].to_pylist()
        assert [count[0] for count in counts[18:21]] == [0, 1, 1]

    def test_only_in_a_production_lake_its_provenance_is_provisional(
        self, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on(lake, 100)
        assert go_round(lake, config).minutes.provenance == "simulated"
        monkeypatch.setattr(lake, "simulated", False)
        go_on(lake, 105, 2)
        assert go_round(lake, config).minutes.provenance == "provisional"
        assert lake.manifest("equities_live", DAY).provenance == "provisional"
        land(lake)
        assert consolidate(lake, config)["minutes"].manifest.provenance == "final"

    def test_of_a_stream_of_everybody_it_takes_whom_a_rule_named_the_day_before(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        (tmp_path / "config").mkdir()
        rule = Config.load(tmp_path / "config", {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "{rule: active}"})
        bars = equities()
        other = bars.set_column(0, bars.schema.field("ticker"), pa.repeat("ZZZZ", len(bars)))
        record(lake, "equities", pa.concat_tables([bars, other.slice(0, 390)]), clock(100))
        assert set(lake.manifest("equities", BEFORE).coverage) == set(TICKERS)
        assert set(go_round(lake, rule).minutes.coverage) == set(TICKERS)

    def test_what_only_repeats_the_last_value_of_an_index_is_stale_as_in_the_daily_pull(
        self, lake: Lake, config: Config
    ) -> None:
        go_on(lake, 380)
        bars = index_bars("I:VIX", 17.0, 17.0, 18.0, 18.0)
        record(lake, "indices", bars.drop_columns(["is_stale"]), clock(400), 2)
        plan = plan_gold(lake, config, DAY, stage_id="s", streamed=stream_so_far(lake, config, DAY, run_id="r1"))
        read_back = build.Pinned(lake, DAY, {**plan.inputs, "equities_live#until": clock(400).isoformat()})
        assert read_back.table("indices").schema == INDICES
        assert read_back.table("indices").equals(
            bars.set_column(6, INDICES.field("is_stale"), pa.array([False] * 390 + [True, False, True]))
        )


class TestUntilWhen:
    @pytest.mark.parametrize(("covered", "minutes"), [(2.5, 1), (391, 390)])
    def test_a_minute_is_built_when_something_a_minute_later_was_heard(
        self, lake: Lake, config: Config, covered: float, minutes: int
    ) -> None:
        go_on(lake, covered)
        so_far = go_round(lake, config)
        assert so_far.minutes.rows == 2 * minutes
        assert gold(lake)["ts"].to_pylist()[:: len(TICKERS) * minutes] == [HOURS.open]
        assert pc.max(gold(lake)["ts"]).as_py() == clock(minutes - 1)
        assert until_of(so_far.minutes.inputs) == clock(minutes)
        assert so_far.why.startswith(f"{2 * minutes} rows until ")

    @pytest.mark.parametrize("covered", [-30, 1])
    def test_before_the_first_minute_is_over_there_is_nothing_to_build(
        self, lake: Lake, config: Config, covered: float
    ) -> None:
        go_on(lake, covered, extended=True)
        so_far = go_round(lake, config)
        assert (so_far.minutes, so_far.is_settled) == (None, False)
        assert "no minute of it is over; its streams are heard until" in so_far.why
        assert lake.sessions("chain") == lake.sessions("minutes") == []

    def test_extended_hours_begin_before_the_open(self, lake: Lake, tmp_path: Path) -> None:
        env = {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, SPY]"}
        extended = Config.load(tmp_path, env | {"BELLWETHER__CONSOLIDATION__EXTENDED_HOURS": "true"})
        go_on(lake, -29, extended=True)
        assert go_round(lake, extended).minutes.rows == 2 * 300
        assert set(gold(lake)["mom_since_open"].to_pylist()) == {None}
        go_on(lake, 11, 2, extended=True)
        assert go_round(lake, extended).minutes.rows == 2 * 340

    def test_nothing_of_what_is_not_over_is_read_wherever_it_comes_from(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        record(lake, "options", prints(CALL, PUT), clock(400), 2)
        put(lake, "indices", index_bars())
        go_round(lake, config)
        assert pc.max(gold(lake, "chain")["ts"]).as_py() == clock(90)
        assert pc.max(gold(lake)["ts"]).as_py() == clock(98)


class TestAgainstFinalGold:
    def test_its_rows_are_those_of_final_gold_up_to_its_end(self, lake: Lake, config: Config) -> None:
        go_on(lake, 200)
        go_round(lake, config)
        provisional = {dataset: gold(lake, dataset) for dataset in ("minutes", "chain")}
        land(lake)
        consolidate(lake, config)
        silent = ["transactions", "news_counts"]  # not broadcast; no news was polled, which is not the same as none
        for dataset, rows in provisional.items():
            final = over_by(gold(lake, dataset), 199)
            columns = [name for name in final.column_names if name not in silent]
            assert rows.select(columns).combine_chunks().equals(final.select(columns).combine_chunks())

    def test_the_daily_pulls_make_it_stale_announce_the_session_and_are_final(self, lake: Lake, config: Config) -> None:
        go_on(lake, 400)
        go_round(lake, config)
        waiting = readiness(lake, config, DAY)
        assert (waiting.announce, waiting.state) == (False, Coverage.STALE)
        land(lake)
        ready = readiness(lake, config, DAY)
        assert (ready.announce, ready.why) == (True, "gold is provisional: it was built from streams")
        assert "equities" in read_gold(lake, config, DAY).changed
        final = consolidate(lake, config)["minutes"].manifest
        assert not final.is_provisional
        assert final.inputs == published_inputs(lake, config, DAY).revisions
        assert not readiness(lake, config, DAY).announce

    def test_final_gold_never_reads_a_stream_though_an_optional_input_lacks(self, lake: Lake, config: Config) -> None:
        go_on(lake, 400)
        go_round(lake, config)
        put(lake, "equities", equities())
        assert stream_so_far(lake, config, DAY, run_id="r1") is None
        so_far = go_round(lake, config)
        assert so_far.is_settled
        final = consolidate(lake, config)["minutes"].manifest
        assert not {name for name in final.inputs if "live" in name}
        assert set(gold(lake)["vix"].to_pylist()) == {None}

    def test_final_gold_stays_though_a_ticker_is_owed_since(self, lake: Lake, config: Config, tmp_path: Path) -> None:
        go_on(lake, 400)
        land(lake)
        final = consolidate(lake, config)["minutes"].manifest
        wider = Config.load(tmp_path, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": "[AAPL, QQQ, SPY]"})
        assert published_inputs(lake, wider, DAY).lacking
        assert go_round(lake, wider).is_settled
        assert lake.manifest("minutes", DAY) == final


class TestTogether:
    def test_an_older_round_leaves_what_a_later_one_published(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        streamed = stream_so_far(lake, config, DAY, run_id="r1")
        older = plan_gold(lake, config, DAY, stage_id="old", streamed=streamed)
        # Nothing new was recorded, but the recorder has proven that nothing came.
        later = plan_gold(lake, config, DAY, stage_id="new", streamed=dict.fromkeys(streamed, clock(104)))
        newest = take_all_steps(lake, config, later, run_id="new")
        left = take_all_steps(lake, config, older, run_id="old")
        assert [each.changed for each in left.values()] == [False, False]
        assert {name: lake.manifest(name, DAY) for name in left} == {
            name: each.manifest for name, each in newest.items()
        }

    def test_a_round_that_final_gold_overtakes_leaves(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        plan = plan_gold(lake, config, DAY, stage_id="i", streamed=stream_so_far(lake, config, DAY, run_id="r1"))
        land(lake)
        with pytest.raises(InputsChanged):
            take_all_steps(lake, config, plan, run_id="r")
        consolidate(lake, config)
        assert not lake.manifest("minutes", DAY).is_provisional

    def test_final_gold_that_comes_between_look_and_swap_stays(
        self, lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go_on(lake, 100)
        plan = plan_gold(lake, config, DAY, stage_id="i", streamed=stream_so_far(lake, config, DAY, run_id="r1"))

        came: list[str] = []

        def overtaken(step: str, _session: date) -> None:
            if step == "gold.composed" and not came:
                came.append(step)
                land(lake)
                consolidate(lake, config)

        monkeypatch.setattr("bellwether.lake.gold.reach", overtaken)
        take_all_steps(lake, config, plan, run_id="r")
        assert not lake.manifest("minutes", DAY).is_provisional
        assert not lake.manifest("chain", DAY).is_provisional

    def test_the_same_streams_heard_no_further_are_built_once(self, lake: Lake, config: Config) -> None:
        go_on(lake, 100)
        first = go_round(lake, config).minutes
        assert go_round(lake, config).minutes == first


class TestHistory:
    def test_of_provisional_revisions_the_last_is_kept_and_earlier_instants_are_refused(
        self, lake: Lake, config: Config
    ) -> None:
        rounds = []
        for number, minutes in enumerate((100, 105, 110), 1):
            go_on(lake, minutes, number)
            rounds.append(go_round(lake, config).minutes)
        assert {dataset: kept(lake, dataset) for dataset in ("minutes", "chain", "equities_live")} == dict.fromkeys(
            ("minutes", "chain", "equities_live"), 0
        )
        land(lake)
        consolidate(lake, config)
        assert kept(lake, "minutes") == 1
        first, second, third = (each.published_utc for each in rounds)
        then = read("minutes", DAY, DAY, root=lake.root, as_of=third)
        assert len(then) == rounds[2].rows
        for instant in (first - timedelta(hours=1), first, second):
            with pytest.raises(LakeError, match=r"reads as of .* and later work"):
                read("minutes", DAY, DAY, root=lake.root, as_of=instant)

    def test_the_final_revision_before_another_final_one_is_kept(self, lake: Lake, config: Config) -> None:
        land(lake)
        consolidate(lake, config)
        put(lake, "indices", index_bars(value=18.0))
        consolidate(lake, config)
        assert kept(lake, "minutes") == 1
        assert lake.storage.read(paths.pruned("minutes", DAY)) is None


class TestNothing:
    def test_of_a_session_that_was_neither_pulled_nor_streamed_it_says_what_lacks(
        self, lake: Lake, config: Config
    ) -> None:
        assert stream_so_far(lake, config, DAY, run_id="r1") == {}
        with pytest.raises(InputsMissing, match=r"equities is not published \(missing\).*; nothing was streamed that"):
            plan_gold(lake, config, DAY, stage_id="s", streamed={})

    def test_chains_without_equities_are_none(self, lake: Lake, config: Config) -> None:
        record(lake, "options", prints(CALL, PUT), clock(100))
        assert "equities is not published" in go_round(lake, config).why

    def test_without_streams_final_gold_is_refused_as_ever(self, lake: Lake, config: Config) -> None:
        with pytest.raises(InputsMissing, match=r"trigger equities_daily with partition key 2025-07-02, or clear its "):
            planned(lake, config)


def test_the_next_round_is_due_while_minutes_change_and_then_when_all_is_over(tmp_path: Path) -> None:
    config = Config.load(tmp_path, {})
    extended = Config.load(tmp_path, {"BELLWETHER__CONSOLIDATION__EXTENDED_HOURS": "true"})
    lengths = {
        name: [next_round(which, DAY, now, "why").length / timedelta(minutes=1) for now in instants]
        for name, which, instants in (
            ("regular", config, [HOURS.pre_open, HOURS.open, clock(389), clock(421), clock(422), streams_end(DAY)]),
            ("extended", extended, [HOURS.pre_open, clock(422), HOURS.post_close]),
        )
    }
    assert lengths == {"regular": [335, 5, 5, 5, 224, 1.5], "extended": [5, 5, 5]}
    assert next_round(config, DAY, HOURS.open, "why").why == "why"


def test_failed_rounds_are_counted_until_one_comes_through(lake: Lake) -> None:
    assert [count_failure(lake, DAY, "LakeError: full") for _ in range(3)] == [1, 2, 3]
    forget_failures(lake, DAY)
    assert count_failure(lake, DAY, "LakeError: full") == 1


def test_gold_is_told_in_words(lake: Lake, config: Config) -> None:
    go_on(lake, 100)
    manifest = go_round(lake, config).minutes
    assert in_words(manifest) == f"198 rows until 11:09 New York, provisional, revision {manifest.revision[:12]}"
