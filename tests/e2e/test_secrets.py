"""No secret leaves the Connection: a hostile vendor echoes the key wherever it can, and nothing keeps it.

A real Airflow and the command line capture from a vendor that puts the key it was sent into messages, request ids,
tickers, links and pages. Afterwards every file, log, database row and API answer is searched for it.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bellwether.airflow_api import Run
from bellwether.calendar import get_calendar
from bellwether.localstack import LocalStack
from tests.e2e.leaks import Secret, crawl, leaks_in_files, leaks_in_sqlite
from tests.e2e.support import PRODUCER

KEY = "MARKER/key+9f8e7d6c5b4a=="
SESSION = date(2025, 7, 1)
# What the vendor does to each ticker, by its name.
UNIVERSE = ("BADREQ", "COUNTS", "DENIED", "FINE", "HTML", "LINK", "REQID", "RESET", "TEXT", "UNKNOWN", "WRONG")

pytestmark = pytest.mark.timeout(600)


class EchoingVendor(BaseHTTPRequestHandler):
    """Answers each ticker in its own hostile way, always with the key in it."""

    def do_GET(self) -> None:
        match = re.search(r"/ticker/([A-Z]+)/", self.path)
        getattr(self, f"_{match.group(1).lower()}" if match else "_status")()

    def _send(self, status: int, body: bytes | dict[str, object], **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def _page(self, ticker: str, **changes: object) -> None:
        start_ms = int(get_calendar().hours(SESSION).open.timestamp() * 1000)
        bar = {"t": start_ms, "o": 1.5, "h": 2.0, "l": 1.0, "c": 1.5, "v": 100, "vw": 1.5, "n": 3}
        page = {"ticker": ticker, "queryCount": 1, "resultsCount": 1, "adjusted": False, "status": "OK"}
        self._send(200, {**page, "request_id": "r1", "results": [bar], **changes})

    def _status(self) -> None:
        self._send(200, {"market": "open", "serverTime": "2025-07-01T12:00:00-04:00"})

    def _fine(self) -> None:
        self._page("FINE", request_id=f"id-{KEY}", note=f"sent with {self.headers['Authorization']}")

    def _link(self) -> None:
        if "cursor" in self.path:
            self._page("LINK", results=[], resultsCount=0, queryCount=0)
        else:
            self._page("LINK", next_url=f"https://api.polygon.io{self.path.split('?')[0]}?cursor=abc&apiKey={KEY}")

    def _badreq(self) -> None:
        self._send(400, {"status": "ERROR", "error": f"no such thing for {KEY}", "request_id": KEY})

    def _denied(self) -> None:
        self._send(500, {"status": "ERROR", "message": f"key {KEY} is denied"}, X_Request_Id=KEY)

    def _unknown(self) -> None:
        self._send(404, {"status": "NOT_FOUND", "message": f"Ticker not found for {KEY}.", "request_id": KEY})

    def _html(self) -> None:
        self._send(200, f"<html>{KEY} {self.path}</html>".encode())

    def _wrong(self) -> None:
        self._page(KEY)

    def _counts(self) -> None:
        self._page("COUNTS", status=f"ERROR {KEY}", error=f"{KEY}")

    def _text(self) -> None:
        self._page("TEXT", results=KEY)

    def _reqid(self) -> None:
        self._page("REQID", request_id=KEY, adjusted=True)

    def _reset(self) -> None:
        self.send_response(200, KEY)
        self.send_header("X-Key", KEY)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(KEY.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def vendor_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EchoingVendor)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    return {
        "BELLWETHER__SOURCES__EQUITIES__UNIVERSE": json.dumps(UNIVERSE),
        "BELLWETHER__INGEST__BATCH_TICKERS": "1",
        "BELLWETHER__RETRY_POLICY__DEFAULT__ATTEMPTS": "2",
        "BELLWETHER__RETRY_POLICY__DEFAULT__BASE_S": "0",
        "BELLWETHER__RETRY_POLICY__DEFAULT__AIRFLOW_RETRIES": "0",
    }


@pytest.fixture(scope="module")
def stack(start_stack: Callable[..., LocalStack], vendor_url: str, settings: dict[str, str]) -> LocalStack:
    return start_stack(polygon_url=vendor_url, polygon_key=KEY, env=settings)


@pytest.fixture(scope="module")
def failed_run(stack: LocalStack) -> Run:
    """Run the DAG once: two tickers are published, the others fail each in its own way."""
    stack.api.wait_for_dags([PRODUCER])
    stack.api.set_paused(PRODUCER, paused=False)
    run = stack.api.trigger(PRODUCER, str(SESSION), {})
    return stack.api.wait_for_run(PRODUCER, run.dag_run_id)


def test_the_search_finds_a_secret_in_every_form_and_hiding_place(tmp_path: Path) -> None:
    secret = Secret(KEY)
    hiding_places = {
        "plain.log": KEY.encode(),
        "url.log": b"GET /x?apiKey=MARKER%2Fkey%2B9f8e7d6c5b4a%3D%3D",
        "basic.log": b"Authorization: Basic dXNlcjpNQVJLRVIva2V5KzlmOGU3ZDZjNWI0YT09",
    }
    for name, content in hiding_places.items():
        (tmp_path / name).write_bytes(content)
    raw = pa.table({"body": pa.array([b"{%s}" % KEY.encode()], pa.large_binary())})
    pq.write_table(raw, tmp_path / "raw.parquet", compression="zstd")
    (tmp_path / "innocent.log").write_text("a key is not shown: ***")
    found = {Path(leak.split(": ")[0]).name for leak in leaks_in_files([tmp_path], [secret])}
    assert found == {*hiding_places, "raw.parquet"}


def test_the_run_meets_every_hostile_answer(failed_run: Run, stack: LocalStack) -> None:
    assert failed_run.state == "failed"
    states = {
        str(task.rendered_map_index).split()[-1]: task.state
        for task in stack.api.task_instances(PRODUCER, failed_run.dag_run_id)
        if task.task_id == "ingest"
    }
    fine = {"FINE", "LINK", "UNKNOWN"}
    assert {ticker for ticker, state in states.items() if state == "success"} == fine
    assert set(states) == set(UNIVERSE)


def test_no_file_row_or_answer_of_airflow_holds_the_key(failed_run: Run, stack: LocalStack) -> None:
    run, api, secret = failed_run.dag_run_id, stack.api, Secret(KEY)
    tasks = api.task_instances(PRODUCER, run)
    answers = crawl(
        api,
        {
            "dag_id": [PRODUCER],
            "dag_run_id": [run],
            "run_id": [run],
            "task_id": sorted({task.task_id for task in tasks}),
            "map_index": ["-1", *map(str, range(len(UNIVERSE)))],
            "task_try_number": ["1"],
            "try_number": ["1"],
            "xcom_key": ["return_value", "why", "refused"],
            "pool_name": ["vendor_requests"],
            "connection_id": ["polygon_default"],
            "asset_id": ["1", "2"],
            "section": ["core", "logging"],
            "option": ["executor"],
            "uri": ["bellwether://clean/equities"],
        },
    )
    for task in tasks:
        if not task.try_number:
            continue
        log = api.log(PRODUCER, run, task.task_id, task.map_index)
        answers[f"log of {task.task_id} {task.map_index}"] = log.encode()
    assert sum(not body.startswith(b"HTTP") for body in answers.values()) > 100
    assert [path for path, body in answers.items() if secret.found_in(body)] == []
    assert leaks_in_sqlite(stack.home / "airflow.db", [secret]) == []
    assert leaks_in_files([stack.home], [secret]) == []


def test_the_command_line_leaves_no_key_either(vendor_url: str, settings: dict[str, str], tmp_path: Path) -> None:
    connection = {"conn_type": "polygon", "host": vendor_url, "password": KEY, "extra": {"environment": "simulated"}}
    env = os.environ | settings | {"AIRFLOW_CONN_POLYGON_DEFAULT": json.dumps(connection)}
    command = [sys.executable, "-m", "bellwether.cli.main", "--verbose", "backfill", "equities"]
    window = ["--start", str(SESSION), "--end", str(SESSION), "--lake", str(tmp_path / "lake")]
    done = subprocess.run([*command, *window], env=env, capture_output=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr.decode()
    assert not Secret(KEY).found_in(done.stdout + done.stderr)
    assert leaks_in_files([tmp_path], [Secret(KEY)]) == []
    assert list((tmp_path / "lake" / "clean").rglob("*.parquet")) != []
