"""Faults on command or by chance: which request is to fail, and how.

A plan is a list of switches, written in a file or in a test. Each watches the requests it matches and
strikes from the `nth` on, `count` times. What no switch strikes may fail by chance, the same for the same
seed and sequence of requests. This room decides; how an answer is broken is `pagefaults` and `delivery`.
"""

import random
import threading
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec
import yaml

from bellwether.errors import ConfigError
from bellwether.simulator.answers import REFUSALS
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


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch.

    Attributes
    ----------
    kind
        What happens; one of KINDS or LIST_FAULTS.
    path
        Prefix of the request's path.
    ticker, session, key
        Strikes only requests for this ticker, for a window beginning on this New York date, with this
        API key; None matches any.
    nth
        The first matching request struck, counted from 1 since the switch was added.
    count
        How many matching requests in a row are struck; None for all that follow.
    status
        HTTP status of `server_error`: 499 or 500 to 599.
    retry_after_s
        `Retry-After` header of `rate_limited`; None sends none, as the vendor mostly does.
    pause_s
        Pause between the pieces of `drip`.
    """

    kind: str
    path: str = "/"
    ticker: str | None = None
    session: date | None = None
    key: str | None = None
    nth: int = 1
    count: int | None = 1
    status: int = 500
    retry_after_s: int | None = None
    pause_s: float = 0.5

    def __post_init__(self) -> None:
        known = KINDS | LIST_FAULTS.keys()
        problems = [
            (self.kind not in known, f"unknown kind {self.kind!r}; known: {', '.join(sorted(known))}"),
            (self.nth < 1, f"nth counts from 1, got {self.nth}"),
            (self.count is not None and self.count < 1, f"count is at least 1 or null, got {self.count}"),
            (self.status != 499 and not 500 <= self.status <= 599, f"status is 499 or 5xx, got {self.status}"),
        ]
        for wrong, message in problems:
            if wrong:
                raise ValueError(message)

    def matches(self, path: str, ticker: str | None, session: date | None, key: str | None) -> bool:
        """Return whether this switch watches such a request."""
        wanted = ((self.ticker, ticker), (self.session, session), (self.key, key))
        return path.startswith(self.path) and all(want is None or want == got for want, got in wanted)


class Chance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults by chance.

    Attributes
    ----------
    rate
        Share of requests struck, 0 to 1.
    seed
        Equal seeds strike the same requests of equal sequences.
    kinds
        What they suffer.
    """

    rate: float
    seed: int = 0
    kinds: tuple[str, ...] = TRANSIENT

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            msg = f"rate is a share from 0 to 1, got {self.rate}"
            raise ValueError(msg)
        if not self.kinds:
            msg = "kinds names at least one fault"
            raise ValueError(msg)
        for kind in self.kinds:
            Fault(kind=kind)


class FaultPlan:
    """The switches of a simulator, and chance; may be changed while it serves, from any thread.

    Every switch counts every request it matches, whether it strikes or not. Where several strike the
    same request, the one added first does.
    """

    def __init__(self, faults: Iterable[Fault] = (), chance: Chance | None = None) -> None:
        self._lock = threading.Lock()
        self._seen = [(fault, 0) for fault in faults]
        self.take(chance)

    @property
    def faults(self) -> list[Fault]:
        """The switches, in the order in which they were added."""
        with self._lock:
            return [fault for fault, _ in self._seen]

    def take(self, chance: Chance | None) -> None:
        """Let chance strike from the next request on, from the beginning of its sequence; None ends it."""
        with self._lock:
            self._chance = chance
            self._draws = random.Random(0 if chance is None else chance.seed)

    def add(self, fault: Fault) -> None:
        """Add a switch."""
        with self._lock:
            self._seen.append((fault, 0))

    def clear(self) -> None:
        """Remove all switches, and chance."""
        with self._lock:
            self._seen.clear()
            self._chance = None

    def strike(self, path: str, ticker: str | None, session: date | None, key: str | None) -> Fault | None:
        """Count a request and return the fault it suffers, if any."""
        struck = None
        with self._lock:
            for position, (fault, seen) in enumerate(self._seen):
                if not fault.matches(path, ticker, session, key):
                    continue
                self._seen[position] = (fault, seen + 1)
                due = seen + 1 >= fault.nth and (fault.count is None or seen + 1 < fault.nth + fault.count)
                if due and struck is None:
                    struck = fault
            # Drawn for every request, struck or not: what a switch does must not shift the sequence.
            drawn = self._by_chance()
        return struck or drawn

    def _by_chance(self) -> Fault | None:
        if self._chance is None:
            return None
        struck, kind = self._draws.random() < self._chance.rate, self._draws.choice(self._chance.kinds)
        return Fault(kind=kind) if struck else None


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
"""Kinds that strike pages of bars; a `Fault` may also be of one of LIST_FAULTS."""
