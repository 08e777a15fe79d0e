"""Pages of unfinished answers, kept in the stage until their batch is complete.

One small file per page, written before the next page is asked for: whatever dies, the next try of the batch
asks on from the page after the last one here. An answer of one page never comes here.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath

from bellwether import faultpoints
from bellwether.lake import Lake
from bellwether.sources.raw import RawPage, Request, from_table, to_table


class StagedPages:
    """A `PageLog` in a folder of a lake.

    Parameters
    ----------
    lake
        Where it is.
    folder
        The batch's own; it need not exist.
    session
        For the step at which tests kill the process.
    """

    def __init__(self, lake: Lake, folder: PurePosixPath, session: date) -> None:
        self._lake = lake
        self._folder = folder
        self._session = session

    def read(self, request: Request) -> Sequence[RawPage]:
        """Return the kept pages of a request, in order."""
        tables = [self._lake.read_parquet(key) for key in self._keys(request)]
        return [from_table(table)[0] for table in tables if table is not None]

    def add(self, page: RawPage) -> None:
        """Keep a page, durably."""
        self._lake.write_parquet(self._folder / f"{page.request.key}-{page.number:04d}.parquet", to_table([page]))
        faultpoints.reach(faultpoints.PAGE_STAGED, self._session)

    def drop(self, request: Request) -> None:
        """Forget a request's pages, the first one first: what a crash leaves of them then begins no answer."""
        for key in self._keys(request):
            self._lake.storage.delete(key)

    def clear(self) -> None:
        """Forget all pages."""
        self._lake.storage.delete_folder(self._folder)

    def _keys(self, request: Request) -> list[PurePosixPath]:
        keys = (entry.key for entry in self._lake.storage.list(self._folder))
        return sorted(key for key in keys if key.name.startswith(f"{request.key}-"))
