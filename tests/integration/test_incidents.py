"""Incidents among processes: five hundred callbacks at once, one incident, one message; in a folder and in a bucket."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bellwether.incidents import incident as incidents
from bellwether.incidents.ledger import at_work, change, of_session, report
from bellwether.lake import Lake
from tests.incidents import SESSION, People, found, report_many
from tests.objectstore import ObjectStore


def test_five_hundred_callbacks_in_four_processes_are_one_incident_and_one_message(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path, simulated=True)
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as processes:
        told = list(processes.map(report_many, [str(tmp_path)] * 4, [125] * 4))
    assert [subject for each in told for subject in each] == [f"equities {SESSION}: 500 of 8 tickers failed"]
    [incident] = at_work(lake)
    assert incident.updates == 499


def test_a_lake_in_a_bucket_holds_an_incident_from_its_first_word_to_its_end(store: ObjectStore) -> None:
    lake = store.lake("incidents")
    people = People(lake)
    for session_failed in (1, 2):
        incident = report(lake, found(failed=session_failed))
        people.sweep()
    change(lake, incident.incident_id, lambda known: incidents.healed(known, "run x", lake.clock.now()))
    people.sweep()
    subject = f"equities {SESSION}:"
    assert [message.subject for message in people.sent] == [
        f"{subject} 1 of 8 tickers failed",
        f"{subject} 2 of 8 tickers failed (1 when last told)",
        f"{subject} healed",
    ]
    assert at_work(lake) == []
    assert report(lake, found()).incident_id == f"equities.{SESSION}.vendor-2"
    assert [each.state for each in of_session(lake, SESSION)] == ["healed", "open"]
