"""Faults on command: which request is to fail, and how.

A plan is a list of switches, written in a file or in a test. Each watches the requests it matches and
strikes from the `nth` on, `count` times. This room decides and rewrites bodies; how a broken answer
goes over the wire is the server's.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from bellwether.errors import ConfigError
from bellwether.simulator.answers import REFUSALS

type Page = dict[str, Any]

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


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch.

    Attributes
    ----------
    kind
        What happens; one of KINDS.
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
        problems = [
            (self.kind not in KINDS, f"unknown kind {self.kind!r}; known: {', '.join(sorted(KINDS))}"),
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


class FaultPlan:
    """The switches of a simulator; may be changed while it serves, from any thread.

    Every switch counts every request it matches, whether it strikes or not. Where several strike the
    same request, the one added first does.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._seen = [(fault, 0) for fault in faults]

    def add(self, fault: Fault) -> None:
        """Add a switch."""
        with self._lock:
            self._seen.append((fault, 0))

    def clear(self) -> None:
        """Remove all switches."""
        with self._lock:
            self._seen.clear()

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
        return struck


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


def _middle(page: Page) -> Page:
    return page["results"][len(page["results"]) // 2]  # type: ignore[no-any-return]


def _insert(page: Page, changes: Page) -> None:
    # Next to the bar it repeats: where a re-broadcast correction would stand.
    middle = len(page["results"]) // 2
    page["results"].insert(middle, page["results"][middle] | changes)
    page["resultsCount"] = page["count"] = len(page["results"])


def _conflicting(page: Page) -> None:
    _insert(page, {"v": _middle(page)["v"] + 100, "c": _middle(page)["h"], "o": _middle(page)["l"]})


def _clip(page: Page) -> None:
    del page["results"][: len(page["results"]) // 2]
    page["resultsCount"] = page["count"] = len(page["results"])


def _swap_high_low(page: Page) -> None:
    bar = _middle(page)
    bar["h"], bar["l"] = bar["l"] - 0.01, bar["h"]


PAGE_FAULTS: dict[str, Callable[[Page], object]] = {
    "status_error": lambda page: page.update(status="ERROR", error="The service failed to read your data"),
    "delayed": lambda page: page.update(status="DELAYED"),
    "missing_results": lambda page: page.pop("results"),
    "null_results": lambda page: page.update(results=None),
    "empty_results": lambda page: page.update(results=[]),
    "short_page": lambda page: page["results"].pop(),
    "null_next_url": lambda page: page.update(next_url=None),
    "empty_next_url": lambda page: page.update(next_url=""),
    "wrong_ticker": lambda page: page.update(ticker="WRONG"),
    "duplicate_bar": lambda page: _insert(page, {}),
    "conflicting_duplicate": _conflicting,
    "clipped_history": _clip,
    "unsorted": lambda page: page["results"].reverse(),
    "high_below_low": _swap_high_low,
    "negative_price": lambda page: _middle(page).update(l=-_middle(page)["l"]),
    "null_price": lambda page: _middle(page).update(c=None),
    "text_price": lambda page: _middle(page).update(c=str(_middle(page)["c"])),
    "off_minute": lambda page: _middle(page).update(t=_middle(page)["t"] + 1),
    "outside_window": lambda page: page["results"][-1].update(t=page["results"][-1]["t"] + 86_400_000),
}
"""Faults of a page with bars: each changes the decoded page in place. Bad bars stand in the middle."""

CURSOR_LOOP = "cursor_loop"
"""The page's `next_url` leads back to the page itself."""

KINDS = frozenset({*REFUSALS, *DELIVERY_FAULTS, *PAGE_FAULTS, CURSOR_LOOP})


def spoil(kind: str, body: bytes, own_url: str) -> bytes:
    """Return a page's body with a fault in it; other kinds of fault, and pages without bars, leave it as it is.

    Parameters
    ----------
    kind
        The fault's kind.
    body
        The page's JSON.
    own_url
        The URL at which the page itself was asked for.
    """
    if kind not in PAGE_FAULTS and kind != CURSOR_LOOP:
        return body
    page: Page = msgspec.json.decode(body)
    if not page.get("results"):
        return body
    if kind == CURSOR_LOOP:
        page["next_url"] = own_url
    else:
        PAGE_FAULTS[kind](page)
    return msgspec.json.encode(page)
