"""The steps of consolidation on a small lake: what they read, refuse, publish and leave alone."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate import build
from bellwether.consolidate.build import build_chain_of, build_minutes_of, plan_gold, publish_session
from bellwether.consolidate.handover import remove_stages
from bellwether.consolidate.inputs import published_inputs
from bellwether.consolidate.readiness import readiness
from bellwether.errors import InputsChanged, InputsMissing, LakeError
from bellwether.lake import Coverage, Lake, paths, read
from bellwether.schemas import CHAIN, DIVIDENDS, FORMS, INDICES, MINUTES, NEWS, RATES, SPLITS
from bellwether.tickers import WHOLE
from tests.unit.consolidate.lakes import (
    BEFORE,
    consolidate,
    dividend,
    equities,
    index_bars,
    planned,
    prints,
    put,
    rates,
    stage,
)
from tests.unit.consolidate.market import DAY
from tests.unit.consolidate.prints import CALL, PUT

pytestmark = pytest.mark.usefixtures("unjudged")


def gold(lake: Lake, dataset: str, *tickers: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read(dataset, DAY, DAY, tickers or None, root=lake.root).to_pylist()
    return rows


def withdraw(lake: Lake, dataset: str, session: date = DAY) -> None:
    lake.storage.delete(paths.partition(dataset, session))


def settled(config: Config, **consolidation: Any) -> Config:
    """Return the configuration with other settings of consolidation."""
    known = config.settings.consolidation.model_dump() | consolidation
    settings = config.settings.model_copy(
        update={"consolidation": type(config.settings.consolidation).model_validate(known)}
    )
    return config.model_copy(update={"settings": settings})


def test_gold_is_published_with_the_revisions_it_is_made_of(lake: Lake, config: Config) -> None:
    published = consolidate(lake, config)
    inputs = published_inputs(lake, config, DAY).revisions
    assert inputs.keys() == {
        *("equities", f"equities@{BEFORE}", "contracts", "options", "indices", "news", "splits", "dividends", "rates"),
        *("equities#told", "news#told", "splits#told", "dividends#told"),
    }
    for dataset, rows in (("chain", 26), ("minutes", 780)):
        manifest = lake.manifest(dataset, DAY)
        assert manifest == published[dataset].manifest
        assert (manifest.rows, manifest.inputs, manifest.provenance) == (rows, inputs, "simulated")
        assert manifest.config_hash == config.hash
        assert read(dataset, DAY, DAY, root=lake.root).schema == {"chain": CHAIN, "minutes": MINUTES}[dataset]
    assert lake.manifest("chain", DAY).coverage["AAPL"].rows == 26
    assert {ticker: each.rows for ticker, each in lake.manifest("minutes", DAY).coverage.items()} == {
        "AAPL": 390,
        "SPY": 390,
    }
    assert not readiness(lake, config, DAY).announce


def test_there_is_nothing_to_do_until_an_input_changes_and_by_force_the_same_comes_out(
    lake: Lake, config: Config
) -> None:
    before = consolidate(lake, config)
    assert plan_gold(lake, config, DAY, stage_id="g2") is None
    again = consolidate(lake, config, force=True)
    assert [each.changed for each in again.values()] == [False, False]
    assert {name: each.manifest for name, each in again.items()} == {
        name: each.manifest for name, each in before.items()
    }
    put(lake, "indices", index_bars(value=18.0))
    assert readiness(lake, config, DAY).why == "inputs changed since gold was built"
    assert [each.changed for each in consolidate(lake, config).values()] == [True, True]
    assert {row["vix"] for row in gold(lake, "minutes")} == {18.0}


def test_other_settings_are_put_in_force_and_recorded(lake: Lake, config: Config) -> None:
    consolidate(lake, config)
    other = settled(config, chain={"rate": 0.01})
    consolidate(lake, other, force=True)
    assert {row["rate"] for row in gold(lake, "chain")} == {0.01}
    assert lake.manifest("minutes", DAY).config_hash == other.hash


def test_a_missing_required_input_is_refused_with_the_run_to_clear(lake: Lake, config: Config) -> None:
    withdraw(lake, "equities")
    with pytest.raises(InputsMissing, match=rf"{DAY} cannot be .* not published \(missing\): trigger equities_daily"):
        plan_gold(lake, config, DAY, stage_id="g1")
    only = equities().filter(pc.equal(equities()["ticker"], "SPY"))
    put(lake, "equities", only, AAPL=Coverage.FAILED)
    with pytest.raises(InputsMissing, match="equities lacks AAPL"):
        plan_gold(lake, config, DAY, stage_id="g1")


CHANGES: dict[str, Callable[[Lake], object]] = {
    "published anew": lambda lake: put(lake, "equities", equities(seed=1)),
    "warm-up published anew": lambda lake: put(lake, "equities", equities(BEFORE, seed=1), BEFORE),
    "withdrawn": lambda lake: withdraw(lake, "indices"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_minutes_of_inputs_that_changed_since_the_plan_are_not_built(lake: Lake, config: Config, change: str) -> None:
    plan = planned(lake, config)
    build_chain_of(lake, config, plan, "AAPL")
    CHANGES[change](lake)
    with pytest.raises(InputsChanged, match="published anew while gold was being built"):
        build_minutes_of(lake, config, plan)


def test_a_chain_of_inputs_that_changed_since_the_plan_is_not_built(lake: Lake, config: Config) -> None:
    plan = planned(lake, config)
    put(lake, "options", prints(CALL, price=9.0))
    with pytest.raises(InputsChanged, match=f"options {DAY} was published anew"):
        build_chain_of(lake, config, plan, "AAPL")


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_while_it_was_staged_keeps_the_gold_before_in_force(
    lake: Lake, config: Config, change: str
) -> None:
    before = consolidate(lake, config)
    put(lake, "rates", rates(0.03))
    plan = planned(lake, config)
    stage(lake, config, plan)
    CHANGES[change](lake)
    with pytest.raises(InputsChanged, match=f"chain {DAY}: inputs changed while gold was being built"):
        publish_session(lake, config, plan, run_id="r2")
    for dataset, publication in before.items():
        assert lake.manifest(dataset, DAY) == publication.manifest


def test_an_input_that_came_meanwhile_is_a_change_too(lake: Lake, config: Config) -> None:
    withdraw(lake, "rates")
    plan = planned(lake, config)
    stage(lake, config, plan)
    put(lake, "rates", rates())
    with pytest.raises(InputsChanged):
        publish_session(lake, config, plan, run_id="r1")
    assert lake.manifest("chain", DAY) is None


def test_dying_between_the_two_leaves_the_session_to_be_built_again(
    lake: Lake, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(point: str, *_: object) -> None:
        if point == "consolidate.chain_published":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "reach", die)
        with pytest.raises(KeyboardInterrupt):
            consolidate(lake, config)
    assert lake.manifest("chain", DAY) is not None
    assert readiness(lake, config, DAY).announce
    assert [each.changed for each in consolidate(lake, config).values()] == [False, True]


def test_what_is_not_staged_is_said_and_nothing_is_published(lake: Lake, config: Config) -> None:
    plan = planned(lake, config)
    with pytest.raises(LakeError, match="the chain of AAPL on 2025-07-02 is not staged; clear its task with all"):
        build_minutes_of(lake, config, plan)
    build_chain_of(lake, config, plan, "AAPL")
    with pytest.raises(LakeError, match="minutes of 2025-07-02 are not staged; clear the whole run"):
        publish_session(lake, config, plan, run_id="r1")
    stage(lake, config, plan)
    remove_stages(lake, plan)
    with pytest.raises(LakeError, match="not staged"):
        publish_session(lake, config, plan, run_id="r1")
    assert lake.sessions("chain") == []


def test_without_options_the_chain_has_no_rows_and_the_minutes_none_of_it(lake: Lake, config: Config) -> None:
    for dataset in ("options", "contracts"):
        withdraw(lake, dataset)
    assert planned(lake, config).underlyings == ()
    consolidate(lake, config)
    assert lake.manifest("chain", DAY).rows == 0
    assert {row["chain_volume"] for row in gold(lake, "minutes")} == {None}


def test_with_nothing_but_bars_the_rest_is_null(lake: Lake, config: Config) -> None:
    for dataset in ("contracts", "indices", "news", "splits", "dividends", "rates"):
        withdraw(lake, dataset)
    withdraw(lake, "equities", BEFORE)
    consolidate(lake, config)
    assert {row["iv_status"] for row in gold(lake, "chain")} == {"no_rate"}
    first = gold(lake, "minutes", "AAPL")[0]
    assert (first["vix"], first["news_counts"], first["ind_sma"]) == (None, [None] * 3, None)


def test_an_underlying_that_is_no_equity_keeps_its_prints(lake: Lake, config: Config) -> None:
    put(lake, "options", prints(CALL, "O:XYZ250718C00200000"))
    assert planned(lake, config).underlyings == ("AAPL", "XYZ")
    consolidate(lake, config)
    assert {row["iv_status"] for row in gold(lake, "chain") if row["underlying"] == "XYZ"} == {"no_underlying"}
    assert {row["ticker"] for row in gold(lake, "minutes")} == {"AAPL", "SPY"}


def test_an_index_prices_its_options_and_its_repetitions_after_the_close_age(lake: Lake, config: Config) -> None:
    prices = pa.concat_tables([index_bars(), index_bars("I:SPX", 5500.0, *[5500.0] * 12)])
    put(lake, "indices", prices)
    withdraw(lake, "options")
    put(lake, "options", prints("O:SPXW250718C05500000", minutes=range(385, 400, 5), price=60.0))
    consolidate(lake, config)
    assert [(row["underlying"], row["spot_age_s"], row["iv_status"]) for row in gold(lake, "chain")] == [
        ("SPX", 0, "ok"),
        ("SPX", 60, "ok"),
        ("SPX", 360, "stale_underlying"),
    ]


def scaled(bars: pa.Table, factor: float) -> pa.Table:
    """Return bars with AAPL's prices multiplied."""
    columns = {
        name: pc.if_else(pc.equal(bars["ticker"], "AAPL"), pc.multiply(bars[name], factor), bars[name])
        if name in {"open", "high", "low", "close"}
        else bars[name]
        for name in bars.column_names
    }
    return pa.table(columns)


