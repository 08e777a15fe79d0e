"""Requests to Airflow's REST API: login, further tries after a server error, pages, refusals in Airflow's words.

Knows how to ask, not what for; `client` does that.
"""

import json
import time
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3

from bellwether.errors import BellwetherError

type Json = Mapping[str, object]

_T = TypeVar("_T")
_PAGE = 100  # Airflow's default [api] maximum_page_limit
_RETRY_S = (0.5, 1.0, 2.0, 4.0)


class ApiError(BellwetherError):
    """Airflow refused a request, or what was waited for did not come.

    Attributes
    ----------
    status
        HTTP status, or 0 where no answer came.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


class Transport:
    """A logged-in connection to one Airflow.

    Parameters
    ----------
    url
        Base URL, e.g. `http://127.0.0.1:8080`.
    username, password
        Login for `/auth/token`.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._login = {"username": username, "password": password}
        self._token: str | None = None
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5.0, read=60.0), retries=False)

    def public(self, path: str) -> bytes:
        """Return the answer to one GET below `/api/v2` that needs no login, asked once.

        Raises
        ------
        ApiError
            No answer, or not a good one.
        """
        return self._send("GET", f"{self._url}/api/v2/{path}", None, {})

    def request(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> bytes:
        """Send one request below `/api/v2` and return the answer's body.

        No answer and a 5xx are tried again: right after a start, SQLite may still be locked by the scheduler's
        first writes.

        Raises
        ------
        ApiError
            Airflow refused; the message holds its reason.
        """
        url = f"{self._url}/api/v2/{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        pauses_s = iter(_RETRY_S)
        while True:
            try:
                return self._send(method, url, body, {"Authorization": f"Bearer {self._bearer()}"})
            except ApiError as error:
                pause_s = next(pauses_s, None)
                if pause_s is None or (0 < error.status < 500 and error.status != 401):
                    raise
                if error.status == 401:
                    self._token = None  # a token lives for a day, a stack may stay up for longer
            time.sleep(pause_s)

    def pages(self, path: str, key: str, kind: type[_T], query: Json) -> list[_T]:
        """Return all entries of a list that Airflow hands out in pages, under `key`."""
        found: list[_T] = []
        while True:
            page = json.loads(self.request("GET", path, query={**query, "limit": _PAGE, "offset": len(found)}))
            found += [msgspec.convert(entry, kind) for entry in page[key]]
            if len(found) >= page["total_entries"] or not page[key]:
                return found

    def _bearer(self) -> str:
        if self._token is None:
            answer = json.loads(self._send("POST", f"{self._url}/auth/token", self._login, {}))
            self._token = str(answer["access_token"])
        return self._token

    def _send(self, method: str, url: str, body: Json | None, headers: dict[str, str]) -> bytes:
        encoded = None if body is None else json.dumps(body).encode()
        try:
            answer = self._http.request(
                method, url, body=encoded, headers={"Content-Type": "application/json", **headers}
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"no answer from {url}: {error}"
            raise ApiError(message) from error
        if answer.status >= 400:
            message = f"{method} {url}: HTTP {answer.status}: {refusal(answer.data)}"
            raise ApiError(message, answer.status)
        return answer.data


def refusal(body: bytes) -> str:
    """Return the reason in an error body: FastAPI's `detail` where there is one, else the body itself, cut."""
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)
