"""What a source is: the questions it asks the vendor about one subject, and the rows the answers come to.

A subject is what is asked for one by one: a ticker, a contract, an underlying. Asking and reading are apart, so that
stored answers are read exactly as live ones are (`bellwether.ingest.replay`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.errors import NotFound
from bellwether.sources.aggregates import Aggregates
from bellwether.sources.listing import Listing
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.walk import PageLog

EMPTY_REASON = b"reason"
"""Key of a table's metadata under which a source may say why there are no rows."""

type Answer = Aggregates | Listing[Any] | NotFound
"""What one question came to; "there is none" is an answer too."""


def answer_to(question: Callable[[], Answer]) -> Answer:
    """Return what a question came to, be it that there is none."""
    try:
        return question()
    except NotFound as error:
        return error


def of_kind[Kind](kind: type[Kind], answer: Answer) -> Kind:
    """Return an answer that holds something.

    Raises
    ------
    NotFound
        It says that there is none.
    TypeError
        It answers another kind of question.
    """
    if isinstance(answer, NotFound):
        raise answer
    if not isinstance(answer, kind):
        msg = f"not an answer of kind {kind.__name__}: {type(answer).__name__}"
        raise TypeError(msg)
    return answer


class Source(Protocol):
    """One source; its rows are of one dataset."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        ...

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask all there is to ask about a subject on a session, answer by answer.

        Raises
        ------
        VendorError
            The vendor did not give a complete answer.
        """
        ...

    def subject_of(self, request: Request) -> str:
        """Return the subject that a request of this source was about.

        Raises
        ------
        ValueError
            It is no request of this source.
        """
        ...

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse the stored answer to another question than would be asked of this session today.

        Raises
        ------
        LakeError
            It is another question; the message says how it differs.
        """
        ...

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return the rows of one subject, in the dataset's schema with every column nullable, in any order.

        Parameters
        ----------
        subject
            Whose they are.
        answers
            All that `ask` yielded, in any order.
        hours
            The session's bounds.

        Raises
        ------
        NotFound
            The vendor knows no such subject.
        """
        ...