def test_warm_up_is_in_the_shares_of_the_session_that_a_split_begins(lake: Lake, config: Config) -> None:
    consolidate(lake, config)
    smooth = gold(lake, "minutes", "AAPL")[0]
    put(lake, "equities", scaled(equities(BEFORE), 7.0), BEFORE)
    split = {"ticker": "AAPL", "execution_date": DAY, "split_from": 1.0, "split_to": 7.0, "split_id": "E1"}
    put(lake, "splits", pa.Table.from_pylist([split], SPLITS), SPY=Coverage.EMPTY)
    consolidate(lake, config)
    first = gold(lake, "minutes", "AAPL")[0]
    for name in ("ind_sma", "ind_atr"):
        assert first[name] == pytest.approx(smooth[name], rel=1e-12)
    assert first["mom_log_returns"] == pytest.approx(smooth["mom_log_returns"], abs=1e-12)


def test_on_the_day_of_a_split_prints_stand_beside_the_new_shares_price_and_adjusted_contracts_have_no_formula(
    lake: Lake, config: Config
) -> None:
    put(lake, "equities", scaled(equities(BEFORE), 7.0), BEFORE)
    split = {"ticker": "AAPL", "execution_date": DAY, "split_from": 1.0, "split_to": 7.0, "split_id": "E1"}
    put(lake, "splits", pa.Table.from_pylist([split], SPLITS), SPY=Coverage.EMPTY)
    put(lake, "options", pa.concat_tables([prints("O:AAPL1250718C01400000"), prints(CALL, PUT)]))
    consolidate(lake, config)
    rows = gold(lake, "chain")
    closes = {(row["ts"], row["close"]) for row in gold(lake, "minutes", "AAPL")}
    assert {(row["ts"], row["spot"]) for row in rows} <= closes
    assert {(row["is_adjusted"], row["iv_status"]) for row in rows} == {(False, "ok"), (True, "adjusted_contract")}
    assert {len(row["chain_expirations"]) for row in gold(lake, "minutes", "AAPL")} == {1}


