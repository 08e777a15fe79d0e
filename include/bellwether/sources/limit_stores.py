"""Where the shared state of a rate limit is: a file for one machine's processes, Redis for a cluster's workers.

A store changes the state in one step that no other change interrupts; a kill leaves it as it was, or at worst
recognisably damaged. It knows nothing of what the state means.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import msgspec

from bellwether.errors import ConfigError, ConnectionFailed
from bellwether.logging import redact, register_secret
from bellwether.sources.turns import State

_REDIS_KEEPS_S = 24 * 3600
_REDIS_TIMEOUT_S = 5.0


class Store(Protocol):
    """Where the shared state is."""

    def change[T](self, step: Callable[[State, float], T]) -> T:
        """Run `step` on the state and the time now, in seconds, keep what it made of the state, return its result.

        No other change comes between. `step` may run more than once; only its last run counts.

        Raises
        ------
        ConnectionFailed
            The state cannot be read or written.
        """
        ...


class FileStore:
    """The state in a file of one machine, behind a lock that the kernel releases when its holder dies.

    Times are of the machine's monotonic clock, which all its processes share and nobody sets.

    Parameters
    ----------
    folder
        A local folder; made private to its owner when it is missing.
    name
        What tells the keys apart.

    Raises
    ------
    ConfigError
        The folder cannot be made.
    """

    def __init__(self, folder: Path, name: str) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            msg = f"limits.folder of settings.yaml, {folder}: {error.strerror}; name a folder that can be written"
            raise ConfigError(msg) from error
        self._path = folder / name

    def change[T](self, step: Callable[[State, float], T]) -> T:
        """See `Store.change`.

        Raises
        ------
        ConnectionFailed
            The disk is full, or the folder cannot be written any more.
        """
        try:
            with self._locked() as file:
                state = _unpacked(os.pread(file, os.fstat(file).st_size, 0))
                result = step(state, time.monotonic())
                # In place: renaming a new file over it took a hundred times as long, and 20 ms on a busy disk.
                content = _packed(state)
                if os.pwrite(file, content, 0) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                return result
        except OSError as error:
            msg = f"the rate limit's file (limits.folder of settings.yaml) cannot be used: {error}"
            raise ConnectionFailed(msg, url=str(self._path)) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            # Said aloud: a child forked in between by another thread holds the file open, too.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)


def _packed(state: State) -> bytes:
    """Return a line with its checksum; what a longer one left behind it does not matter."""
    content = msgspec.json.encode(state)
    return b"%08x %b\n" % (zlib.crc32(content), content)


def _unpacked(file: bytes) -> State:
    if not file:
        return State()
    checksum, _, content = file.partition(b"\n")[0].partition(b" ")
    return _decode(content if checksum == b"%08x" % zlib.crc32(content) else b"")


class RedisStore:
    """The state in Redis, for tasks on several machines. Times are of Redis's clock, so theirs need not agree.

    Redis must not evict keys (`maxmemory-policy noeviction`, its default): a lost state is an empty one.

    Parameters
    ----------
    url
        `redis://...` or `rediss://...`.
    name
        What tells the keys apart.

    Raises
    ------
    ConfigError
        The URL is not Redis's.
    """

    def __init__(self, url: str, name: str) -> None:
        import redis  # noqa: PLC0415 - only a cluster needs it

        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
            )
        except ValueError as error:
            msg = redact(f"connection rate_limit: {error}")
            raise ConfigError(msg) from None
        self._key = f"bellwether:limit:{name}"

    def change[T](self, step: Callable[[State, float], T]) -> T:
        """See `Store.change`: the change is tried again until nobody else changed the state meanwhile.

        Raises
        ------
        ConnectionFailed
            Redis does not answer, or refuses.
        """
        import redis  # noqa: PLC0415 - only a cluster needs it

        def try_once(pipe: Any) -> T:  # noqa: ANN401 - the client's pipelines are typed for its asynchronous twin, too
            seconds, microseconds = pipe.time()
            content = pipe.get(self._key)
            state = _decode(content) if content else State()
            result = step(state, seconds + microseconds / 1e6)
            pipe.multi()
            pipe.set(self._key, msgspec.json.encode(state), ex=_REDIS_KEEPS_S)
            return result

        try:
            changed: T = self._client.transaction(try_once, self._key, value_from_callable=True)
        except redis.RedisError as error:
            msg = redact(f"the rate limit is kept in Redis (connection rate_limit), which refuses: {error}")
            raise ConnectionFailed(msg, url=self._key) from None
        return changed


def _decode(content: bytes) -> State:
    try:
        return msgspec.json.decode(content, type=State)
    except msgspec.DecodeError:
        # A kill or a full disk in the middle of a long write can leave that. What was sent is not known: a pause of
        # one window covers it.
        return State(paused_s=math.inf)


def redis_url(fields: Mapping[str, Any]) -> str:
    """Return the URL of an Airflow Connection of type redis, from its fields.

    Parameters
    ----------
    fields
        `host`, `port`, `login`, `password`, and `extra`, an object or its JSON, with `db` and `ssl`.
    """
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    password = fields.get("password") or ""
    register_secret(password)
    login = f"{quote(fields.get('login') or '', safe='')}:{quote(password, safe='')}@" if password else ""
    scheme = "rediss" if extra.get("ssl") in {True, "true", "True"} else "redis"
    database = extra.get("db") or fields.get("schema") or 0
    return f"{scheme}://{login}{fields.get('host') or 'localhost'}:{fields.get('port') or 6379}/{database}"


def redis_url_from_variable(text: str | None) -> str | None:
    """Return the URL that `AIRFLOW_CONN_RATE_LIMIT` means, written as JSON or as a URI; None without it.

    Raises
    ------
    ConfigError
        It is neither.
    """
    if not text:
        return None
    try:
        if text.lstrip().startswith("{"):
            return redis_url(json.loads(text))
        parts = urlsplit(text)
        register_secret(unquote(parts.password or ""))
        if parts.scheme in {"redis", "rediss"} and parts.hostname:
            return text
    except (ValueError, AttributeError):
        pass
    msg = "AIRFLOW_CONN_RATE_LIMIT is neither a URI like redis://host:6379/0 nor a JSON object like"
    msg += ' {"conn_type": "redis", "host": "..."}'
    raise ConfigError(msg)
