"""From red to green in Airflow's UI alone: by backfill, by clears, by the Connection form with its Test button.

How a run came to fail is no part of a story: API and simulator arrange it. API and lake prove that it healed.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from bellwether.airflow_api import Run
from bellwether.lake import Coverage
from bellwether.simulator.faults import Fault
from tests.e2e.browser import AirflowUi
from tests.e2e.support import KEY, PRODUCER, UNIVERSE, Producers, wait_until

# The Fourth of July and a weekend lie in between.
HALF_DAY, MONDAY = date(2025, 7, 3), date(2025, 7, 7)
ONE_TASK, WHOLE_RUN, WRONG_KEY = date(2025, 7, 14), date(2025, 7, 15), date(2025, 7, 16)
# plan, two batches, validate, publish, inputs_ready, announce, report
TASKS = 8
CONNECTION = "polygon_default"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def lacking_qqq(operated: Producers) -> dict[date, Run]:
    """Return one failed run each of three sessions, for which the vendor could not give QQQ; by now it could."""
    sessions = (HALF_DAY, ONE_TASK, WHOLE_RUN)
    for session in sessions:
        operated.simulator.faults.add(Fault(kind="cut_json", ticker="QQQ", session=session, count=None))
    started = {session: operated.api.trigger(PRODUCER, str(session)).dag_run_id for session in sessions}
    runs = {session: operated.api.wait_for_run(PRODUCER, run_id) for session, run_id in started.items()}
    operated.simulator.faults.clear()
    assert {run.state for run in runs.values()} == {"failed"}
    operated.simulator.requests.clear()
    return runs


@pytest.fixture
def no_connection(operated: Producers) -> Iterator[None]:
    """Take `polygon_default` away, and put it back whatever comes of the test."""
    operated.api.request("DELETE", f"connections/{CONNECTION}")
    yield
    operated.connect()


def is_whole(operated: Producers, session: date) -> bool:
    manifest = operated.lake.manifest("equities", session)
    assert manifest is not None, session
    return {t: known.state for t, known in manifest.coverage.items()} == dict.fromkeys(UNIVERSE, Coverage.COMPLETE)


def healed(operated: Producers, run_id: str, session: date) -> bool:
    """Return whether a run and all its tasks succeeded and the lake has every ticker of its session."""
    run = operated.api.run(PRODUCER, run_id)
    assert run.state == "success"
    assert set(operated.states(run).values()) == {"success"}
    return is_whole(operated, session)


def test_backfill_form_over_a_holiday_makes_runs_of_the_missing_and_the_failed_session_only(
    ui: AirflowUi, operated: Producers, lacking_qqq: dict[date, Run], tmp_path: Path
) -> None:
    assert not is_whole(operated, HALF_DAY)
    wait_until(lambda: operated.open_backfills() == 0, "an earlier backfill is still open")
    form = ui.open_backfill_form(PRODUCER, HALF_DAY, MONDAY)
    expect(form.get_by_text("1 run will be triggered.")).to_be_visible()
    form.get_by_text("Missing and Errored Runs").click()
    expect(form.get_by_text("2 runs will be triggered.")).to_be_visible()
    form.get_by_role("spinbutton").fill("2")
    ui.photograph(tmp_path / "backfill.png")
    form.get_by_role("button", name="Run Backfill").click()
    expect(form).to_be_hidden()
    wait_until(lambda: len(operated.backfilled(HALF_DAY, MONDAY)) > 0, "the form made no runs")
    made = operated.backfilled(HALF_DAY, MONDAY)
    assert [run.partition_key for run in made] == [str(HALF_DAY), str(MONDAY)]
    for run, session in zip(made, (HALF_DAY, MONDAY), strict=True):
        assert operated.api.wait_for_run(PRODUCER, run.dag_run_id).state == "success"
        assert is_whole(operated, session)
    assert operated.asked(HALF_DAY) == ["QQQ"]
    assert sorted(map(str, operated.asked(MONDAY))) == list(UNIVERSE)


def test_the_red_batch_is_found_by_its_name_and_cleared_alone_and_fetches_the_missing_ticker_only(
    ui: AirflowUi, operated: Producers, lacking_qqq: dict[date, Run], tmp_path: Path
) -> None:
    run_id = lacking_qqq[ONE_TASK].dag_run_id
    ui.open_failed_run(PRODUCER, run_id)
    expect(ui.task_rows("Failed")).to_have_count(2)
    ui.photograph(tmp_path / "red.png")
    ui.task_rows("Failed").get_by_role("link", name="b001 QQQ..SPY").click()
    expect(ui.page.get_by_text("Truncated").first).to_be_visible()
    dialog = ui.open_clear_dialog()
    # "Downstream" is chosen already.
    expect(dialog.get_by_role("button", name="Affected Tasks: 6")).to_be_visible()
    ui.photograph(tmp_path / "clear.png")
    ui.confirm(dialog)
    ui.see_run_succeed(run_id, TASKS)
    ui.photograph(tmp_path / "green.png")
    assert healed(operated, run_id, ONE_TASK)
    assert operated.asked(ONE_TASK) == ["QQQ"]


def test_a_failed_run_cleared_as_a_whole_is_fetched_anew_and_heals(
    ui: AirflowUi, operated: Producers, lacking_qqq: dict[date, Run], tmp_path: Path
) -> None:
    run_id = lacking_qqq[WHOLE_RUN].dag_run_id
    ui.open_failed_run(PRODUCER, run_id)
    clear_all(ui, tmp_path)
    ui.see_run_succeed(run_id, TASKS)
    assert healed(operated, run_id, WHOLE_RUN)
    # A plan that is cleared runs again because someone wants the session fetched anew.
    assert sorted(map(str, operated.asked(WHOLE_RUN))) == list(UNIVERSE)


def test_a_mistyped_key_is_named_by_the_test_button_and_once_corrected_the_run_it_failed_heals(
    ui: AirflowUi, operated: Producers, no_connection: None, tmp_path: Path
) -> None:
    add_connection(ui, operated, "mistyped-key")
    expect(ui.test_connection(CONNECTION)).to_contain_text("does not accept this API key")
    ui.photograph(tmp_path / "refused.png")
    run = operated.trigger(str(WRONG_KEY))
    assert run.state == "failed"
    assert operated.lake.manifest("equities", WRONG_KEY) is None
    ui.open_failed_run(PRODUCER, run.dag_run_id)
    ui.page.get_by_role("link", name="b000 AAPL..MSFT").click()
    expect(ui.page.get_by_text("Unauthorized").first).to_be_visible()
    ui.photograph(tmp_path / "unauthorized.png")

    ui.open_connections()
    ui.connection(CONNECTION).get_by_role("button", name="Edit Connection").click()
    save_key(ui.page.get_by_role("dialog"), KEY)
    expect(ui.test_connection(CONNECTION)).to_contain_text("answers and accepts the API key")
    ui.photograph(tmp_path / "accepted.png")
    ui.open_failed_run(PRODUCER, run.dag_run_id)
    clear_all(ui, tmp_path)
    ui.see_run_succeed(run.dag_run_id, TASKS)
    assert healed(operated, run.dag_run_id, WRONG_KEY)


def clear_all(ui: AirflowUi, tmp_path: Path) -> None:
    """Clear every task of the run that is open."""
    dialog = ui.open_clear_dialog()
    expect(dialog.get_by_role("button", name=f"Affected Tasks: {TASKS}")).to_be_visible()
    ui.photograph(tmp_path / "clear.png")
    ui.confirm(dialog)


def add_connection(ui: AirflowUi, operated: Producers, key: str) -> None:
    host, _, port = operated.simulator.url.rpartition(":")
    ui.open_connections()
    ui.page.get_by_role("button", name="Add Connection").click()
    form = ui.page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(CONNECTION)
    form.get_by_role("combobox", name="Connection Type").fill("Polygon")
    form.get_by_role("option", name="Polygon.io / Massive").click()
    form.get_by_label("Base URL").fill(host)
    form.get_by_label("Port").fill(port)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    form.get_by_role("combobox", name="Environment").click()
    form.get_by_role("option", name="simulated").click()
    form.get_by_role("button", name="Standard Fields").click()
    save_key(form, key)


def save_key(form: Locator, key: str) -> None:
    form.get_by_role("textbox", name="API key").fill(key)
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
