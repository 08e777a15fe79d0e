"""`lake.scan` streams what `lake.read` returns, each session from one publication."""

from datetime import date
from pathlib import PurePosixPath

import pyarrow as pa
import pytest

from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths, read, scan
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import bars, submission

DAYS = [date(2025, 7, 1), date(2025, 7, 2), date(2025, 7, 3)]
LAYOUT = FileLayout(SinkSettings(), "snappy")


@pytest.fixture(autouse=True)
def lake(root: str) -> Lake:
    lake = Lake.open(root, simulated=True)
    for day in DAYS:
        publish(lake, submission(bars("AAPL", day), bars("SPY", day), session=day), LAYOUT)
    return lake


def publish_again(lake: Lake, times: int) -> None:
    for seed in range(1, times + 1):
        what = submission(bars("SPY", DAYS[0], minutes=5 + seed, seed=seed), session=DAYS[0], stage_id=f"s{seed}")
        publish(lake, what, LAYOUT)


@pytest.mark.parametrize("tickers", [None, "SPY", ["SPY", "AAPL"], []])
@pytest.mark.parametrize("columns", [None, ["close", "ts"]])
def test_a_scan_gives_the_rows_of_a_read(root: str, tickers: str | list[str] | None, columns: list[str] | None) -> None:
    for end in (DAYS[1], DAYS[2], date(2025, 1, 1)):
        expected = read("equities", DAYS[0], end, tickers, columns, root=root)
        assert scan("equities", DAYS[0], end, tickers, columns, root=root).to_table().equals(expected)


def test_batches_come_session_by_session(root: str) -> None:
    batches = list(scan("equities", DAYS[0], DAYS[2], ["SPY"], root=root).to_batches())
    assert pa.Table.from_batches(batches).equals(pa.concat_tables([bars("SPY", day) for day in DAYS]))


@pytest.mark.parametrize("publications", [1, 2, 5])
def test_a_scan_that_goes_on_after_publications_gives_the_rows_it_began_with(
    lake: Lake, root: str, publications: int
) -> None:
    scanner = scan("equities", DAYS[0], DAYS[2], root=root)
    before = scanner.to_table()
    publish_again(lake, publications)
    assert scanner.to_table().equals(before)
    assert not scan("equities", DAYS[0], DAYS[2], root=root).to_table().equals(before)


def test_a_scan_whose_publication_was_replaced_and_pruned_fails_instead_of_mixing_rows(lake: Lake, root: str) -> None:
    scanner = scan("equities", DAYS[0], DAYS[2], root=root)
    scanner.to_table()
    publish_again(lake, 2)
    lake.storage.delete_folder(paths.revisions("equities", DAYS[0]))
    with pytest.raises(LakeError, match=r"was replaced since this scan first read it, .* scan anew"):
        scanner.to_table()


def test_a_file_not_published_here_and_unknown_names_are_refused(lake: Lake, root: str) -> None:
    lake.write_parquet(PurePosixPath("clean/equities/session=2025-07-07/equities.parquet"), bars("SPY"))
    with pytest.raises(LakeError, match="carries no readable manifest"):
        scan("equities", DAYS[0], date(2025, 7, 7), root=root).to_table()
    with pytest.raises(LakeError, match="it has: ticker, ts"):
        scan("equities", DAYS[0], DAYS[0], columns=["closing"], root=root)
    with pytest.raises(LakeError, match="rates has no column ticker"):
        scan("rates", DAYS[0], DAYS[0], "SPY", root=root)
