"""Reference data through plan, fetch, validation and publishing: whose it is, and what an answer proves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.consolidate.readiness import readiness
from bellwether.errors import NotEntitled
from bellwether.ingest.fetch import fetch_batch
from bellwether.ingest.finish import failed_tickers, publish_stage, validate_stage
from bellwether.ingest.plan import Batch, plan_session
from bellwether.ingest.universe import named_universe, session_universe
from bellwether.lake import Coverage, Lake, read
from bellwether.lake.publish import Publication
from bellwether.sources import rows
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage
from bellwether.universe.spec import ActiveTickers, WholeFeed
from tests.builders import SESSION, FakeReference
from tests.unit.ingest.conftest import UNIVERSE, with_universe


def split(ticker: str, to: float = 7) -> rows.Split:
    return rows.Split(id="E1", ticker=ticker, execution_date=date(2014, 6, 9), split_from=1, split_to=to)


@dataclass
class Lists:
    """Stands where `PolygonRest` does: answers every list with the rows of a ticker."""

    rows: Mapping[str | None, tuple[Any, ...]] = field(default_factory=dict)
    error: Exception | None = None

    def reading(self, _take: object) -> "Lists":
        return self

    def listing(self, endpoint: Endpoint[Any], filters: Mapping[str, Any], *, page_log: object) -> Listing[Any]:
        request = ListingChain.asking(endpoint, filters).request
        if self.error is not None:
            raise self.error
        page = RawPage(
            request=request,
            chain_id=request.key,
            number=0,
            url="http://vendor/list",
            http_status=200,
            request_id="r",
            headers={},
            received_utc=datetime(2025, 7, 1, 12, 30, tzinfo=UTC),
            body=b"{}",
        )
        return Listing(self.rows.get(filters.get("ticker"), ()), (page,), "OK", 0, 1)


def planned(lake: Lake, config: Config, dataset: str, lists: Lists) -> list[Batch]:
    return plan_session(lake, config, lists, dataset, SESSION, stage_id="s1")  # type: ignore[arg-type]


def captured(lake: Lake, config: Config, dataset: str, lists: Lists) -> Publication:
    batches = planned(lake, config, dataset, lists)
    for batch in batches:
        fetch_batch(lake, lists, config, batch)  # type: ignore[arg-type]
    validate_stage(lake, config, batches)
    return publish_stage(lake, config, dataset, SESSION, stage_id="s1", run_id="r1")


@pytest.mark.parametrize("dataset", ["splits", "dividends", "tickers"])
def test_reference_data_is_of_the_equities_tickers(lake: Lake, config: Config, dataset: str) -> None:
    assert named_universe(config, dataset) == named_universe(config, "equities")
    batches = planned(lake, config, dataset, Lists())
    assert [ticker for batch in batches for ticker in batch.tickers] == list(UNIVERSE)


def test_a_rule_for_equities_is_one_for_their_reference_data(lake: Lake, config: Config) -> None:
    config = with_universe(config, ActiveTickers(rule="active"))
    vendor: Any = FakeReference([("NEWS", "CS", date(2020, 1, 1), date(2030, 1, 1))])
    assert named_universe(config, "splits") is None
    assert session_universe(lake, config, vendor, "splits", SESSION, stage_id="s1").tickers == ("NEWS",)


def test_rates_are_asked_for_as_one_whole(lake: Lake, config: Config) -> None:
    universe = named_universe(config, "rates")
    assert universe is not None
    assert (universe.required, universe.best_effort, universe.origin) == (("*",), (), "the whole feed")
    [batch] = planned(lake, config, "rates", Lists())
    assert (batch.tickers, batch.name) == (("*",), "b000 *")
    curve = rows.TreasuryYields(date=date(2025, 6, 30), yield_10_year=4.23, yield_1_month=4.3)
    manifest = captured(lake, config, "rates", Lists({None: (curve,)})).manifest
    assert {subject: (known.state, known.rows) for subject, known in manifest.coverage.items()} == {
        "*": (Coverage.COMPLETE, 2)
    }
    assert session_universe(lake, config, Lists(), "rates", SESSION, stage_id="s2", anew=True).spec_hash == (  # type: ignore[arg-type]
        WholeFeed().hash
    )


def test_a_ticker_without_splits_is_proven_to_have_none(lake: Lake, config: Config) -> None:
    manifest = captured(lake, config, "splits", Lists({"AAPL": (split("AAPL"),)})).manifest
    assert {ticker: known.state for ticker, known in manifest.coverage.items()} == {
        "AAPL": Coverage.COMPLETE,
        **dict.fromkeys(("MSFT", "QQQ", "SPY"), Coverage.EMPTY),
    }
    assert read("splits", SESSION, SESSION, root=lake.root)["split_to"].to_pylist() == [7.0]


def test_a_ticker_whose_answer_contradicts_itself_fails_alone_with_the_reason(lake: Lake, config: Config) -> None:
    lists = Lists({"AAPL": (split("AAPL"), split("AAPL", to=8))})
    manifest = captured(lake, config, "splits", lists).manifest
    assert manifest.blocking == ["AAPL"]
    assert manifest.coverage["AAPL"].reason.startswith("QualityError: the vendor contradicts itself about one split")
    assert manifest.coverage["SPY"].state == Coverage.EMPTY
    batches = [Batch("splits", SESSION, "s1", 0, UNIVERSE)]
    assert list(failed_tickers(lake, batches)) == ["AAPL"]


def test_a_plan_without_them_is_no_failure_while_they_are_optional(lake: Lake, config: Config) -> None:
    refusal = NotEntitled("not in your plan", url="http://vendor", status=403)
    manifest = captured(lake, config, "rates", Lists(error=refusal)).manifest
    assert (manifest.rows, manifest.coverage["*"].state) == (0, Coverage.NOT_ENTITLED)
    assert "equities is not published" in readiness(lake, config, SESSION).why
    assert set(readiness(lake, config, SESSION).inputs) == {"rates"}


def test_any_of_them_may_be_required(lake: Lake, config: Config) -> None:
    entry = config.sources.splits.model_copy(update={"required": True})
    config = config.model_copy(update={"sources": config.sources.model_copy(update={"splits": entry})})
    assert "splits is not published" in readiness(lake, config, SESSION).why
    captured(lake, config, "splits", Lists())
    assert "splits" not in readiness(lake, config, SESSION).why