def test_a_ticker_that_failed_in_the_session_before_begins_without_warm_up_and_others_do_not(
    lake: Lake, config: Config
) -> None:
    withdraw(lake, "equities", BEFORE)
    before = equities(BEFORE)
    put(lake, "equities", before.filter(pc.equal(before["ticker"], "SPY")), BEFORE, AAPL=Coverage.FAILED)
    consolidate(lake, config)
    first = {row["ticker"]: row["ind_sma"] for row in reversed(gold(lake, "minutes"))}
    assert (first["AAPL"] is None, first["SPY"] is None) == (True, False)


def test_a_damaged_session_before_is_named_with_what_to_do_and_nothing_is_built(lake: Lake, config: Config) -> None:
    lake.storage.write(paths.partition("equities", BEFORE), b"damaged")
    with pytest.raises(LakeError, match=rf"(?s)equities/session={BEFORE}/equities\.parquet is damaged .* put it back"):
        plan_gold(lake, config, DAY, stage_id="g1")


@pytest.mark.parametrize("dataset", ["splits", "dividends"])
def test_a_ticker_that_is_proven_to_have_none_after_it_failed_is_a_change_though_no_row_is(
    lake: Lake, config: Config, dataset: str
) -> None:
    withdraw(lake, dataset)
    none = FORMS[dataset].schema.empty_table()
    revision = put(lake, dataset, none, AAPL=Coverage.FAILED, SPY=Coverage.EMPTY)
    consolidate(lake, config)
    assert put(lake, dataset, none, AAPL=Coverage.EMPTY) == revision
    consolidate(lake, config)
    assert {row["ticker"] for row in gold(lake, "minutes") if row["ind_sma"] is None} == set()
    put(lake, dataset, none, QQQ=Coverage.EMPTY)  # of whom there are no minutes
    assert plan_gold(lake, config, DAY, stage_id="g2") is None


