"""Minute bars of stocks and options: what to ask the vendor for, for one ticker and one session."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.due import SPANS
from bellwether.errors import LakeError
from bellwether.sources.aggregates import Aggregates, BarChain
from bellwether.sources.bars import iso
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.source import Answer, answer_to, of_kind
from bellwether.sources.walk import PageLog


@dataclass(frozen=True)
class MinuteBars:
    """Every unadjusted one-minute bar of a ticker in a session: a `Source`.

    Attributes
    ----------
    dataset
        Its row in `bellwether.due.SPANS` says from when to when.
    """

    dataset: str

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask for the bars, in milliseconds: dates mean UTC days, and a winter session ends on the next one."""
        yield answer_to(lambda: rest.aggregates(subject, *self.window_ms(hours), page_log=page_log))

    def subject_of(self, request: Request) -> str:
        """Return the ticker of a request; `ValueError` for what asks for no bars."""
        return BarChain.of(request).ticker

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse a window that does not hold the session's; `LakeError`."""
        asked_from_ms, asked_to_ms = int(request.arguments["from_ms"]), int(request.arguments["to_ms"])
        from_ms, to_ms = self.window_ms(hours)
        if asked_from_ms > from_ms or asked_to_ms < to_ms:
            asked, session = _span(asked_from_ms, asked_to_ms), _span(from_ms, to_ms)
            msg = f"asked for {asked}, while the session is {session}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the bars as the vendor gave them; `NotFound` where it knows no such ticker."""
        del subject, hours
        [answer] = answers
        return of_kind(Aggregates, answer).table

    def window_ms(self, hours: SessionHours) -> tuple[int, int]:
        """Return the first and the last bar start of a session, Unix ms UTC, inclusive."""
        start, end = SPANS[self.dataset](hours)
        return int(start.timestamp() * 1000), int((end - timedelta(minutes=1)).timestamp() * 1000)


def _span(from_ms: int, to_ms: int) -> str:
    return f"{iso(from_ms)} to {iso(to_ms)}"
