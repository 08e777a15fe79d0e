"""A snooze has a scope, a reason and an end, or it is refused."""

from datetime import date, timedelta

import pytest

from bellwether.errors import Blame, ConfigError
from bellwether.incidents.ledger import report
from bellwether.incidents.snooze import Scope, snooze, snoozes, unsnooze
from bellwether.lake import Lake
from tests.incidents import SESSION, TurnedClock, found


@pytest.mark.parametrize(
    ("text", "scope", "covers"),
    [
        ("equities", Scope("equities"), True),
        ("equities.2025-07-01", Scope("equities", SESSION), True),
        ("equities.*.vendor", Scope("equities", None, Blame.VENDOR), True),
        ("equities.2025-07-01.vendor-3", Scope("equities", SESSION, Blame.VENDOR), True),
        ("equities.*.vendor_late", Scope("equities", None, Blame.VENDOR_LATE), False),
        ("equities.2025-07-02", Scope("equities", date(2025, 7, 2)), False),
        ("indices", Scope("indices"), False),
    ],
)
def test_a_scope_names_incidents(lake: Lake, text: str, scope: Scope, covers: bool) -> None:
    assert Scope.parse(text) == scope
    assert Scope.parse(str(scope)) == scope
    assert scope.covers(report(lake, found())) == covers


@pytest.mark.parametrize(
    "text", ["", "Equities", "../x", "equities.vendor", "equities.*.nobody", "a.b.c.d", "equities.*.*.*"]
)
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="names no incidents: give DATASET"):
        Scope.parse(text)


def test_without_a_reason_or_an_end_ahead_it_is_refused(lake: Lake, clock: TurnedClock) -> None:
    with pytest.raises(ConfigError, match="wants a reason"):
        snooze(lake, Scope("equities"), reason=" ", by="ada", until_utc=clock.now() + timedelta(days=1))
    with pytest.raises(ConfigError, match="wants an end in the future; 2025-07-02 00:30 UTC is past"):
        snooze(lake, Scope("equities"), reason="known", by="ada", until_utc=clock.now())
    assert snoozes(lake) == []


def test_it_holds_until_its_end_or_until_it_is_taken_back(lake: Lake, clock: TurnedClock) -> None:
    scope = Scope("equities")
    made = snooze(lake, scope, reason="known", by="ada", until_utc=clock.now() + timedelta(days=1))
    assert snoozes(lake) == [made]
    assert unsnooze(lake, scope)
    assert not unsnooze(lake, scope)
    snooze(lake, scope, reason="known", by="ada", until_utc=clock.now() + timedelta(days=1))
    clock.turn(days=1)
    assert snoozes(lake) == []
