"""A process under a shared rate limit, to be started and killed by tests.

`limit_worker.py STORE LANE REQUESTS WINDOW_S URL COUNT`: STORE is a folder or Redis's URL. It sends COUNT requests
to URL, one after another, each by the limit's leave. Without a URL it takes one slot, says so and holds it.
"""

import sys
import time
import urllib.request
from pathlib import Path

from bellwether.sources.limit_stores import FileStore, RedisStore, Store
from bellwether.sources.limits import RateLimit
from bellwether.sources.turns import Rules


def store(where: str) -> Store:
    """Return the store of a folder, or of `redis://host/db#name`."""
    if where.startswith("redis://"):
        url, _, name = where.partition("#")
        return RedisStore(url, name)
    return FileStore(Path(where), "key")


def main(where: str, lane: str, requests: str, window_s: str, url: str, count: str) -> None:
    """Send, or hold."""
    limit = RateLimit(Rules(int(requests), float(window_s)), store(where), url="http://vendor", lane=lane)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    for _ in range(int(count)):
        with limit.slot():
            if not url:
                sys.stdout.write("held\n")
                sys.stdout.flush()
                time.sleep(600)
            with urllib.request.urlopen(f"{url}/{lane}") as answer:  # noqa: S310 - loopback
                answer.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
