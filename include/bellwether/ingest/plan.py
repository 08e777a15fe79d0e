"""Which tickers a run fetches, and in which batches."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from bellwether.calendar import get_calendar
from bellwether.config import Config, SourceSettings
from bellwether.due import DELAY_MINUTES, delay
from bellwether.errors import ConfigError, NotASession
from bellwether.lake import Lake
from bellwether.lake.coverage import session_coverage
from bellwether.lake.stage import remove_old_stages
from bellwether.logging import get_logger

log = get_logger(__name__)


class Batch(msgspec.Struct, frozen=True):
    """The tickers one task handles; small enough to travel between tasks.

    Attributes
    ----------
    stage_id
        The stage all batches of one plan share.
    index
        Position in the plan, from 0.
    """

    dataset: str
    session: date
    stage_id: str
    index: int
    tickers: tuple[str, ...]

    @property
    def name(self) -> str:
        """What people see: `b003 AAPL..MSFT`."""
        first, last = self.tickers[0], self.tickers[-1]
        return f"b{self.index:03d} {first}" + (f"..{last}" if last != first else "")


def plan_session(
    lake: Lake,
    config: Config,
    dataset: str,
    session: date,
    *,
    stage_id: str,
    tickers: Sequence[str] = (),
    force: bool = False,
) -> list[Batch]:
    """Cut a session's work into batches.

    Parameters
    ----------
    tickers
        Fetch only these, whatever the ledger says of them; by default the whole universe.
    force
        Fetch tickers again that the ledger calls proven.

    Returns
    -------
    list of Batch
        Empty when there is nothing left to fetch.

    Raises
    ------
    NotASession
        The session is not due.
    ConfigError
        A ticker is not in the universe.
    """
    check_due(lake, dataset, session)
    source: SourceSettings = getattr(config.sources, dataset)
    strangers = sorted(set(tickers) - set(source.universe))
    if strangers:
        msg = f"not in the universe of {dataset}: {', '.join(strangers)}; it holds {_sample(source.universe)}"
        raise ConfigError(msg)
    remove_old_stages(lake, dataset, session, timedelta(days=config.settings.lake.stage_keep_days))
    known = session_coverage(lake, dataset, session, source.universe)
    if tickers:
        wanted = sorted(set(tickers))
    else:
        wanted = list(source.universe) if force else [t for t in known.unproven if t in source.universe]
    size = config.settings.ingest.batch_tickers
    batches = [
        Batch(dataset, session, stage_id, number, tuple(wanted[start : start + size]))
        for number, start in enumerate(range(0, len(wanted), size))
    ]
    log.info("planned", dataset=dataset, session=session.isoformat(), tickers=len(wanted), batches=len(batches))
    return batches


def check_due(lake: Lake, dataset: str, session: date) -> None:
    """Refuse a session that cannot be captured whole yet.

    Raises
    ------
    NotASession
        It is not over, or was a moment ago; the message names the last session that can be captured.
    """
    calendar, now = get_calendar(), lake.clock.now()
    if calendar.hours(session).post_close + delay(dataset) > now:
        last = calendar.last_completed(now, delay(dataset))
        msg = f"{session} is not due before {DELAY_MINUTES[dataset]} minutes after its end; the last due is {last}"
        raise NotASession(msg)


def _sample(universe: tuple[str, ...]) -> str:
    shown = ", ".join(universe[:20])
    return shown if len(universe) <= 20 else f"{shown} and {len(universe) - 20} more"
