"""A batch stages what came, names what did not, and a further try fetches only the rest."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from bellwether.clock import SimulatedClock
from bellwether.config import Config, RetryPolicies
from bellwether.errors import (
    BadResponse,
    ConnectionFailed,
    NotEntitled,
    NotFound,
    NotPublishedYet,
    OutsideHistory,
    QualityError,
    RateLimited,
    ServerError,
    Unauthorized,
    VendorError,
)
from bellwether.ingest.fetch import BatchSummary, fetch_batch
from bellwether.ingest.pages import StagedPages
from bellwether.ingest.plan import Batch
from bellwether.lake import Coverage, Lake, paths
from bellwether.lake.stage import BatchRecord, Stage
from tests.builders import SESSION, bars, bars_body
from tests.unit.ingest.conftest import FakeVendor

BATCH = Batch("equities", SESSION, "s1", 0, ("AAPL", "MSFT", "SPY"))
URL = "http://vendor/x"


def fetch(lake: Lake, vendor: FakeVendor) -> BatchSummary:
    return fetch_batch(lake, vendor, Config(), BATCH)  # type: ignore[arg-type]


def staged(lake: Lake) -> tuple[pa.Table, BatchRecord]:
    found = Stage(lake, "equities", SESSION, "s1").read_batch(0)
    assert found is not None
    return found


def test_all_tickers_are_staged_with_raw_responses_kept_verbatim(lake: Lake, vendor: FakeVendor) -> None:
    summary = fetch(lake, vendor)
    assert (summary.name, summary.tickers, summary.rows, summary.api_calls) == ("b000 AAPL..SPY", 3, 15, 3)
    assert summary.peak_memory_mb > 10
    table, record = staged(lake)
    assert table.num_rows == 15
    assert {known.state for known in record.coverage.values()} == {Coverage.COMPLETE}
    [file] = lake.storage.list(paths.raw("equities", SESSION, "s1"))
    assert list(record.raw) == [f"s1/{file.key.name}"]
    raw = lake.read_parquet(file.key)
    assert raw["body"].to_pylist() == [bars_body(ticker, bars(ticker)) for ticker in BATCH.tickers]
    assert raw["request_id"].to_pylist() == ["r-AAPL", "r-MSFT", "r-SPY"]


def test_one_bad_ticker_does_not_hold_the_others_back_and_the_next_try_fetches_it_alone(
    lake: Lake, vendor: FakeVendor
) -> None:
    vendor.errors["MSFT"] = BadResponse("cut", url=URL)
    with pytest.raises(BadResponse) as caught:
        fetch(lake, vendor)
    assert caught.value.__notes__ == [
        "1 of 3 tickers failed: MSFT; the others are staged",
        f"What to do: {caught.value.advice}",
    ]
    assert staged(lake)[1].failed == ["MSFT"]
    assert staged(lake)[1].coverage["MSFT"].reason == "BadResponse: cut"
    vendor.errors.clear()
    summary = fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 1, "MSFT": 2, "SPY": 1}
    assert (summary.rows, summary.api_calls) == (15, 3)
    table, record = staged(lake)
    assert sorted(set(table["ticker"].to_pylist())) == ["AAPL", "MSFT", "SPY"]
    assert record.failed == []
    assert len(record.raw) == 2


def test_a_batch_that_had_succeeded_is_fetched_anew_when_someone_clears_it(lake: Lake, vendor: FakeVendor) -> None:
    fetch(lake, vendor)
    vendor.tables["SPY"] = bars("SPY", seed=1)
    fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 2, "MSFT": 2, "SPY": 2}
    assert bars("SPY", seed=1)["close"].to_pylist() == staged(lake)[0]["close"].to_pylist()[10:]


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized("bad key", url=URL),
        NotEntitled("plan", url=URL),
        OutsideHistory("data timeframe", url=URL, status=403),
        NotPublishedYet("before end of day", url=URL),
        RateLimited("slow", url=URL),
        ConnectionFailed("refused", url=URL),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_wrong_for_every_ticker_stops_the_batch_at_once(
    lake: Lake, vendor: FakeVendor, error: VendorError
) -> None:
    vendor.errors["AAPL"] = error
    with pytest.raises(type(error)):
        fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 1}
    assert staged(lake)[1].coverage["SPY"].reason == f"not tried after: {error.message}"


def test_history_clipped_within_one_tickers_answer_leaves_the_others_to_be_asked(
    lake: Lake, vendor: FakeVendor
) -> None:
    vendor.errors["AAPL"] = OutsideHistory("the bars begin late", url=URL, status=200)
    with pytest.raises(OutsideHistory):
        fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 1, "MSFT": 1, "SPY": 1}
    states = {ticker: known.state for ticker, known in staged(lake)[1].coverage.items()}
    assert states == {"AAPL": Coverage.FAILED, "MSFT": Coverage.COMPLETE, "SPY": Coverage.COMPLETE}


@pytest.mark.parametrize(
    ("error", "state", "asked"),
    [
        (OutsideHistory("the bars begin late", url=URL, status=200), Coverage.FAILED, 3),
        (OutsideHistory("data timeframe", url=URL, status=403), Coverage.NOT_ENTITLED, 1),
        (NotEntitled("plan", url=URL, status=403), Coverage.NOT_ENTITLED, 1),
    ],
)
def test_of_an_optional_dataset_only_a_refusal_is_settled_an_answer_clipped_is_a_failure(
    lake: Lake, vendor: FakeVendor, error: VendorError, state: Coverage, asked: int
) -> None:
    vendor.errors["AAPL"] = error
    equities = Config().sources.equities.model_copy(update={"required": False})
    config = Config().model_copy(update={"sources": Config().sources.model_copy(update={"equities": equities})})
    with pytest.raises(OutsideHistory) if state is Coverage.FAILED else nullcontext():
        fetch_batch(lake, vendor, config, BATCH)  # type: ignore[arg-type]
    assert staged(lake)[1].coverage["AAPL"].state is state
    assert vendor.asked.total() == asked


def test_an_unknown_ticker_and_one_without_bars_are_proven_states_not_failures(lake: Lake, vendor: FakeVendor) -> None:
    vendor.errors["AAPL"] = NotFound("no such ticker", url=URL, status=404)
    vendor.tables["MSFT"] = bars("MSFT", minutes=0)
    fetch(lake, vendor)
    states = {ticker: known.state for ticker, known in staged(lake)[1].coverage.items()}
    assert states == {"AAPL": Coverage.UNKNOWN_TICKER, "MSFT": Coverage.EMPTY, "SPY": Coverage.COMPLETE}


def test_of_several_failures_the_one_most_worth_another_try_is_raised(lake: Lake, vendor: FakeVendor) -> None:
    retries = RetryPolicies.model_validate({"errors": {"BadResponse": {"airflow_retries": 0}}})
    vendor.errors |= {"AAPL": BadResponse("odd", url=URL), "SPY": ServerError("500", url=URL)}
    with pytest.raises(ServerError, match="500"):
        fetch_batch(lake, vendor, Config(retry_policy=retries), BATCH)  # type: ignore[arg-type]


def test_identical_duplicates_are_dropped_and_counted_by_ticker(lake: Lake, vendor: FakeVendor) -> None:
    table = bars("SPY")
    vendor.tables["SPY"] = pa.concat_tables([table, table.slice(0, 2)])
    fetch(lake, vendor)
    known = staged(lake)[1].coverage["SPY"]
    assert (known.rows, known.duplicates_dropped) == (5, 2)


def test_other_columns_than_the_schemas_are_an_error(lake: Lake, vendor: FakeVendor, config: Config) -> None:
    vendor.tables["SPY"] = bars("SPY").drop_columns(["close"])
    with pytest.raises(QualityError, match="equities SPY"):
        fetch(lake, vendor)


def test_a_rate_limit_in_mid_batch_leaves_what_is_proven_staged_and_the_rest_not_tried(
    lake: Lake, vendor: FakeVendor
) -> None:
    vendor.errors["MSFT"] = RateLimited("slow", url=URL, retry_after_s=300)
    with pytest.raises(RateLimited) as caught:
        fetch(lake, vendor)
    assert caught.value.retry_after_s == 300
    table, record = staged(lake)
    assert table["ticker"].unique().to_pylist() == ["AAPL"]
    assert record.coverage["SPY"].reason == "not tried after: slow"
    vendor.errors.clear()
    fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 1, "MSFT": 2, "SPY": 1}


def test_requests_made_in_vain_are_counted(lake: Lake, vendor: FakeVendor) -> None:
    for ticker, cls, calls in [("AAPL", NotFound, 1), ("MSFT", BadResponse, 3)]:
        vendor.errors[ticker] = cls("no", url=URL)
        vendor.errors[ticker].api_calls = calls
    with pytest.raises(BadResponse):
        fetch(lake, vendor)
    assert staged(lake)[1].api_calls == 5


def test_the_answer_that_proves_an_unknown_ticker_is_kept_in_raw(lake: Lake, vendor: FakeVendor) -> None:
    vendor.errors["AAPL"] = NotFound("no such ticker", url=URL, status=404)
    [proof] = vendor.aggregates("SPY", 0, 0, page_log=None).pages
    vendor.errors["AAPL"].pages = (replace(proof, http_status=404, body=b"not found"),)
    fetch(lake, vendor)
    [file] = lake.storage.list(paths.raw("equities", SESSION, "s1"))
    raw = lake.read_parquet(file.key)
    assert raw["http_status"].to_pylist() == [404, 200, 200]
    assert raw["body"].to_pylist()[0] == b"not found"


@pytest.mark.parametrize(
    ("now", "retry_after_s"),
    [(datetime(2025, 7, 1, 22, tzinfo=UTC), 7200.0), (datetime(2025, 7, 2, 0, 30, tzinfo=UTC), None)],
    ids=["two hours before the session ends", "after it"],
)
def test_what_is_not_published_yet_says_when_to_come_back(
    tmp_path: Path, vendor: FakeVendor, now: datetime, retry_after_s: float | None
) -> None:
    lake = Lake.open(tmp_path / "other", simulated=True, clock=SimulatedClock(now, speed=0))
    vendor.errors["AAPL"] = NotPublishedYet("before end of day", url=URL, status=403)
    with pytest.raises(NotPublishedYet) as caught:
        fetch(lake, vendor)
    assert caught.value.retry_after_s == retry_after_s


def test_an_answer_is_as_old_as_its_first_page(lake: Lake, vendor: FakeVendor) -> None:
    fetch(lake, vendor)
    [file] = lake.storage.list(paths.raw("equities", SESSION, "s1"))
    received = lake.read_parquet(file.key)["received_utc"].to_pylist()
    assert [known.fetched_utc for known in staged(lake)[1].coverage.values()] == received
    assert received[0] < received[1] < lake.clock.now()


def test_pages_of_a_batch_that_had_succeeded_are_not_used_when_it_is_fetched_anew(
    lake: Lake, vendor: FakeVendor
) -> None:
    fetch(lake, vendor)
    log = StagedPages(lake, Stage(lake, "equities", SESSION, "s1").folder / "b000.pages", SESSION)
    [page] = vendor.aggregates("SPY", 0, 0, page_log=None).pages
    log.add(page)
    seen = []
    vendor.on_ask = lambda page_log: seen.append(len(page_log.read(page.request)))
    fetch(lake, vendor)
    assert seen == [0, 0, 0]
