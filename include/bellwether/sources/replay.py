"""Stored pages back into answers: the same chains, the same checks, and no vendor.

This room opens no connection and knows no files: whoever keeps raw pages hands them in.
"""

from collections.abc import Iterable
from typing import Any

from bellwether.errors import Truncated
from bellwether.sources import aggregates
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.chain import Take, take
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import RawPage, Request
from bellwether.sources.retry import error_from_response


def chains(pages: Iterable[RawPage]) -> list[list[RawPage]]:
    """Return pages by the answer they belong to, answers by the time they began, pages in their order."""
    by_id: dict[str, list[RawPage]] = {}
    for page in sorted(pages, key=lambda page: page.received_utc):
        by_id.setdefault(page.chain_id, []).append(page)
    return [sorted(chain, key=lambda page: page.number) for chain in by_id.values()]


def replay(pages: list[RawPage], take: Take = take) -> Aggregates | Listing[Any]:
    """Return the answer that pages were, as the transport returned it.

    Parameters
    ----------
    pages
        All pages of one answer, as `chains` returns them.
    take
        Adds a page to its chain.

    Raises
    ------
    NotFound
        The one page is the answer that proved it, as it did then.
    Truncated
        Pages are missing.
    BadResponse
        A page is not, or no longer, what the vendor promises.
    """
    first, last = pages[0], pages[-1]
    if first.http_status != 200:
        raise error_from_response(
            first.http_status, first.headers, first.body, url=first.url, received_utc=first.received_utc
        )
    chain = _chain(first.request)
    next_path: str | None = chain.path
    for number, page in enumerate(pages):
        if page.number != number or next_path is None:
            message = f"stored page {number} of answer {first.chain_id} is missing"
            raise Truncated(message, url=page.url, status=200, request_id=page.request_id)
        _, next_path = take(chain, page)
    if next_path is not None:
        message = f"the stored pages of answer {first.chain_id} end before the answer does"
        raise Truncated(message, url=last.url, status=200, request_id=last.request_id)
    return chain.answer(tuple(pages), 0)


def _chain(request: Request) -> BarChain | ListingChain[Any]:
    return BarChain.of(request) if request.endpoint == aggregates.NAME else ListingChain.of(request)
