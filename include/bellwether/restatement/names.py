"""How runs are called that fetch a session again to see whether it was restated: by their names they are known later.

Read when DAG files are parsed, so this room imports nothing heavy.
"""

import re
from dataclasses import dataclass
from datetime import date

_RUN = re.compile(r"restate__\d{4}-\d{2}-\d{2}__t(\d{1,4})__\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Pull:
    """A session of a DAG to be fetched again.

    Attributes
    ----------
    dag_id, session
        Which.
    sessions_later
        How many sessions after its own that is.
    of
        The session in whose night it is.
    """

    dag_id: str
    session: date
    sessions_later: int
    of: date

    @property
    def run_id(self) -> str:
        """The id of the run that does it, the same whoever begins it."""
        return f"restate__{self.session}__t{self.sessions_later}__{self.of}"


def sessions_later(run_id: str) -> int | None:
    """Return how many sessions later a run fetched its session again; None of any other run."""
    match = _RUN.fullmatch(run_id)
    return int(match[1]) if match else None
