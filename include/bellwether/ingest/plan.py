"""Which tickers a run fetches, and in which batches."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.due import DUE, check_in_time
from bellwether.errors import ConfigError, NotASession
from bellwether.ingest.universe import session_universe
from bellwether.lake import Lake
from bellwether.lake.coverage import session_coverage
from bellwether.lake.stage import remove_old_stages
from bellwether.logging import get_logger
from bellwether.schemas import FORMS
from bellwether.sources.rest import PolygonRest
from bellwether.universe.spec import shown

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
        if not self.tickers:
            return f"b{self.index:03d} none"
        first, last = self.tickers[0], self.tickers[-1]
        return f"b{self.index:03d} {first}" + (f"..{last}" if last != first else "")


def plan_session(
    lake: Lake,
    config: Config,
    rest: PolygonRest,
    dataset: str,
    session: date,
    *,
    stage_id: str,
    tickers: Sequence[str] = (),
    force: bool = False,
) -> list[Batch]:
    """Settle a session's universe and cut what is left to fetch into batches.

    Parameters
    ----------
    rest
        The vendor; asked only when the universe is a rule not yet resolved for this session.
    tickers
        Fetch only these, whatever the ledger says of them; by default the whole universe.
    force
        Fetch tickers again that the ledger calls proven; for the whole universe, a rule is resolved again first.

    Returns
    -------
    list of Batch
        Empty when there is nothing left to fetch.

    Raises
    ------
    NotASession
        The session is not due.
    SnapshotMissed
        There is something left to fetch, and it can no longer be captured.
    ConfigError
        A ticker is not in the universe, or cannot be asked for alone, or a rule gives none.
    LakeError
        The universe is that of another dataset, which is not published: `bellwether.ingest.discovery` comes first.
    VendorError
        A rule could not be resolved.
    """
    check_due(lake, dataset, session)
    remove_old_stages(lake, dataset, session, timedelta(days=config.settings.lake.stage_keep_days))
    anew = force and not tickers
    universe = session_universe(lake, config, rest, dataset, session, stage_id=stage_id, anew=anew)
    if tickers and FORMS[dataset].subject is None:
        msg = f"{dataset} are asked for all at once, for every ticker: leave the tickers out"
        raise ConfigError(msg)
    if strangers := sorted(set(tickers) - set(universe.tickers)):
        msg = (
            f"not in the universe of {dataset} on {session}: {shown(strangers)}; it holds {shown(universe.tickers)}. "
            f"Leave them out, or add them under {dataset}.universe in sources.yaml"
        )
        raise ConfigError(msg)
    if tickers:
        wanted: Sequence[str] = sorted(set(tickers))
    else:
        wanted = universe.tickers if force else session_coverage(lake, dataset, session, universe).unproven
    if wanted:
        check_in_time(dataset, get_calendar().hours(session), lake.clock.now())
    size = config.settings.ingest.batch_tickers
    batches = [
        Batch(dataset, session, stage_id, number, tuple(wanted[start : start + size]))
        for number, start in enumerate(range(0, len(wanted), size))
    ]
    if not universe.tickers and lake.manifest(dataset, session) is None:
        # That there is nothing to capture is to be published too.
        batches = [Batch(dataset, session, stage_id, 0, ())]
    log.info("planned", dataset=dataset, session=session.isoformat(), tickers=len(wanted), batches=len(batches))
    return batches


def check_due(lake: Lake, dataset: str, session: date) -> None:
    """Refuse a session that cannot be captured whole yet.

    Raises
    ------
    NotASession
        It is not over, or was a moment ago; the message names the last session that can be captured.
    """
    calendar, now, due = get_calendar(), lake.clock.now(), DUE[dataset]
    if due(calendar.hours(session)) > now:
        last = calendar.last_due(now, due)
        msg = f"{dataset} of {session} are not due until {due}; the last session due is {last}"
        raise NotASession(msg)
