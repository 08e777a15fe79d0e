"""`lake.read` returns exactly the published rows asked for."""

from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths, read
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.schemas import EQUITIES
from tests.builders import bars, submission

DAYS = [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]


@pytest.fixture(autouse=True)
def lake(root: str) -> Lake:
    lake = Lake.open(root, simulated=True)
    for day in DAYS:
        what = submission(bars("AAPL", day), bars("SPY", day), session=day)
        publish(lake, what, FileLayout(SinkSettings(), "snappy"))
    return lake


def test_sessions_come_in_order_with_both_ends_included(root: str) -> None:
    table = read("equities", "2025-07-01", date(2025, 7, 2), root=root)
    expected = [bars(ticker, day) for day in DAYS[:2] for ticker in ("AAPL", "SPY")]
    assert table.equals(pa.concat_tables(expected))
    assert table.schema.equals(EQUITIES, check_metadata=True)


def test_tickers_and_columns_narrow(root: str) -> None:
    table = read("equities", DAYS[0], DAYS[-1], tickers=["SPY"], columns=["close", "ts"], root=root)
    assert table.column_names == ["close", "ts"]
    assert table.equals(pa.concat_tables([bars("SPY", day) for day in DAYS]).select(["close", "ts"]))


def test_one_ticker_may_be_named_alone(root: str) -> None:
    assert read("equities", DAYS[0], DAYS[0], tickers="SPY", root=root).equals(bars("SPY", DAYS[0]))


def test_a_stray_folder_is_an_error_since_plain_reads_would_take_it_for_data(lake: Lake, root: str) -> None:
    lake.storage.write(PurePosixPath("clean/equities/session=2025-07-01 (copy)/equities.parquet"), b"rows")
    with pytest.raises(LakeError, match="move it out of the lake"):
        read("equities", DAYS[0], DAYS[0], root=root)


@pytest.mark.parametrize("as_of", [None, datetime(2100, 1, 1, tzinfo=UTC)], ids=["now", "as of an instant"])
def test_a_partition_withdrawn_in_the_middle_of_a_read_is_an_error_not_a_day_without_rows(
    lake: Lake, root: str, monkeypatch: pytest.MonkeyPatch, as_of: datetime | None
) -> None:
    def listed(_lake: Lake, _dataset: str) -> list[date]:
        lake.storage.delete(paths.partition("equities", DAYS[1]))
        return DAYS

    monkeypatch.setattr(Lake, "sessions", listed)
    with pytest.raises(LakeError, match="equities 2025-07-02 was listed a moment ago and is gone"):
        read("equities", DAYS[0], DAYS[-1], root=root, as_of=as_of)


def test_a_range_without_partitions_is_an_empty_table_of_the_schema(root: str) -> None:
    assert read("equities", "2020-01-01", "2020-12-31", root=root).equals(EQUITIES.empty_table())


@pytest.mark.parametrize(
    ("dataset", "columns", "message"),
    [
        ("equitys", None, "there are: .*equities"),
        ("equities", ["closing"], "has no column closing; it has: ticker, ts"),
    ],
)
def test_an_unknown_name_is_refused_saying_what_there_is(
    root: str, dataset: str, columns: list[str] | None, message: str
) -> None:
    with pytest.raises(LakeError, match=message):
        read(dataset, DAYS[0], DAYS[0], columns=columns, root=root)


def test_the_default_lake_is_that_of_the_settings(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_LAKE_DEFAULT", raising=False)
    monkeypatch.setenv("BELLWETHER__LAKE__ROOT", str(root))
    assert read("equities", DAYS[0], DAYS[0]).num_rows == 10
