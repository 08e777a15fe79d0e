"""Rows against a contract: every way to differ has its name, and one odd row is none."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bellwether.config import Config, Contract
from bellwether.drift.change import Change, Kind, accepted, compared_anew
from bellwether.drift.forms import ROWS
from bellwether.drift.shape import differences, fit
from bellwether.errors import DriftError

CONTRACTS = Config.load(Path(__file__).parents[3] / "config", {}).contracts
NOW = datetime(2025, 7, 2, tzinfo=UTC)
BAR = {"v": 100.0, "vw": 10.1, "o": 10.0, "c": 10.2, "h": 10.3, "l": 9.9, "t": 1_751_376_600_000, "n": 7}
SNAPSHOT = {
    "details": {
        "ticker": "O:SPY250703C00600000",
        "contract_type": "call",
        "exercise_style": "american",
        "expiration_date": "2025-07-03",
        "strike_price": 600,
        "shares_per_contract": 100,
    },
    "underlying_asset": {"ticker": "SPY", "price": 612.5},
    "greeks": {"delta": 0.9, "gamma": 0.01, "theta": -0.2, "vega": 0.1},
}
ARTICLE = {
    "id": "a",
    "title": "t",
    "published_utc": "2025-07-01T12:00:00Z",
    "article_url": "http://x",
    "tickers": ["A"],
    "description": "d",
    "publisher": {"name": "p"},
    "insights": [{"ticker": "A", "sentiment": "positive"}],
}


def rows(row: dict[str, Any], change: Callable[[dict[str, Any]], object], count: int = 10) -> list[dict[str, Any]]:
    changed = [deepcopy(row) for _ in range(count)]
    for each in changed:
        change(each)
    return changed


def rename(place: dict[str, Any], old: str, new: str) -> None:
    place[new] = place.pop(old)


CASES: list[tuple[str, dict[str, Any], Callable[[dict[str, Any]], object], list[tuple[str, Kind, str]]]] = [
    ("equities", BAR, lambda r: None, []),
    ("equities", BAR, lambda r: r.update(otc=True), []),
    ("equities", BAR, lambda r: r.update(v=100, n=None), []),
    ("equities", BAR, lambda r: rename(r, "v", "vol"), [("v", Kind.RENAMED, "vol")]),
    ("equities", BAR, lambda r: rename(r, "vw", "vwap"), [("vw", Kind.RENAMED, "vwap")]),
    (
        "equities",
        BAR,
        lambda r: (rename(r, "o", "open"), rename(r, "c", "close")),
        [("c", Kind.RENAMED, "close"), ("o", Kind.RENAMED, "open")],
    ),
    ("equities", BAR, lambda r: (r.pop("v"), r.update(x="text")), [("v", Kind.REMOVED, ""), ("x", Kind.ADDED, "text")]),
    ("equities", BAR, lambda r: r.update(v=None), [("v", Kind.REMOVED, "")]),
    ("equities", BAR, lambda r: r.update(c="10.2"), [("c", Kind.RETYPED, "text")]),
    ("equities", BAR, lambda r: r.update(n={"of": 7}), [("n", Kind.RETYPED, "object")]),
    ("equities", BAR, lambda r: r.update(t=r["t"] * 1_000_000), [("t", Kind.RESCALED, "1e-06")]),
    ("equities", BAR, lambda r: r.update(t=r["t"] // 1000), [("t", Kind.RESCALED, "1000")]),
    ("options_snapshot", SNAPSHOT, lambda r: None, []),
    ("options_snapshot", SNAPSHOT, lambda r: r.pop("greeks"), []),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: rename(r["details"], "strike_price", "strike"),
        [("details.strike_price", Kind.RENAMED, "strike")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: rename(r["greeks"], "delta", "dlt"),
        [("greeks.delta", Kind.RENAMED, "dlt")],
    ),
    (
        "options_snapshot",
        SNAPSHOT,
        lambda r: r.update(fair={"value": 1}),
        [("fair", Kind.ADDED, "object")],
    ),
    ("news", ARTICLE, lambda r: None, []),
    (
        "news",
        ARTICLE,
        lambda r: r["insights"][0].update(sentiment="mixed"),
        [("insights.sentiment", Kind.WORDS, "mixed")],
    ),
]


@pytest.mark.parametrize(("dataset", "row", "change", "expected"), CASES)
def test_a_difference_is_named_by_field_and_kind(
    dataset: str, row: dict[str, Any], change: Any, expected: list[tuple[str, Kind, str]]
) -> None:
    found = differences(dataset, rows(row, change), CONTRACTS[dataset])
    assert [(each.field, each.kind, each.to) for each in found] == expected


def test_less_than_half_of_the_rows_is_a_broken_answer_and_no_change() -> None:
    some = rows(BAR, lambda r: r.update(c="10.2"), 4) + rows(BAR, lambda r: None, 6)
    assert differences("equities", some, CONTRACTS["equities"]) == []


@pytest.mark.parametrize(
    ("dataset", "row", "change"),
    [
        ("equities", BAR, lambda r: rename(r, "v", "vol")),
        ("equities", BAR, lambda r: (rename(r, "o", "open"), rename(r, "c", "close"))),
        ("equities", BAR, lambda r: r.update(c="10.2", n="7")),
        ("equities", BAR, lambda r: r.update(t=r["t"] * 1_000_000)),
        ("equities", BAR, lambda r: r.update(t=r["t"] // 1000)),
        ("options_snapshot", SNAPSHOT, lambda r: rename(r["details"], "strike_price", "strike")),
        ("news", ARTICLE, lambda r: rename(r["insights"][0], "ticker", "symbol")),
    ],
)
def test_what_is_accepted_differs_no_more_and_is_read_as_what_it_was(
    dataset: str, row: dict[str, Any], change: Callable[[dict[str, Any]], object]
) -> None:
    changed, contract = rows(row, change), CONTRACTS[dataset]
    for each in differences(dataset, changed, contract):
        contract = accepted(contract, each, since=date(2025, 7, 1), since_utc=NOW)
    assert differences(dataset, changed, contract) == []
    fit(changed, contract, NOW)
    kind: Any = list[ROWS[dataset]]  # type: ignore[misc]
    assert msgspec.convert(changed, kind) == msgspec.convert(rows(row, lambda _: None), kind)


def test_what_no_contract_can_say_is_refused_with_what_to_do() -> None:
    change = Change("equities", "c", Kind.REMOVED)
    with pytest.raises(DriftError, match=r"add that to fields\.c\.aliases in config/contracts/equities\.yaml"):
        accepted(CONTRACTS["equities"], change, since=date(2025, 7, 1), since_utc=NOW)
    with pytest.raises(DriftError, match="cannot be taken as it is"):
        compared_anew(CONTRACTS["equities"], change, date(2025, 7, 1))


def scaled(contract: Contract, factor: str, since_utc: datetime) -> Contract:
    change = Change("equities", "v", Kind.RESCALED, factor)
    return accepted(contract, change, since=since_utc.date(), since_utc=since_utc)


def test_a_unit_holds_from_its_moment_on_and_a_further_change_builds_upon_it() -> None:
    later = datetime(2025, 8, 1, tzinfo=UTC)
    contract = scaled(scaled(CONTRACTS["equities"], "100", NOW), "0.01", later)

    def volume(received_utc: datetime) -> float:
        [row] = rows(BAR, lambda r: r.update(v=0.57), 1)
        fit([row], contract, received_utc)
        return float(row["v"])

    assert (volume(datetime(2025, 7, 1, tzinfo=UTC)), volume(NOW), volume(later)) == (0.57, 57.0, 0.57)


def test_fields_that_become_one_column_share_their_unit() -> None:
    contract = accepted(
        CONTRACTS["rates"], Change("rates", "yield_1_month", Kind.RESCALED, "100"), since=NOW.date(), since_utc=NOW
    )
    row = {"date": "2025-07-01", "yield_1_month": 0.0425, "yield_10_year": 0.0406}
    fit([row], contract, NOW)
    assert row == {"date": "2025-07-01", "yield_1_month": 4.25, "yield_10_year": 4.06}


def test_a_field_that_was_announced_beside_the_old_one_takes_its_place_once_that_is_gone() -> None:
    contract = CONTRACTS["equities"]
    [added] = differences("equities", rows(BAR, lambda r: r.update(vol=r["v"])), contract)
    contract = accepted(contract, added, since=NOW.date(), since_utc=NOW)
    assert contract.also == ("otc", "vol")
    [renamed] = differences("equities", rows(BAR, lambda r: rename(r, "v", "vol")), contract)
    contract = accepted(contract, renamed, since=NOW.date(), since_utc=NOW)
    assert (contract.also, contract.fields["v"].aliases) == (("otc",), ("vol",))
