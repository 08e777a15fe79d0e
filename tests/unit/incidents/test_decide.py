"""What people are told when: once, and again when it grows or heals; less at night, and in a storm one message."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from bellwether.calendar import get_calendar
from bellwether.config import Alerts, Mute
from bellwether.config.alerts import QuietHours, Storm
from bellwether.errors import Blame
from bellwether.incidents import incident as incidents
from bellwether.incidents.decide import last_quiet
from bellwether.incidents.incident import Watch
from bellwether.incidents.ledger import at_work, change, find, report
from bellwether.incidents.snooze import Scope, snooze
from bellwether.lake import Lake
from tests.incidents import SESSION, People, TurnedClock, found

SUBJECT = f"equities {SESSION}: 1 of 8 tickers failed"
NIGHT = Alerts(quiet_hours=QuietHours(begin=time(22, 0), end=time(6, 30)))
SESSIONS = get_calendar().sessions(date(2025, 5, 1), date(2025, 7, 31))[:50]


def heal(lake: Lake, clock: TurnedClock, *ids: str) -> None:
    for each in ids or [each.incident_id for each in at_work(lake)]:
        change(lake, each, lambda known: incidents.healed(known, "run manual__y", clock.now()))


def test_an_incident_is_told_when_it_opens_grows_and_heals_and_not_between(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    report(lake, found())
    assert people.tell() == [SUBJECT]
    assert f"Incident equities.{SESSION}.vendor. To hear nothing more of it for a while: " in people.sent[0].body
    report(lake, found())
    assert people.sweep() == []
    report(lake, found(failed=2))
    assert people.sweep() == [f"equities {SESSION}: 2 of 8 tickers failed (1 when last told)"]
    report(lake, found(failed=3))
    assert people.sweep() == []
    report(lake, found(failed=3, severity="critical"))
    assert people.sweep() == [f"equities {SESSION}: 3 of 8 tickers failed (now critical, error when last told)"]
    clock.turn(minutes=12)
    heal(lake, clock)
    assert people.sweep() == [f"equities {SESSION}: healed"]
    assert people.sent[-1].is_healing
    assert people.sent[-1].body == (
        "Healed by run manual__y.\n\n- equities, vendor: 3 of 8 tickers had failed; open for 12 minutes, reported 5 "
        "times\n\nNothing is left to be done."
    )
    assert (people.sweep(), at_work(lake)) == ([], [])


def test_all_that_one_report_found_is_one_message(lake: Lake, people: People, clock: TurnedClock) -> None:
    for dataset in ("splits", "tickers"):
        report(lake, found(dataset, report_id="run-reference", subject="reference: 2 of 12 tickers failed"))
    assert people.tell() == ["reference: 2 of 12 tickers failed"]
    assert "Incident splits.2025-07-01.vendor, tickers.2025-07-01.vendor." in people.sent[0].body
    heal(lake, clock)
    assert people.sweep() == ["reference: healed"]


def test_what_opened_and_healed_before_the_sweep_is_one_message(lake: Lake, people: People, clock: TurnedClock) -> None:
    report(lake, found())
    heal(lake, clock)
    assert people.sweep() == [f"equities {SESSION}: healed"]
    assert "nobody was told of it before" in people.sent[0].body


def test_what_was_only_seen_and_is_over_before_the_sweep_is_nothing(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    report(lake, found(watch=Watch.STANDING))
    heal(lake, clock)
    assert (people.sweep(), at_work(lake)) == ([], [])


def test_a_second_trouble_waits_for_the_sweep_and_a_critical_one_does_not(lake: Lake, people: People) -> None:
    report(lake, found())
    assert len(people.tell()) == 1
    report(lake, found("indices"))
    assert people.tell() == []
    report(lake, found("options_snapshot", severity="critical"))
    assert people.tell() == [f"options_snapshot {SESSION}: 1 of 8 tickers failed"]
    assert people.sweep() == [f"indices {SESSION}: 1 of 8 tickers failed"]


def test_where_nobody_sweeps_what_waits_is_told_by_the_next_who_reports(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    report(lake, found())
    people.tell()
    clock.turn(minutes=9)
    report(lake, found("indices"))
    assert people.tell() == []
    clock.turn(minutes=10)
    assert people.tell() == [f"indices {SESSION}: 1 of 8 tickers failed"]


def test_a_storm_over_fifty_sessions_is_one_message_then_one_summary(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    told = []
    for session in SESSIONS[:30]:
        report(lake, found(session=session))
        told += people.tell()
    # The first word comes at once: nobody knows yet that it is a storm.
    assert told == [f"equities {SESSIONS[0]}: 1 of 8 tickers failed"]
    assert people.sweep() == ["29 incidents within 10 minutes"]
    body = people.sent[-1].body
    assert body.startswith(f"29 incidents within 10 minutes: equities of 29 sessions, {SESSIONS[1]} to {SESSIONS[29]}.")
    assert f"- opened: equities, vendor, of 29 sessions, {SESSIONS[1]} to {SESSIONS[29]}; ServerError (SPY): " in body
    for session in SESSIONS[30:]:
        clock.turn(seconds=20)
        report(lake, found(session=session))
    assert people.tell() == people.sweep() == []
    clock.turn(minutes=4)
    assert people.sweep() == ["20 incidents within 10 minutes"]
    heal(lake, clock)
    assert people.sweep() == ["50 healed within 10 minutes"]
    assert people.sent[-1].is_healing
    clock.turn(minutes=11)
    assert (people.sweep(), at_work(lake)) == ([], [])


def test_exactly_so_many_are_no_storm(lake: Lake, people: People) -> None:
    people.settings = Alerts(storm=Storm(incidents=3))
    for session in SESSIONS[:3]:
        report(lake, found(session=session))
    assert len(people.sweep()) == 3


def test_many_that_one_look_found_are_one_message_at_once(lake: Lake, people: People) -> None:
    for session in SESSIONS[:11]:
        report(lake, found(session=session))
    assert people.tell() == ["11 incidents within 10 minutes"]


def test_quiet_hours_hold_back_what_is_not_critical_and_end_with_one_digest(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    people.settings = NIGHT
    clock.at = datetime(2025, 7, 2, 2, 0, tzinfo=UTC)  # 22:00 in New York
    report(lake, found())
    report(lake, found("equities_live", blame=Blame.STALL, severity="critical"))
    report(lake, found("indices", severity="warning"))
    assert people.sweep() == [f"equities_live {SESSION}: 1 of 8 tickers failed"]
    heal(lake, clock, f"indices.{SESSION}.vendor")
    clock.at = datetime(2025, 7, 2, 10, 29, tzinfo=UTC)
    assert people.sweep() == []
    clock.turn(minutes=1)
    assert people.sweep() == ["2 incidents in the quiet hours until 06:30 New York"]
    body = people.sent[-1].body
    assert f"- opened: equities, vendor, of {SESSION}; ServerError (SPY)" in body
    assert f"- healed: indices, vendor, of {SESSION}" in body
    assert people.sweep() == []
    assert [each.last.dataset for each in at_work(lake)] == ["equities", "equities_live"]


@pytest.mark.parametrize(
    ("begin", "end", "now", "quiet"),
    [
        pytest.param(time(22), time(6), datetime(2025, 7, 2, 3, tzinfo=UTC), True, id="before midnight"),
        pytest.param(time(22), time(6), datetime(2025, 7, 2, 9, 59, tzinfo=UTC), True, id="after midnight"),
        pytest.param(time(22), time(6), datetime(2025, 7, 2, 10, tzinfo=UTC), False, id="their end"),
        pytest.param(time(1), time(6), datetime(2025, 7, 2, 4, 59, tzinfo=UTC), False, id="before their begin"),
        pytest.param(time(1), time(6), datetime(2025, 12, 2, 10, 59, tzinfo=UTC), True, id="in winter"),
    ],
)
def test_quiet_hours_are_new_yorks(begin: time, end: time, now: datetime, quiet: bool) -> None:
    found_hours = last_quiet(QuietHours(begin=begin, end=end), now)
    assert found_hours is not None
    assert (found_hours[0] <= now < found_hours[1]) == quiet
    assert last_quiet(QuietHours(), now) is None


def test_a_snooze_keeps_quiet_until_its_end_and_what_is_open_then_is_told(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    until = clock.now() + timedelta(hours=2)
    snooze(lake, Scope("equities", None, Blame.VENDOR), reason="known outage", by="ada", until_utc=until)
    report(lake, found())
    report(lake, found(session=date(2025, 7, 2)))
    report(lake, found(blame=Blame.OURS))
    assert people.sweep() == [SUBJECT]
    heal(lake, clock, f"equities.{date(2025, 7, 2)}.vendor")
    assert people.sweep() == []
    assert find(lake, "equities.2025-07-02.vendor") is not None  # it is on record
    clock.turn(hours=2)
    assert people.sweep() == [SUBJECT]


def test_the_healing_of_what_people_know_is_told_though_it_is_snoozed(
    lake: Lake, people: People, clock: TurnedClock
) -> None:
    report(lake, found())
    people.tell()
    until = clock.now() + timedelta(hours=2)
    snooze(lake, Scope.parse(f"equities.{SESSION}.vendor"), reason="at it", by="ada", until_utc=until)
    report(lake, found(failed=8))
    assert people.sweep() == []
    heal(lake, clock)
    assert people.sweep() == [f"equities {SESSION}: healed"]


def test_what_alerts_yaml_mutes_is_on_record_and_told_to_nobody(lake: Lake, people: People) -> None:
    mute = Mute(dag_id="equities_daily", cause="ServerError", reason="outage", until=date(2025, 7, 2))
    people.settings = Alerts(mute=(mute,))
    report(lake, found())
    report(lake, found("indices"))
    assert people.sweep() == [f"indices {SESSION}: 1 of 8 tickers failed"]
    people.settings = Alerts(minimum_severity="critical")
    assert people.sweep() == []
    people.settings = Alerts()
    assert people.sweep() == [SUBJECT]
