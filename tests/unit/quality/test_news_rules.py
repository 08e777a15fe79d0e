"""Rows of news: the gate and the suite give the same verdict on each, and the window is open at its start."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from bellwether.calendar import get_calendar
from bellwether.quality.gate import GateReport, check_batch
from bellwether.quality.news_rules import NOT_IN_A_LANGUAGE, NOT_IN_A_SOURCE, SOURCE
from bellwether.quality.prepare import staged_schema
from bellwether.quality.suite import read_suite
from bellwether.quality.validate import validate_session
from bellwether.schemas import NEWS
from tests.unit.quality.frames import reasons_of

HOURS = get_calendar().hours(date(2025, 7, 7))  # a Monday after a long weekend: the session before closed at 13:00
OPENED = datetime(2025, 7, 3, 17, tzinfo=UTC)
MS = timedelta(milliseconds=1)

Row = dict[str, Any]

SPOILS: dict[str, tuple[Row, str]] = {
    "no ticker": ({"ticker": None}, "null_key"),
    "no time": ({"published_utc": None}, "null_key"),
    "no id": ({"article_id": None}, "null_key"),
    "no version": ({"version": None}, "null_key"),
    "as the session before closed": ({"published_utc": OPENED}, "outside_session"),
    "past the close": ({"published_utc": HOURS.close + MS}, "outside_session"),
    "no title": ({"title": None}, "empty_title"),
    "empty title": ({"title": ""}, "empty_title"),
    "too glad": ({"sentiment": 1.001}, "sentiment_out_of_range"),
    "too sad": ({"sentiment": -1.001}, "sentiment_out_of_range"),
    "infinitely glad": ({"sentiment": float("inf")}, "sentiment_out_of_range"),
    "no source": ({"sentiment_source": None}, "unknown_sentiment_source"),
    "strange source": ({"sentiment_source": "hearsay"}, "unknown_sentiment_source"),
    "source and more": ({"sentiment_source": "vendor\n"}, "unknown_sentiment_source"),
    "no language": ({"language": None}, "unknown_language"),
    "strange language": ({"language": "EN"}, "unknown_language"),
    "long language": ({"language": "english"}, "unknown_language"),
    "short language": ({"language": ""}, "unknown_language"),
    "language and more": ({"language": "en\n"}, "unknown_language"),
}
ODDITIES: dict[str, tuple[Row, dict[str, int]]] = {
    "just after the close before": ({"published_utc": OPENED + MS}, {}),
    "as the session closes": ({"published_utc": HOURS.close}, {}),
    "not English": ({"sentiment": None, "sentiment_source": "none:not_english", "language": "de"}, {"no_sentiment": 1}),
    "NaN": ({"sentiment": float("nan")}, {"no_sentiment": 1}),
    "by a fast clock": ({"first_seen_utc": OPENED}, {"seen_before_published": 1}),
    "by the vendor": ({"sentiment": -1.0, "sentiment_source": "vendor"}, {}),
    "by the lexicon": ({"sentiment": 1.0, "sentiment_source": "lexicon:vader-3.3.2+0a1b2c3d"}, {}),
}


def row(number: int = 0) -> Row:
    return {
        "article_id": f"a{number:03d}",
        "ticker": "SPY",
        "published_utc": HOURS.open,
        "first_seen_utc": HOURS.close + timedelta(hours=1),
        "version": 1,
        "title": "Halverton tops estimates",
        "description": None,
        "author": None,
        "publisher": "Loopback Wire",
        "article_url": "https://wire.example.com/a",
        "keywords": "",
        "language": "en",
        "sentiment": 0.5,
        "sentiment_label": "positive",
        "sentiment_source": "vendor",
        "sentiment_reasoning": None,
        "content_hash": "0" * 64,
    }


def table_of(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=staged_schema("news"))


def verdicts(rows: list[Row]) -> GateReport:
    """Return what the gate says, after the suite has said the same."""
    report = check_batch(table_of(rows), HOURS, "news")
    verdict = validate_session(table_of(rows), dataset="news", session_hours=HOURS, rows_expected=len(rows))
    assert [each for each in verdict.failures if not each.startswith("quarantined_share")] == []
    assert verdict.quarantined["reason"].to_pylist() == report.reasons.drop_null().to_pylist()
    assert verdict.quarantined.drop_columns(["reason"]).equals(report.table.filter(report.reasons.is_valid()))
    assert verdict.warnings == report.warnings
    return report


@pytest.mark.parametrize(("change", "reason"), SPOILS.values(), ids=SPOILS)
def test_a_bad_row_is_marked_and_its_neighbours_are_not(change: Row, reason: str) -> None:
    rows = [row(0), row(1) | change, row(2)]
    report = check_batch(table_of(rows), HOURS, "news")
    assert report.reasons.drop_null().to_pylist() == [reason]


@pytest.mark.parametrize(("change", "counted"), ODDITIES.values(), ids=ODDITIES)
def test_an_oddity_is_counted_and_its_row_stays(change: Row, counted: dict[str, int]) -> None:
    report = check_batch(table_of([row(0), row(1) | change]), HOURS, "news")
    nothing = {"seen_before_published": 0, "no_sentiment": 0, "duplicates_dropped": 0}
    assert (report.bad_rows, report.warnings) == (0, nothing | counted)


def test_gate_and_suite_agree_on_every_kind_of_row_alone_and_mixed() -> None:
    changes = [change for change, _ in (*SPOILS.values(), *ODDITIES.values())]
    rows = [row(number) | change for number, change in enumerate(changes)]
    rows += [row(number) | {"title": "Another text of one version"} for number in range(100, 103)]
    rows += [row(number) for number in range(100, 130)]
    verdicts(rows)
    rng = random.Random(1)
    for each in rng.sample(rows, 20):
        each.update(rng.choice(changes))
    report = verdicts(rows)
    assert {reason for spelt in report.reasons.drop_null().to_pylist() for reason in spelt.split(", ")} == reasons_of(
        "news", "row"
    )


def test_versions_of_an_article_do_not_contradict_each_other() -> None:
    rows = [row(), row() | {"version": 2, "title": "Halverton tops estimates by far"}]
    assert check_batch(table_of(rows), HOURS, "news").bad_rows == 0


def test_suite_and_gate_share_their_vocabulary() -> None:
    asked = [each["kwargs"] for each in read_suite("news").expectations]
    patterns = {kwargs.get("regex") for kwargs in asked} - {None}
    assert patterns == {SOURCE, NOT_IN_A_SOURCE, NOT_IN_A_LANGUAGE}
    [columns] = (kwargs["column_set"] for kwargs in asked if "column_set" in kwargs)
    assert columns == NEWS.names
