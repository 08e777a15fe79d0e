"""An S3 server on loopback: moto's, made as strict as S3 itself where it is not.

moto checks the condition of a PUT and then stores the object, in a thread per request: of two conditional writes at
once both can pass. Here one request is answered at a time, so that a condition holds until its object is stored.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from bellwether.lake import Lake


@dataclass(frozen=True)
class ObjectStore:
    """A running store with one bucket, named `bucket`."""

    url: str

    @property
    def options(self) -> dict[str, str]:
        """What `Lake.open` needs to reach it."""
        # Long and odd: whatever is used as a secret is masked in every later message of the process.
        return {"key": "testing", "secret": "object-store-secret-0123", "endpoint_url": self.url, "region": "us-east-1"}

    def lake(self, name: str, *, simulated: bool | None = True) -> Lake:
        """Open a lake under a prefix of the bucket."""
        return Lake.open(f"s3://bucket/{name}", options=self.options, simulated=simulated)


@contextmanager
def running_store() -> Iterator[ObjectStore]:
    """Serve until the block ends."""
    app = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    def strict(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with one_at_a_time:
            return list(app(environ, start_response))

    server = make_server("127.0.0.1", 0, strict, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    store = ObjectStore(f"http://127.0.0.1:{server.server_port}")
    try:
        _create_bucket(store)
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(MotoRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def _create_bucket(store: ObjectStore) -> None:
    import s3fs

    options = store.options
    s3 = s3fs.S3FileSystem(
        key=options["key"],
        secret=options["secret"],
        endpoint_url=store.url,
        client_kwargs={"region_name": options["region"]},
        skip_instance_cache=True,
    )
    s3.call_s3("create_bucket", Bucket="bucket")
