"""Whether a stream may begin: not before its session, nor before anybody knows whom to ask for, and never after."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bellwether.calendar import NEW_YORK
from bellwether.config import Config
from bellwether.errors import NotBroadcast
from bellwether.lake import Lake
from bellwether.streaming.assignment import whole_session
from bellwether.streaming.feedtime import FeedTime
from bellwether.streaming.lease import read_lease
from bellwether.streaming.symbols import symbols_of

_LEAD = timedelta(minutes=1)  # to connect in

_LOOK_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Wait:
    """What a stream has to wait for.

    Attributes
    ----------
    length
        How long, of the feed's time.
    why
        In words.
    is_early
        Whether it is for the session to begin: to begin sooner harms nothing but holds a slot.
    """

    length: timedelta
    why: str
    is_early: bool


def wait_of(lake: Lake, config: Config, dataset: str, session: date, feed: FeedTime) -> Wait | None:
    """Return what a stream has to wait for; None where it may begin.

    It may also begin, and will find little to do, once a session is over of which something was recorded.

    Raises
    ------
    NotBroadcast
        The session is over, and nothing was recorded of it.
    LakeError
        The lake cannot be read.
    """
    assignment, now = whole_session(dataset, session), feed.now()
    if now >= assignment.until:
        if read_lease(lake, dataset, session) is not None:
            return None
        msg = (
            f"{dataset} of {session} are broadcast no more: they were until {_clock(assignment.until)} New York, and "
            f"there it is {_clock(now)}"
        )
        raise NotBroadcast(msg)
    if now < assignment.start - _LEAD:
        why = f"{dataset} of {session} are broadcast from {_clock(assignment.start)} New York on"
        return Wait(assignment.start - _LEAD - now, why, is_early=True)
    if symbols_of(lake, config, dataset, session) is None:
        return Wait(_LOOK_AGAIN, f"nobody has published yet which {dataset} {session} has", is_early=False)
    return None


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
