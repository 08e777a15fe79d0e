"""Log lines are structured and never show a secret."""

import json
from collections.abc import Iterator

import pytest
import structlog

from bellwether import logging


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(logging, "_SECRETS", set())
    yield
    structlog.reset_defaults()


def test_json_lines_mask_secrets_in_texts_fields_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("INFO", "json")
    logging.register_secret("k3y")
    log = logging.get_logger("bellwether.test")
    try:
        raise ValueError("url?apiKey=k3y")
    except ValueError:
        log.exception("failed with k3y", url="https://vendor?apiKey=k3y", rows=3)
    line = capsys.readouterr().err
    fields = json.loads(line)
    assert "k3y" not in line
    assert fields["event"] == "failed with ***"
    assert fields["rows"] == 3
    assert "ValueError: url?apiKey=***" in fields["exception"]


def test_text_lines_honour_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure("WARNING", "text")
    log = logging.get_logger("bellwether.test")
    log.info("quiet")
    log.warning("loud", batch="b001")
    shown = capsys.readouterr().err
    assert "quiet" not in shown
    assert "loud" in shown
    assert "batch=b001" in shown


def test_a_secret_is_masked_in_the_form_it_takes_in_a_url() -> None:
    logging.register_secret("a/b+c")
    assert logging.redact("?key=a%2Fb%2Bc and a/b+c") == "?key=*** and ***"


def test_one_secret_is_masked_in_what_is_kept_also_as_json_escapes_it_and_no_other() -> None:
    body = rb'{"plain": "x", "echo": "a\/b\"c", "url": "?k=a%2Fb%22c"}'
    assert logging.redact_one(body, 'a/b"c') == b'{"plain": "x", "echo": "***", "url": "?k=***"}'
    logging.register_secret("innocent")
    assert logging.redact_one(b"innocent", 'a/b"c') == b"innocent"


def test_of_two_secrets_one_within_the_other_nothing_is_left() -> None:
    logging.register_secret("abc")
    logging.register_secret("abcdef")
    assert logging.redact("key abcdef") == "key ***"


def test_an_empty_secret_masks_nothing() -> None:
    logging.register_secret("")
    assert logging.redact("plain") == "plain"
