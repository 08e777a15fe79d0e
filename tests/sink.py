"""Loopback sinks for alerts: what is posted as JSON, as to a user's webhook, what is mailed, and one that hangs."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, cast


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


@contextmanager
def hanging_sink() -> Iterator[str]:
    """Yield the address of a sink that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"json://127.0.0.1:{server.getsockname()[1]}/hook?cto=30&rto=30"


@dataclass
class Mailbox:
    """A running SMTP server that keeps what it is sent.

    Attributes
    ----------
    address
        As the Connection `alerts` lists it.
    mails
        What came, in order.
    """

    address: str
    mails: list[EmailMessage] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        """The subjects, in order."""
        return [str(mail["Subject"]) for mail in self.mails]


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    """Serve a mailbox until the end of the block: as much of SMTP (RFC 5321) as a client without TLS speaks."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 sink\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mailbox.mails.append(self.read_mail())
                self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    return

        def read_mail(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return cast("EmailMessage", message_from_bytes(b"".join(lines), policy=policy.default))

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        port = server.server_address[1]
        addressed = "mode=insecure&from=bellwether@example.org&to=oncall@example.org"
        mailbox = Mailbox(f"mailto://127.0.0.1:{port}?{addressed}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield mailbox
        server.shutdown()
        thread.join()
