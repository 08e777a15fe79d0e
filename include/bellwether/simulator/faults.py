"""Faults on command or by chance: which request is to fail, and how.

A plan is a list of switches, written in a file or in a test. Each watches the requests it matches, or the
points of streams, and strikes from the `nth` on, `count` times. What no switch strikes may fail by chance, the same
for the same seed and sequence. This room decides; how an answer is broken is `pagefaults` and `delivery`, how a stream
is `feed.faults`.
"""

import random
import threading
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

from bellwether.errors import ConfigError
from bellwether.simulator.answers import REFUSALS
from bellwether.simulator.driftfaults import DRIFT_FAULTS
from bellwether.simulator.feed.points import CLOSE_CODES, FEED_FAULTS
from bellwether.simulator.pagefaults import BAR_FAULTS, CURSOR_LOOP, LIST_FAULTS, PAGE_FAULTS, STATUS_FAULTS

DELIVERY_FAULTS = frozenset(
    {"hang", "drip", "reset", "cut_body", "cut_json", "cut_gzip", "html", "rate_limited_empty", "bad_gateway"}
)
"""Faults of the answer on its way.

`hang` accepts the request and never answers; `drip` sends the right body in ten pieces, `pause_s` apart;
`reset` drops the connection before any byte; `cut_body` declares the full Content-Length and drops it
halfway; `cut_json` and `cut_gzip` end text or compressed stream halfway in an answer that is otherwise
whole, so nothing but its content betrays it; `html` is a page with status 200, `bad_gateway` one with
502; `rate_limited_empty` is 429 without a body.
"""


TRANSIENT = (
    "bad_gateway",
    "cut_body",
    "cut_gzip",
    "cut_json",
    "html",
    "missing_results",
    "null_results",
    "rate_limited",
    "rate_limited_empty",
    "reset",
    "server_error",
    "status_error",
)
"""Faults that a client can see and that a second request heals: what chance draws from."""


class Happening(NamedTuple):
    """A request, or a point passed by a stream (`at`): what switches watch."""

    path: str
    ticker: str | None = None
    session: date | None = None
    key: str | None = None
    now_utc: datetime | None = None
    at: str | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch.

    Attributes
    ----------
    kind
        What happens; one of KINDS, LIST_FAULTS or DRIFT_FAULTS for requests, of FEED_FAULTS for streams.
    path
        Prefix of the request's path; of a stream, `/stocks`, `/options` or `/indices`.
    ticker, session, key
        Strikes only requests for this ticker, for a window beginning on this New York date, with this
        API key; None matches any. A stream's session is the clock's date; it has no ticker.
    since_utc
        Strikes only what happens from this moment of the simulated clock on.
    at
        The point of a stream's protocol, one of those FEED_FAULTS lists for the kind; None for the first of them.
    nth
        The first match struck, counted from 1 since the switch was added.
    count
        How many matches in a row are struck; None for all that follow.
    status
        HTTP status of `server_error`: 499 or 500 to 599.
    retry_after_s
        `Retry-After` header of `rate_limited`; None sends none, as the vendor mostly does.
    pause_s
        Pause between the pieces of `drip`; simulated seconds of `stall` and `late_auth`.
    code
        What `close` closes with, one of CLOSE_CODES.
    field, to, factor
        Of DRIFT_FAULTS: the field changed (`details.strike_price` of an object in a row), its new name or value, what
        its numbers are multiplied by.
    """

    kind: str
    path: str = "/"
    ticker: str | None = None
    session: date | None = None
    key: str | None = None
    since_utc: datetime | None = None
    at: str | None = None
    nth: int = 1
    count: int | None = 1
    status: int = 500
    retry_after_s: int | None = None
    pause_s: float = 0.5
    code: int = 1011
    field: str | None = None
    to: str | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        known = KINDS | LIST_FAULTS.keys() | DRIFT_FAULTS.keys() | FEED_FAULTS.keys()
        points = FEED_FAULTS.get(self.kind, ())
        problems = [
            (self.kind not in known, f"unknown kind {self.kind!r}; known: {', '.join(sorted(known))}"),
            (self.nth < 1, f"nth counts from 1, got {self.nth}"),
            (self.count is not None and self.count < 1, f"count is at least 1 or null, got {self.count}"),
            (self.status != 499 and not 500 <= self.status <= 599, f"status is 499 or 5xx, got {self.status}"),
            (
                self.at is not None and self.at not in points,
                f"{self.kind} strikes at {', '.join(points) or 'no point of a stream'}, not at {self.at!r}",
            ),
            (
                (self.kind in DRIFT_FAULTS) != (self.field is not None),
                "field is named with kinds of drift, and only there",
            ),
            (bool(points) and self.ticker is not None, "a stream has no ticker; name path, key, session or since_utc"),
            (self.code not in CLOSE_CODES, f"code is one of {', '.join(map(str, CLOSE_CODES))}, got {self.code}"),
            (
                self.since_utc is not None and self.since_utc.tzinfo is None,
                f"since_utc needs an offset, such as Z, got {self.since_utc}",
            ),
        ]
        for wrong, message in problems:
            if wrong:
                raise ValueError(message)

    def watches(self, happening: Happening) -> bool:
        """Return whether this switch watches such a request or point."""
        points = FEED_FAULTS.get(self.kind)
        if happening.at != (points and (self.at or points[0])):
            return False
        if self.since_utc is not None and (happening.now_utc is None or happening.now_utc < self.since_utc):
            return False
        wanted = ((self.ticker, happening.ticker), (self.session, happening.session), (self.key, happening.key))
        return happening.path.startswith(self.path) and all(want is None or want == got for want, got in wanted)


class Chance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults by chance, of requests or of streams.

    Attributes
    ----------
    rate
        Share of requests, or of points passed by streams, that are struck, 0 to 1.
    seed
        Equal seeds strike the same ones of equal sequences.
    kinds
        What they suffer: kinds of requests, or kinds of streams, not both. What may not strike where it is drawn does
        nothing; FEED_TRANSIENT are those of streams that a client can see and a reconnect heals.
    """

    rate: float
    seed: int = 0
    kinds: tuple[str, ...] = TRANSIENT

    @property
    def of_streams(self) -> bool:
        """Whether it strikes streams."""
        return self.kinds[0] in FEED_FAULTS

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            msg = f"rate is a share from 0 to 1, got {self.rate}"
            raise ValueError(msg)
        if not self.kinds:
            msg = "kinds names at least one fault"
            raise ValueError(msg)
        for kind in self.kinds:
            Fault(kind=kind)
        if len({kind in FEED_FAULTS for kind in self.kinds}) > 1:
            msg = "kinds are of requests or of streams, not both"
            raise ValueError(msg)


