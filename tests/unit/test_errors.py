"""Errors say what happened, where, and survive the trip between processes."""

import pickle

import pytest

from bellwether import logging
from bellwether.errors import NotASession, NotEntitled, RateLimited, ServerError, VendorError


def test_text_holds_message_status_request_and_url() -> None:
    error = NotEntitled("no such plan", url="https://vendor/v2/aggs", status=403, request_id="r1")
    assert str(error) == "no such plan [HTTP 403, request r1, https://vendor/v2/aggs]"
    assert str(VendorError("hung", url="https://vendor")) == "hung [https://vendor]"


def test_no_part_of_an_error_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "_SECRETS", set())
    logging.register_secret("k3y")
    error = VendorError("unknown key k3y", url="https://vendor?apiKey=k3y", status=401, request_id="id-k3y")
    assert "k3y" not in f"{error!s} {error!r} {vars(error)} {error.args}"
    assert error.message == "unknown key ***"


def test_a_page_of_html_does_not_become_the_message() -> None:
    error = VendorError("x" * 5_000_000, url="https://vendor")
    assert len(str(error)) < 600


@pytest.mark.parametrize(
    "error",
    [
        NotEntitled("no", url="https://vendor", status=403, request_id="r"),
        RateLimited("slow down", url="https://vendor", retry_after_s=7.5),
    ],
)
def test_errors_cross_process_boundaries_whole(error: VendorError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_pages_stay_behind_when_an_error_crosses_a_process_boundary() -> None:
    error = ServerError("boom", url="https://vendor", status=500)
    error.pages, error.api_calls = (object(),), 4  # type: ignore[assignment]
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (copy.pages, copy.api_calls) == ((), 4)


def test_a_date_that_is_no_session_is_a_value_error_too() -> None:
    assert issubclass(NotASession, ValueError)
