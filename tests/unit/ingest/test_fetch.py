"""A batch stages what came, names what did not, and a further try fetches only the rest."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.config import Config, RetryPolicies
from bellwether.errors import (
    BadResponse,
    NotEntitled,
    NotFound,
    QualityError,
    RateLimited,
    ServerError,
    Unauthorized,
    VendorError,
)
from bellwether.ingest.fetch import BatchSummary, fetch_batch
from bellwether.ingest.plan import Batch
from bellwether.lake import Coverage, Lake
from bellwether.lake.stage import BatchRecord, Stage
from tests.builders import SESSION, bars
from tests.unit.ingest.conftest import FakeVendor

BATCH = Batch("equities", SESSION, "s1", 0, ("AAPL", "MSFT", "SPY"))
URL = "http://vendor/x"


def fetch(lake: Lake, vendor: FakeVendor) -> BatchSummary:
    return fetch_batch(lake, vendor, RetryPolicies(), BATCH)  # type: ignore[arg-type]


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
    [file] = lake.paths.raw("equities", SESSION, "s1").iterdir()
    assert list(record.raw) == [f"s1/{file.name}"]
    raw = pq.read_table(file)
    assert raw["body"].to_pylist() == [b"AAPL", b"MSFT", b"SPY"]
    assert raw["request_id"].to_pylist() == ["r-AAPL", "r-MSFT", "r-SPY"]


def test_one_bad_ticker_does_not_hold_the_others_back_and_the_next_try_fetches_it_alone(
    lake: Lake, vendor: FakeVendor
) -> None:
    vendor.errors["MSFT"] = BadResponse("cut", url=URL)
    with pytest.raises(BadResponse) as caught:
        fetch(lake, vendor)
    assert caught.value.__notes__ == ["1 of 3 tickers failed: MSFT; the others are staged"]
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
    "error", [Unauthorized("bad key", url=URL), NotEntitled("plan", url=URL), RateLimited("slow", url=URL)]
)
def test_what_is_wrong_for_every_ticker_stops_the_batch_at_once(
    lake: Lake, vendor: FakeVendor, error: VendorError
) -> None:
    vendor.errors["AAPL"] = error
    with pytest.raises(type(error)):
        fetch(lake, vendor)
    assert vendor.asked == {"AAPL": 1}
    assert staged(lake)[1].coverage["SPY"].reason == f"not tried after: {error.message}"


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
        fetch_batch(lake, vendor, retries, BATCH)  # type: ignore[arg-type]


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
