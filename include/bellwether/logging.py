"""Structured logging, with secrets removed.

The library logs through structlog: `get_logger(__name__).info("published", rows=390)`. Inside an Airflow
task Airflow's own configuration of structlog is in force and shows the fields in the UI; the command
line calls `configure`. Nothing in the library prints.
"""

import json
import logging as stdlib_logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, cast
from urllib.parse import quote, quote_plus

import structlog

_SECRETS: set[str] = set()
_MASK = "***"
_QUOTED = 200
# `<!channel>` and `@everyone` would call a whole team.
_MARKUP = str.maketrans({"<": "(", ">": ")", "[": "(", "]": ")", "@": "(at)", "`": "'"})


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the structured logger of a module."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))


def register_secret(value: str) -> None:
    """Have `value`, plain or as part of a URL or of JSON, replaced by `***` in all that this process says."""
    if value:
        _SECRETS.update(_forms(value))


def redact(text: str) -> str:
    """Return `text` with every registered secret masked."""
    for secret in _longest_first(_SECRETS):
        text = text.replace(secret, _MASK)
    return text


def tame(words: str) -> str:
    """Return words, perhaps of the vendor's, as one short line that is no markup and calls nobody, secrets masked."""
    line = " ".join(redact(words).split()).translate(_MARKUP)
    return "".join(letter for letter in line if letter.isprintable())[:_QUOTED]


def redact_one(content: bytes, secret: str) -> bytes:
    """Return `content` with this secret masked and no other; the same object where it is not in it.

    For what is kept: a word in an article may be the password of something that has no part in it.
    """
    for form in _longest_first(_forms(secret)):
        content = content.replace(form.encode(), _MASK.encode())
    return content


def _forms(secret: str) -> set[str]:
    in_json = json.dumps(secret)[1:-1]
    return {secret, quote(secret, safe=""), quote_plus(secret), in_json, in_json.replace("/", "\\/")}


def _longest_first(secrets: Iterable[str]) -> list[str]:
    # A secret may be part of another, and what is left of the longer one would still tell.
    return sorted(secrets, key=len, reverse=True)


def configure(level: str, style: str) -> None:
    """Set logging up for a command-line process: one line per event on stderr.

    Parameters
    ----------
    level
        DEBUG, INFO, WARNING or ERROR.
    style
        `text` for people, `json` for machines.
    """
    renderer = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact_fields,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(stdlib_logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _redact_fields(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if isinstance(value, int | float | None) else redact(str(value)) for key, value in event.items()}
