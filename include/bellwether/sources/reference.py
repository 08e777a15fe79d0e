"""Reference data: what to ask the vendor's lists for, for one ticker, or for all of it, as known before a session.

Splits and dividends are asked for without a date, since the vendor lists no earlier state of them: a session captured
later holds what was announced until then. Yields and listings are asked for as of the session.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.errors import LakeError
from bellwether.reference.rows import dividends_table, rates_table, splits_table, tickers_table
from bellwether.sources import endpoints
from bellwether.sources.endpoints import Endpoint
from bellwether.sources.filters import Value
from bellwether.sources.listing import Listing, ListingChain
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.source import Answer
from bellwether.sources.walk import PageLog
from bellwether.tickers import WHOLE

YIELDS_REACH = timedelta(days=30)
"""How far before a session yields are asked for: more than a curve may be old (`bellwether.reference.rates`)."""


@dataclass(frozen=True)
class ReferenceList[Row]:
    """The rows of one of the vendor's lists: a `Source`.

    Attributes
    ----------
    dataset
        What the rows become.
    endpoint
        The list.
    questions
        From subject and session to filters; each is asked only if the ones before it found nothing.
    table
        From rows to the dataset's schema.
    """

    dataset: str
    endpoint: Endpoint[Row]
    questions: Callable[[str, date], Sequence[Mapping[str, Value]]]
    table: Callable[[Iterable[Row]], pa.Table]

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask one question after the other, until one has rows. These lists know no 404 for what they lack."""
        for filters in self.questions(subject, hours.session):
            answer = rest.listing(self.endpoint, filters, page_log=page_log)
            yield answer
            if answer.rows:
                return

    def subject_of(self, request: Request) -> str:
        """Return the ticker of a request, or `WHOLE`; `ValueError` for another list's."""
        if request.endpoint != self.endpoint.name:
            msg = f"{request.endpoint} is not {self.endpoint.name}"
            raise ValueError(msg)
        return request.arguments.get("ticker", WHOLE)

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse any other filters than the session's; `LakeError`."""
        questions = self.questions(self.subject_of(request), hours.session)
        expected = [ListingChain.asking(self.endpoint, filters).request.arguments for filters in questions]
        if request.arguments not in expected:
            msg = f"asked for {_shown(request.arguments)}, while the session asks {' or '.join(map(_shown, expected))}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the rows of all answers; `QualityError` where they contradict each other."""
        del subject, hours
        return self.table(row for answer in answers for row in _listed(answer).rows)


def _listed(answer: Answer) -> Listing[Any]:
    if not isinstance(answer, Listing):
        msg = f"not a list: {type(answer).__name__}"
        raise TypeError(msg)
    return answer


def _shown(arguments: Mapping[str, str]) -> str:
    return " ".join(f"{name}={text}" for name, text in sorted(arguments.items()))


def _every_event(ticker: str, _session: date) -> list[dict[str, Value]]:
    return [{"ticker": ticker}]


def _yields_known(_subject: str, session: date) -> list[dict[str, Value]]:
    return [{"date.gte": session - YIELDS_REACH, "date.lt": session}]


def _listing_on(ticker: str, session: date) -> list[dict[str, Value]]:
    return [{"ticker": ticker, "date": session, "active": active} for active in (True, False)]


SPLITS: Final = ReferenceList("splits", endpoints.SPLITS, _every_event, splits_table)
DIVIDENDS: Final = ReferenceList("dividends", endpoints.DIVIDENDS, _every_event, dividends_table)
RATES: Final = ReferenceList("rates", endpoints.TREASURY_YIELDS, _yields_known, rates_table)
TICKERS: Final = ReferenceList("tickers", endpoints.TICKERS, _listing_on, tickers_table)
