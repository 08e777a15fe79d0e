"""The vendor's rate limit, shared by everything that uses one API key: tasks, DAGs, the command line.

What is shared is a small state per key (`sources.turns`), changed by one caller at a time where
`sources.limit_stores` keeps it. Nobody holds anything while it waits, so nothing is left behind by a process that
is killed. A plan without a limit has no state at all.

pyrate-limiter was tried first. Its buckets stamp a request with the time it was planned for, not with the time
it was sent, and know neither lanes nor deferred callers: four processes got 22, 15, 6 and 1 of 44 slots.
"""

import contextlib
import hashlib
import math
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bellwether.errors import ConfigError, ConnectionFailed, RateLimited
from bellwether.logging import get_logger
from bellwether.meter import count, timed
from bellwether.sources.limit_stores import FileStore, RedisStore, Store
from bellwether.sources.turns import Asker, Rules, State, ask, leave, pause, settle

log = get_logger(__name__)


class RateLimit:
    """The right to send requests with one key. Safe to share between threads.

    Parameters
    ----------
    rules
        How much may be sent.
    store
        Where the state is that all users of the key share.
    url
        The vendor's base URL, for messages.
    lane
        Who shares the key evenly with others: a DAG's id, `cli`.
    caller
        Names one task across its processes: refused and back again, it has kept its place in the lane.
    patience_s
        The longest wait for a slot.
    on_wait
        Told now and then for how many seconds it will still wait, and 0 when it waits no more.
    sleep
        Waits for a number of seconds.
    """

    def __init__(
        self,
        rules: Rules,
        store: Store,
        *,
        url: str,
        lane: str,
        caller: str | None = None,
        patience_s: float = math.inf,
        on_wait: Callable[[float], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rules = rules
        self._store = store
        self._url = url
        self._lane = lane
        self._caller = caller
        self._patience_s = patience_s
        self._on_wait = on_wait
        self._sleep = sleep

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for the right to send one request; leave the block when its answer begins.

        Raises
        ------
        RateLimited
            The wait would be longer than `patience_s`; `retry_after_s` says how long. Comes at once, uses up nothing.
        ConnectionFailed
            The state cannot be read or written.
        """
        identity = uuid.uuid4().hex
        asker = Asker(identity, self._lane, self._caller or identity)
        self._wait(asker)
        try:
            yield
        finally:
            self._note(lambda state, now_s: settle(state, self.rules, now_s, asker))

    def refused(self, retry_after_s: float | None) -> None:
        """Tell everybody that the vendor answered 429: somebody else uses the key, so all wait.

        Parameters
        ----------
        retry_after_s
            What the vendor asked for; None, one window. At most two windows.
        """
        self._note(lambda state, now_s: pause(state, self.rules, now_s, retry_after_s))

    def _wait(self, asker: Asker) -> None:
        waited = False
        try:
            while (wait_s := self._ask(asker)) > 0:
                if not waited:
                    count("limit_waits")
                if wait_s > self._patience_s:
                    raise self._too_long(wait_s)
                if not waited:
                    log.info("waits for the rate limit", lane=self._lane, wait_s=round(wait_s, 1))
                waited = True
                self._tell(wait_s)
                with timed("limit_wait_s"):
                    self._sleep(min(wait_s, self.rules.beat_s))
        except BaseException as error:
            # Others need not wait for a beat of ours; a place is kept only for who can be known again.
            if self._caller is None or not isinstance(error, RateLimited):
                self._note(lambda state, _: leave(state, asker))
            raise
        finally:
            if waited:
                self._tell(0.0)

    def _ask(self, asker: Asker) -> float:
        return self._store.change(lambda state, now_s: ask(state, self.rules, now_s, asker, self._patience_s))

    def _note(self, step: Callable[[State, float], None]) -> None:
        try:
            self._store.change(step)
        except ConnectionFailed as error:
            # The answer that came is worth more. A slot that was not settled counts as long as a killed holder's.
            log.warning("the rate limit's state could not be written", error=str(error))

    def _tell(self, wait_s: float) -> None:
        if self._on_wait:
            self._on_wait(wait_s)

    def _too_long(self, wait_s: float) -> RateLimited:
        wait_s = math.ceil(wait_s)
        message = f"the key's {self.rules.requests} requests per minute are used up; the next turn is in {wait_s} s"
        return RateLimited(message, url=self._url, status=None, retry_after_s=wait_s)


def open_limit(  # noqa: PLR0913 - five name what is shared, four are passed on
    base_url: str,
    api_key: str,
    requests_per_minute: int | None,
    *,
    redis_url: str | None,
    folder: str,
    lane: str,
    caller: str | None = None,
    patience_s: float = math.inf,
    on_wait: Callable[[float], None] | None = None,
) -> RateLimit | None:
    """Return the limit of a key, or None where its plan has none: then nothing is opened, locked or written.

    Parameters
    ----------
    base_url, api_key
        Host and key together name the state.
    requests_per_minute
        The plan's.
    redis_url
        Where it is shared by several machines.
    folder
        Where it is shared by the processes of one.
    lane, caller, patience_s, on_wait
        See `RateLimit`.

    Raises
    ------
    ConfigError
        The folder cannot be used, or the URL is not Redis's.
    """
    if requests_per_minute is None:
        return None
    host = urlsplit(base_url).netloc.rpartition("@")[2].lower()
    name = hashlib.sha256(f"{host}\n{api_key}".encode()).hexdigest()[:32]
    store = RedisStore(redis_url, name) if redis_url else FileStore(Path(folder), name)
    return RateLimit(
        Rules(requests_per_minute),
        store,
        url=base_url,
        lane=lane,
        caller=caller,
        patience_s=patience_s,
        on_wait=on_wait,
    )


def requests_per_minute(value: object, where: str) -> int | None:
    """Return the plan's limit from a form's field or a variable; None where it is empty: no limit.

    Raises
    ------
    ConfigError
        It is something else than a whole number from 1.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, bool) or (number := int(str(value))) < 1:
            raise ValueError
    except ValueError:
        msg = f"{where} is {value!r}; it is a whole number from 1 (5 on the free plan), or empty for no limit"
        raise ConfigError(msg) from None
    return number
