"""Pages of unfinished answers survive in the stage, whatever dies."""

from datetime import UTC, datetime
from pathlib import Path

from bellwether.ingest.pages import StagedPages
from bellwether.sources.raw import RawPage, Request
from tests.builders import SESSION

SPY, QQQ = (Request("aggregates", {"ticker": ticker}) for ticker in ("SPY", "QQQ"))


def page(request: Request, number: int) -> RawPage:
    at = datetime(2025, 7, 2, tzinfo=UTC)
    return RawPage(request, "c1", number, "http://vendor/x", 200, f"r{number}", {"Date": "d"}, at, b"body %d" % number)


def test_pages_come_back_whole_in_order_and_by_request(tmp_path: Path) -> None:
    log = StagedPages(tmp_path / "b000.pages", SESSION)
    assert list(log.read(SPY)) == []
    for number in (0, 10, 2, 1):
        log.add(page(SPY, number))
    log.add(page(QQQ, 0))
    again = StagedPages(tmp_path / "b000.pages", SESSION)
    assert list(again.read(SPY)) == [page(SPY, number) for number in (0, 1, 2, 10)]
    assert list(again.read(QQQ)) == [page(QQQ, 0)]


def test_a_request_is_forgotten_alone_and_a_batch_whole(tmp_path: Path) -> None:
    log = StagedPages(tmp_path / "b000.pages", SESSION)
    log.add(page(SPY, 0))
    log.add(page(QQQ, 0))
    log.drop(SPY)
    assert (list(log.read(SPY)), len(log.read(QQQ))) == ([], 1)
    log.clear()
    log.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_being_written_is_no_page(tmp_path: Path) -> None:
    log = StagedPages(tmp_path, SESSION)
    log.add(page(SPY, 0))
    (tmp_path / f".{SPY.key}-0001.parquet.0123").write_bytes(b"half")
    assert len(log.read(SPY)) == 1
