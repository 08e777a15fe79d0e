"""A loopback sink for alerts: collects what is posted to it as JSON, as a user's webhook would."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Sink:
    """A running sink.

    Attributes
    ----------
    address
        As the Connection `alerts` lists it.
    messages
        What came, in order.
    status
        What it answers.
    """

    address: str
    messages: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    def about(self, text: str) -> list[dict[str, Any]]:
        """Return the messages with this in their title, in order."""
        return [message for message in self.messages if text in message["title"]]


@contextmanager
def running_sink() -> Iterator[Sink]:
    """Serve a sink until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sink.messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(sink.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sink = Sink(f"json://127.0.0.1:{server.server_port}/hook")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield sink
        server.shutdown()
        thread.join()
