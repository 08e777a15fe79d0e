"""One incident for each dataset, session and cause, whoever reports it, and another after it is over for good."""

import threading
from datetime import date

import pytest

from bellwether.errors import Blame, LakeError
from bellwether.incidents import incident as incidents
from bellwether.incidents.incident import Incident, Run
from bellwether.incidents.ledger import at_work, change, find, of_session, report
from bellwether.lake import Lake, paths
from tests.incidents import SESSION, People, TurnedClock, found


def end(lake: Lake, incident: Incident, clock: TurnedClock) -> None:
    change(lake, incident.incident_id, lambda known: incidents.healed(known, "run later", clock.now()))
    change(lake, incident.incident_id, lambda known: incidents.told(known, known, "healed", clock.now()))


def test_a_report_opens_an_incident_and_the_next_updates_it(lake: Lake, clock: TurnedClock) -> None:
    first = report(lake, found())
    clock.turn(minutes=3)
    second = report(lake, found(failed=5, severity="critical", run=Run("equities_daily", "manual__y")))
    assert first.incident_id == second.incident_id == f"equities.{SESSION}.vendor"
    assert (second.last.failed, second.severity, second.updates) == (5, "critical", 1)
    assert [run.run_id for run in second.runs] == [f"scheduled__{SESSION}__x", "manual__y"]
    assert second.opened_utc < second.updated_utc
    # It does not get better by a report that is milder.
    assert report(lake, found(severity="warning")).severity == "critical"
    assert at_work(lake) == [find(lake, first.incident_id)]


def test_other_datasets_sessions_and_causes_are_other_incidents(lake: Lake) -> None:
    reports = [found(), found("indices"), found(session=date(2025, 7, 2)), found(blame=Blame.VENDOR_LATE)]
    assert len({report(lake, each).incident_id for each in reports}) == len(at_work(lake)) == 4


def test_what_comes_after_the_end_is_another_incident(lake: Lake, clock: TurnedClock) -> None:
    for name in ("", "-2", "-3"):
        again = report(lake, found())
        assert again.incident_id == f"equities.{SESSION}.vendor{name}"
        end(lake, again, clock)
        assert at_work(lake) == []
    assert [each.incident_id.rpartition(".")[2] for each in of_session(lake, SESSION)] == [
        "vendor",
        "vendor-2",
        "vendor-3",
    ]
    assert find(lake, f"equities.{SESSION}.vendor-2") is not None


def test_what_healed_and_fails_again_before_anybody_knew_goes_on(
    lake: Lake, clock: TurnedClock, people: People
) -> None:
    first = report(lake, found())
    assert people.tell() == [first.last.subject]
    change(lake, first.incident_id, lambda known: incidents.healed(known, "run later", clock.now()))
    assert report(lake, found()).state == "open"
    assert people.sweep() == []


def test_of_many_that_report_at_once_one_opens_and_one_tells(lake: Lake, people: People) -> None:
    gate, told = threading.Barrier(10), []

    def meet() -> None:
        gate.wait()
        for _ in range(10):
            report(lake, found(failed=500))
        told.extend(people.tell())

    threads = [threading.Thread(target=meet) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [incident] = at_work(lake)
    assert (incident.updates, len(told)) == (99, 1)


@pytest.mark.parametrize("text", ["equities", "equities.x.vendor", "../lake.2025-07-01.json", "a.b.c.d", ""])
def test_what_is_no_id_is_no_incident(lake: Lake, text: str) -> None:
    assert find(lake, text) is None


def test_a_damaged_record_is_named(lake: Lake) -> None:
    report(lake, found())
    lake.storage.write(paths.incidents_at_work() / f"equities.{SESSION}.vendor.json", b"{")
    with pytest.raises(LakeError, match="is damaged"):
        at_work(lake)