def test_a_ticker_that_is_proven_to_have_had_no_trade_gets_its_minutes(lake: Lake, config: Config) -> None:
    consolidate(lake, config)
    put(lake, "equities", equities(), QQQ=Coverage.EMPTY)
    consolidate(lake, config)
    assert {row["close"] for row in gold(lake, "minutes", "QQQ")} == {None}


def test_news_that_is_not_in_the_plan_is_unknown_and_not_none(lake: Lake, config: Config) -> None:
    withdraw(lake, "news")
    put(lake, "news", NEWS.empty_table(), **{WHOLE: Coverage.NOT_ENTITLED})
    consolidate(lake, config)
    assert gold(lake, "minutes")[0]["news_counts"] == [None] * 3
    put(lake, "news", NEWS.empty_table(), **{WHOLE: Coverage.EMPTY})
    consolidate(lake, config)
    assert gold(lake, "minutes")[0]["news_counts"] == [0] * 3


@pytest.mark.parametrize("state", [Coverage.FAILED, Coverage.PARTIAL, Coverage.NOT_ENTITLED])
def test_a_ticker_whose_splits_are_not_settled_gets_no_warm_up_and_others_do(
    lake: Lake, config: Config, state: Coverage
) -> None:
    withdraw(lake, "splits")
    put(lake, "splits", SPLITS.empty_table(), AAPL=state, SPY=Coverage.EMPTY)
    consolidate(lake, config)
    first = {row["ticker"]: row["ind_sma"] for row in reversed(gold(lake, "minutes"))}
    assert first["AAPL"] is None
    assert first["SPY"] is not None


