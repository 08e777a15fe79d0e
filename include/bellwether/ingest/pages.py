"""Pages of unfinished answers, kept in the stage until their batch is complete.

One small file per page, written before the next page is asked for: whatever dies, the next try of the batch
asks on from the page after the last one here. An answer of one page never comes here.
"""

import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq

from bellwether import faultpoints
from bellwether.lake.files import write_parquet
from bellwether.sources.raw import RawPage, Request, from_table, to_table


class StagedPages:
    """A `PageLog` in a folder.

    Parameters
    ----------
    folder
        The batch's own; it need not exist.
    session
        For the step at which tests kill the process.
    """

    def __init__(self, folder: Path, session: date) -> None:
        self._folder = folder
        self._session = session

    def read(self, request: Request) -> Sequence[RawPage]:
        """Return the kept pages of a request, in order."""
        return [from_table(pq.ParquetFile(path).read())[0] for path in sorted(self._folder.glob(f"{request.key}-*"))]

    def add(self, page: RawPage) -> None:
        """Keep a page, durably."""
        write_parquet(self._folder / f"{page.request.key}-{page.number:04d}.parquet", to_table([page]))
        faultpoints.reach(faultpoints.PAGE_STAGED, self._session)

    def drop(self, request: Request) -> None:
        """Forget a request's pages, the first one first: what a crash leaves of them then begins no answer."""
        for path in sorted(self._folder.glob(f"{request.key}-*")):
            path.unlink()

    def clear(self) -> None:
        """Forget all pages."""
        shutil.rmtree(self._folder, ignore_errors=True)
