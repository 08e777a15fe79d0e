"""One answer of one or more pages: what bars and listings have in common.

A chain takes bodies in order and proves that they belong together. It reads no socket, so that stored
pages pass through it exactly as live ones do: resuming and replaying are the same walk.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from bellwether.sources.body import refusal
from bellwether.sources.loosened import Looser
from bellwether.sources.raw import RawPage, Request

type Take = Callable[["Chain[Any]", RawPage], tuple[str | None, str | None]]
"""Adds a page to a chain, as `Chain.take` does with its body."""


class Chain[Answer](ABC):
    """The pages of one answer. A page that is refused leaves the chain as it was, so that it can be fetched again.

    Parameters
    ----------
    request
        What was asked.
    path
        Path of the first page.
    parameters
        Query of the first page; those after it are asked for as the vendor's `next_url` says.
    resource
        Pattern of the paths that `next_url` may lead to.

    Attributes
    ----------
    looser
        What is not asked of rows any more, since a change of the vendor's was let pass.
    """

    def __init__(self, request: Request, path: str, parameters: Mapping[str, str], resource: str) -> None:
        self.request = request
        self.path = path
        self.parameters = parameters
        self._resource = re.compile(resource)
        self._seen: set[str] = set()
        self.looser = Looser()

    @abstractmethod
    def take(self, body: bytes, *, url: str, request_id: str | None = None) -> tuple[str | None, str | None]:
        """Add a page; return its request id, and path and query of the next page or None at the end.

        Parameters
        ----------
        body
            The response's JSON, decompressed.
        url
            Where it came from, for errors.
        request_id
            The one in the response's headers, for a body that names none.

        Raises
        ------
        Truncated
            The body ends early, or holds another number of rows than it declares.
        BadResponse
            It is anything else but the next page of the answer to what was asked.
        """

    @abstractmethod
    def answer(self, pages: tuple[RawPage, ...], api_calls: int) -> Answer:
        """Return the whole answer, once the last page named no next one.

        Parameters
        ----------
        pages
            The pages taken.
        api_calls
            Requests made for them.

        Raises
        ------
        VendorError
            The answer as a whole is not the promised one.
        """

    def _follow(self, next_url: str | None, url: str, request_id: str | None) -> str | None:
        # The vendor leaves next_url out at the end; its own client crashes on null and asks for "/" on "".
        if not next_url:
            return None
        try:
            parts = urlsplit(next_url)
        except ValueError:
            parts = urlsplit("")
        if not self._resource.fullmatch(unquote(parts.path)):
            message = f"next_url leads to {parts.path or 'no path'}, not to more of {unquote(self.path)}"
            raise refusal(message, url, request_id)
        next_path = f"{parts.path}?{parts.query}"
        if next_path in self._seen:
            message = "next_url leads to a page that was taken before"
            raise refusal(message, url, request_id)
        return next_path


def take(chain: Chain[Any], page: RawPage) -> tuple[str | None, str | None]:
    """Add a page as it came: a `Take`."""
    return chain.take(page.body, url=page.url, request_id=page.request_id)
