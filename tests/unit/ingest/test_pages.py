"""Pages of unfinished answers survive in the stage, whatever dies."""

from datetime import UTC, datetime
from pathlib import PurePosixPath

from bellwether.ingest.pages import StagedPages
from bellwether.lake import Lake
from bellwether.sources.raw import RawPage, Request
from tests.builders import SESSION

FOLDER = PurePosixPath("stage/b000.pages")
SPY, QQQ = (Request("aggregates", {"ticker": ticker}) for ticker in ("SPY", "QQQ"))


def page(request: Request, number: int) -> RawPage:
    at = datetime(2025, 7, 2, tzinfo=UTC)
    return RawPage(request, "c1", number, "http://vendor/x", 200, f"r{number}", {"Date": "d"}, at, b"body %d" % number)


def test_pages_come_back_whole_in_order_and_by_request(lake: Lake) -> None:
    log = StagedPages(lake, FOLDER, SESSION)
    assert list(log.read(SPY)) == []
    for number in (0, 10, 2, 1):
        log.add(page(SPY, number))
    log.add(page(QQQ, 0))
    again = StagedPages(lake, FOLDER, SESSION)
    assert list(again.read(SPY)) == [page(SPY, number) for number in (0, 1, 2, 10)]
    assert list(again.read(QQQ)) == [page(QQQ, 0)]


def test_a_request_is_forgotten_alone_and_a_batch_whole(lake: Lake) -> None:
    log = StagedPages(lake, FOLDER, SESSION)
    log.add(page(SPY, 0))
    log.add(page(QQQ, 0))
    log.drop(SPY)
    assert (list(log.read(SPY)), len(log.read(QQQ))) == ([], 1)
    log.clear()
    log.clear()
    assert list(lake.storage.list(FOLDER)) == []