class TestTrailingYield:
    """The dividends of the year before, over the close before."""

    @pytest.fixture
    def trailing(self, config: Config) -> Config:
        return settled(config, chain={"dividend_yield": "trailing"})

    def yields(self, lake: Lake, config: Config) -> set[tuple[float | None, str]]:
        consolidate(lake, config)
        return {(row["dividend_yield"], row["iv_status"]) for row in gold(lake, "chain")}

    def test_is_nothing_where_it_is_proven_that_none_were_paid(self, lake: Lake, trailing: Config) -> None:
        assert self.yields(lake, trailing) == {(0.0, "ok")}

    def test_is_over_the_regular_close_of_the_session_before(self, lake: Lake, trailing: Config) -> None:
        put(lake, "dividends", dividend(0.26), SPY=Coverage.EMPTY)
        with_evening = equities(BEFORE, extended=True)
        put(lake, "equities", with_evening, BEFORE)
        close = get_calendar().hours(BEFORE).close
        regular = with_evening.filter(pc.less(with_evening["ts"], pa.scalar(close, with_evening["ts"].type)))
        [last] = regular.filter(pc.equal(regular["ticker"], "AAPL"))["close"].to_pylist()[-1:]
        assert self.yields(lake, trailing) == {(0.26 / last, "ok")}

    def test_counts_dividends_and_the_close_in_the_shares_of_the_session(self, lake: Lake, trailing: Config) -> None:
        put(lake, "dividends", dividend(0.70), SPY=Coverage.EMPTY)
        [(plain, _)] = self.yields(lake, trailing)
        spring = {"ticker": "AAPL", "execution_date": date(2025, 6, 2), "split_from": 1.0, "split_to": 7.0}
        withdraw(lake, "splits")
        put(lake, "splits", pa.Table.from_pylist([spring | {"split_id": "E1"}], SPLITS), SPY=Coverage.EMPTY)
        [(adjusted, _)] = self.yields(lake, trailing)
        assert adjusted == pytest.approx(plain / 7, rel=1e-12)
        today = spring | {"execution_date": DAY}  # before it dividend and close are of the same shares
        withdraw(lake, "splits")
        put(lake, "splits", pa.Table.from_pylist([today | {"split_id": "E1"}], SPLITS), SPY=Coverage.EMPTY)
        [(same, _)] = self.yields(lake, trailing)
        assert same == pytest.approx(plain, rel=1e-12)

    def test_is_unknown_where_splits_are(self, lake: Lake, trailing: Config) -> None:
        withdraw(lake, "splits")
        assert self.yields(lake, trailing) == {(None, "no_dividend_yield")}

    def test_is_unknown_where_dividends_are(self, lake: Lake, trailing: Config) -> None:
        withdraw(lake, "dividends")
        assert self.yields(lake, trailing) == {(None, "no_dividend_yield")}
        put(lake, "dividends", DIVIDENDS.empty_table(), AAPL=Coverage.FAILED, SPY=Coverage.EMPTY)
        assert self.yields(lake, trailing) == {(None, "no_dividend_yield")}

    def test_is_unknown_where_the_close_before_is(self, lake: Lake, trailing: Config) -> None:
        put(lake, "dividends", dividend(0.26), SPY=Coverage.EMPTY)
        withdraw(lake, "equities", BEFORE)
        assert self.yields(lake, trailing) == {(None, "no_dividend_yield")}


def test_rates_too_old_to_be_known_are_none(lake: Lake, config: Config) -> None:
    old = pa.Table.from_pylist([{"date": date(2025, 1, 2), "tenor_months": 3, "rate": 0.04}], RATES)
    put(lake, "rates", old)
    consolidate(lake, config)
    assert {(row["rate"], row["iv"], row["iv_status"]) for row in gold(lake, "chain")} == {(None, None, "no_rate")}


def test_a_best_effort_ticker_that_failed_has_no_minutes(lake: Lake, config: Config) -> None:
    universe = '{"required": ["AAPL"], "best_effort": ["SPY"]}'
    lenient = Config.load(None, {"BELLWETHER__SOURCES__EQUITIES__UNIVERSE": universe})
    withdraw(lake, "equities")
    put(lake, "equities", equities().filter(pc.equal(equities()["ticker"], "AAPL")), SPY=Coverage.FAILED)
    consolidate(lake, lenient)
    assert {row["ticker"] for row in gold(lake, "minutes")} == {"AAPL"}


def test_an_empty_index_partition_is_no_volatility(lake: Lake, config: Config) -> None:
    withdraw(lake, "indices")
    put(lake, "indices", INDICES.empty_table(), **{"I:VIX": Coverage.NOT_ENTITLED})
    consolidate(lake, config)
    assert {(row["vix"], row["vix_age_s"]) for row in gold(lake, "minutes")} == {(None, None)}


def test_symbols_tell_the_underlyings_of_contracts_nobody_knows(lake: Lake, config: Config) -> None:
    for dataset in ("contracts", "options"):
        withdraw(lake, dataset)
    put(lake, "options", prints(PUT, "O:SPXW250718C05500000"))
    assert planned(lake, config).underlyings == ("AAPL", "SPX")