class FaultPlan:
    """The switches of a simulator, and chance; may be changed while it serves, from any thread.

    Every switch counts all it watches, whether it strikes or not. Where several would strike, the one added first does.
    """

    def __init__(self, faults: Iterable[Fault] = (), chances: Iterable[Chance] = ()) -> None:
        self._lock = threading.Lock()
        self._seen = [(fault, 0) for fault in faults]
        self._chances: dict[bool, tuple[Chance, random.Random]] = {}
        for chance in chances:
            self.take(chance)

    @property
    def faults(self) -> list[Fault]:
        """The switches, in the order in which they were added."""
        with self._lock:
            return [fault for fault, _ in self._seen]

    def take(self, chance: Chance) -> None:
        """Let chance strike from now on, from the beginning of its sequence, in place of an earlier one of its sort."""
        with self._lock:
            self._chances[chance.of_streams] = chance, random.Random(chance.seed)

    def add(self, fault: Fault) -> None:
        """Add a switch."""
        with self._lock:
            self._seen.append((fault, 0))

    def clear(self) -> None:
        """Remove all switches, and chance."""
        with self._lock:
            self._seen.clear()
            self._chances.clear()

    def strike(self, happening: Happening) -> Fault | None:
        """Count a request, or a point passed, and return the fault it suffers, if any."""
        struck = None
        with self._lock:
            for position, (fault, seen) in enumerate(self._seen):
                if not fault.watches(happening):
                    continue
                self._seen[position] = (fault, seen + 1)
                due = seen + 1 >= fault.nth and (fault.count is None or seen + 1 < fault.nth + fault.count)
                if due and struck is None:
                    struck = fault
            # Drawn for every one, struck or not: what a switch does must not shift the sequence.
            drawn = self._by_chance(happening.at)
        return struck or drawn

    def _by_chance(self, at: str | None) -> Fault | None:
        if (at is not None) not in self._chances:
            return None
        chance, draws = self._chances[at is not None]
        struck, kind = draws.random() < chance.rate, draws.choice(chance.kinds)
        if at is None:
            return Fault(kind=kind) if struck else None
        code = draws.choice(CLOSE_CODES)
        return Fault(kind=kind, at=at, code=code) if struck and at in FEED_FAULTS[kind] else None


def load_faults(file: Path) -> FaultPlan:
    """Return the plan a YAML or JSON file describes: a list of switches with the fields of `Fault`.

    Raises
    ------
    ConfigError
        The file cannot be read or is no such list; the message names file, entry and field.
    """
    try:
        return FaultPlan(msgspec.convert(yaml.safe_load(file.read_bytes()), list[Fault]))
    except (OSError, yaml.YAMLError, msgspec.ValidationError) as error:
        msg = f"fault file {file}: {error}"
        raise ConfigError(msg) from error


KINDS = frozenset({*REFUSALS, *DELIVERY_FAULTS, *STATUS_FAULTS, *PAGE_FAULTS, *BAR_FAULTS, CURSOR_LOOP})
"""Kinds that strike pages of bars; a `Fault` may also be of one of LIST_FAULTS or DRIFT_FAULTS."""
