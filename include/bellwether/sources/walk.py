"""The walk along one answer's pages: each asked for once, tried again alone, resumed where it broke off.

Pages of an answer of several are put down in a `PageLog` as they come; the next walk feeds those through
the same strict chain and asks on from the last one's cursor. This room knows neither what pages hold nor
where a log is.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from bellwether.errors import BadRequest, BadResponse, CursorRefused, NotFound, VendorError
from bellwether.logging import get_logger
from bellwether.sources.chain import Chain, Take, take
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.retry import Retrier, error_from_response
from bellwether.sources.wire import Refused, Reply

MAX_PAGES = 500
"""Pages one answer may have: 25 million base minutes, a century of one ticker."""

log = get_logger(__name__)


class PageLog(Protocol):
    """Where the pages of an unfinished answer wait for the next try."""

    def read(self, request: Request) -> Sequence[RawPage]:
        """Return the pages of an earlier try at a request, from the first on, or none."""
        ...

    def add(self, page: RawPage) -> None:
        """Keep a page; once this returns, the page outlives the process."""
        ...

    def drop(self, request: Request) -> None:
        """Forget the pages of a request."""
        ...


class Walk[Answer]:
    """One answer on its way.

    Parameters
    ----------
    begin
        Makes the chain, empty.
    get
        Asks the vendor once, for a path and its parameters.
    retrier
        Tries a page again.
    page_log
        Where to resume from; without it a walk begins at the first page and keeps nothing.
    take
        Adds a page to the chain.

    Attributes
    ----------
    chain, pages
        What came.
    api_calls
        Requests made by this walk.
    """

    def __init__(
        self,
        begin: Callable[[], Chain[Answer]],
        get: Callable[[str, Mapping[str, str] | None], Reply],
        retrier: Retrier,
        page_log: PageLog | None,
        take: Take = take,
    ) -> None:
        self._begin = begin
        self._get = get
        self._retrier = retrier
        self._log = page_log
        self._add = take
        self.api_calls = 0
        self._start()

    def run(self) -> Answer:
        """Walk to the end and return the answer.

        Raises
        ------
        VendorError
            The answer is not complete. `pages` holds those that came, and for `NotFound` the one that proves it.
        """
        try:
            self._resume()
            while self._next is not None:
                self._step()
            return self.chain.answer(tuple(self.pages), self.api_calls)
        except VendorError as error:
            error.pages = (*self.pages, *error.pages)
            error.api_calls = self.api_calls
            raise

    def _start(self) -> None:
        self.chain = self._begin()
        self.pages: list[RawPage] = []
        self._chain_id = uuid.uuid4().hex
        self._next: tuple[str, Mapping[str, str] | None] | None = (self.chain.path, self.chain.parameters)

    def _resume(self) -> None:
        """Go as far as the log leads, and one page on; where either is refused, begin anew."""
        if self._log is None:
            return
        try:
            for page in self._log.read(self.chain.request):
                if page.number == 0:
                    self._chain_id = page.chain_id
                if (page.chain_id, page.number) != (self._chain_id, len(self.pages)):
                    break  # left over from an answer that was begun anew
                self._take(page)
        except BadResponse as error:
            self._begin_anew(self._log, error)
        try:
            if self.pages and self._next is not None:
                self._step()
        except CursorRefused as error:
            self._begin_anew(self._log, error)

    def _begin_anew(self, page_log: PageLog, error: VendorError) -> None:
        log.warning("an answer is begun anew: the pages kept of it lead no further", reason=str(error))
        page_log.drop(self.chain.request)
        self._start()

    def _step(self) -> None:
        if len(self.pages) == MAX_PAGES:
            last = self.pages[-1]
            message = f"more than {MAX_PAGES} pages"
            raise BadResponse(message, url=last.url, status=200, request_id=last.request_id)
        self._retrier.call(self._ask)
        if self._log is not None and (self._next is not None or len(self.pages) > 1):
            self._log.add(self.pages[-1])

    def _ask(self) -> None:
        path, parameters = self._next or (self.chain.path, None)
        self.api_calls += 1
        try:
            reply = self._get(path, parameters)
        except Refused as refused:
            raise self._error(refused.reply) from None
        self._take(self._page(reply))

    def _take(self, page: RawPage) -> None:
        request_id, next_path = self._add(self.chain, page)
        self.pages.append(replace(page, request_id=request_id))
        self._next = None if next_path is None else (next_path, None)

    def _page(self, reply: Reply) -> RawPage:
        return RawPage(
            request=self.chain.request,
            chain_id=self._chain_id,
            number=len(self.pages),
            url=reply.url,
            http_status=reply.status,
            request_id=reply.request_id,
            headers=reply.headers,
            received_utc=reply.received_utc,
            body=reply.body,
        )

    def _error(self, reply: Reply) -> VendorError:
        error = error_from_response(
            reply.status, reply.headers, reply.body, url=reply.url, received_utc=reply.received_utc
        )
        if self.pages and isinstance(error, BadRequest | NotFound):
            # The vendor pointed to this page itself: it says nothing of the ticker or of what was asked.
            return CursorRefused(error.message, url=error.url, status=error.status, request_id=error.request_id)
        if isinstance(error, NotFound):
            error.pages = (replace(self._page(reply), request_id=error.request_id),)
        return error
