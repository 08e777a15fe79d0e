"""What a drill can do to a stream, by name, and what is to come of each: which gap, and whether people are told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bellwether.errors import ConfigError, StreamRefused
from bellwether.monitoring.alerts import STALLED
from bellwether.simulator.faults import Fault
from bellwether.simulator.feed.points import CLOSE_CODES

_STREAM = "/stocks"
_ABORT = Fault(kind="abort", path=_STREAM)
WRONG_KEY = "wrong-key-of-the-drill"
REFUSED = StreamRefused.__name__
_FOR_EVER_S = 24 * 3600.0


class Act(StrEnum):
    """How a fault is brought about."""

    SWITCH = "switches of the simulator"
    KILL = "SIGKILL"
    STOP = "SIGTERM"
    FILL_DISK = "no file may be written"
    WRONG_KEY = "started anew with a wrong key"


@dataclass(frozen=True, kw_only=True)
class Drilled:
    """A fault as a drill plays it.

    Attributes
    ----------
    what
        What happens, for people.
    act, switches
        How; of switches alone the last one shows that they struck.
    causes
        A gap of one of these must be recorded; empty where nothing is missed.
    alert
        The cause of the one message that people must get; empty where it heals by itself.
    feed_s, real_s
        How long it takes until all is well, whichever is longer; it is waited for longer than that.
    """

    what: str
    act: Act = Act.SWITCH
    switches: tuple[Fault, ...] = ()
    causes: frozenset[str] = frozenset()
    alert: str = ""
    feed_s: float = 120.0
    real_s: float = 2.0

    @property
    def is_fatal(self) -> bool:
        """Whether it ends the recorder."""
        return self.act in {Act.KILL, Act.STOP, Act.WRONG_KEY} or self.alert == REFUSED

    def takes(self, speed: float) -> timedelta:
        """Return how much of the session it takes at a speed."""
        return timedelta(seconds=max(self.feed_s, self.real_s * speed))


def _frame(kind: str, what: str, *causes: str) -> Drilled:
    fault = Fault(kind=kind, at="frame", path=_STREAM, pause_s=_FOR_EVER_S)
    return Drilled(what=what, switches=(fault,), causes=frozenset(causes))


FAULTS: dict[str, Drilled] = {
    "abort": _frame("abort", "the connection is reset", "dropped"),
    **{
        f"close {code}": Drilled(
            what=f"the vendor closes with {code}",
            switches=(Fault(kind="close", code=code, path=_STREAM),),
            causes=frozenset({"closed"}),
        )
        for code in CLOSE_CODES
    },
    "mute": _frame("mute", "the connection goes on and says nothing", "mute"),
    "stall": _frame("stall", "the vendor neither reads nor sends", "mute"),
    "duplicate": _frame("duplicate", "a frame comes twice"),
    "reorder": _frame("reorder", "a frame comes after the next"),
    "huge_frame": _frame("huge_frame", "a frame is 2 MiB long"),
    "garbage": _frame("garbage", "a frame is no JSON", "unreadable"),
    "cut_frame": _frame("cut_frame", "a frame is cut in half", "unreadable"),
    "torn_frame": _frame("torn_frame", "the connection is reset within a frame", "dropped"),
    "late_auth": Drilled(
        what="reset, and the key is answered ten seconds late",
        switches=(_ABORT, Fault(kind="late_auth", path=_STREAM, pause_s=10)),
        causes=frozenset({"dropped"}),
    ),
    "max_connections": _frame("max_connections", "the account has another connection", "max_connections"),
    "auth_failed": Drilled(
        what="reset, and the key is refused; then the recorder is started anew",
        switches=(_ABORT, Fault(kind="auth_failed", path=_STREAM)),
        causes=frozenset({"dropped"}),
        alert=REFUSED,
        real_s=5.0,
    ),
    "outage": Drilled(
        what="the feed is out of reach until people are told",
        switches=(Fault(kind="close", at="connected", count=None, path=_STREAM), _ABORT),
        causes=frozenset({"dropped"}),
        alert=STALLED,
        feed_s=20 * 60.0,
        real_s=5.0,
    ),
    "kill recorder": Drilled(
        what="the recorder is killed, and started anew", act=Act.KILL, causes=frozenset({"crash"}), real_s=5.0
    ),
    "stop recorder": Drilled(
        what="the recorder is told to stop, and started anew", act=Act.STOP, causes=frozenset({"stopped"}), real_s=5.0
    ),
    "disk full": Drilled(
        what="no file can be written until people are told",
        act=Act.FILL_DISK,
        alert=STALLED,
        feed_s=20 * 60.0,
        real_s=5.0,
    ),
    "wrong key": Drilled(
        what="the recorder is started anew with a wrong key, then with the right one",
        act=Act.WRONG_KEY,
        switches=(Fault(kind="auth_failed", key=WRONG_KEY, count=None, path=_STREAM),),
        causes=frozenset({"stopped"}),
        alert=REFUSED,
        real_s=7.0,
    ),
}


def chosen(names: Iterable[str]) -> dict[str, Drilled]:
    """Return faults by their names, in that order.

    Raises
    ------
    ConfigError
        There is no such fault, or none was named.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in FAULTS]
    if unknown or not names:
        msg = f"no fault {', '.join(unknown) or 'was named'}; known: {', '.join(FAULTS)}"
        raise ConfigError(msg)
    return {name: FAULTS[name] for name in names}
