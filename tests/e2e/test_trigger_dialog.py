"""The dialog in which people trigger a run, in a real browser: its form, a refusal, and runs as asked for."""

from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from bellwether.airflow_api import Run
from tests.e2e.browser import AirflowUi
from tests.e2e.support import PRODUCER, UNIVERSE, Producers, wait_until

SESSION = date(2025, 7, 8)
HOLIDAY = date(2025, 11, 27)

pytestmark = pytest.mark.timeout(240)


def fill(dialog: Locator, key: date, tickers: str = "") -> None:
    field = dialog.get_by_placeholder("Enter each string on a new line")
    field.fill(tickers)
    dialog.get_by_role("button", name="Advanced Options").click()
    expect(field).to_be_hidden()
    dialog.locator("input[name=partitionKey]").fill(str(key))


def submit(dialog: Locator, operated: Producers) -> Run:
    """Press Trigger, and return the run it made of SESSION once that is over."""
    before = operated.api.runs(PRODUCER, str(SESSION))
    dialog.get_by_role("button", name="Trigger").click()
    expect(dialog).to_be_hidden()
    wait_until(lambda: len(operated.api.runs(PRODUCER, str(SESSION))) == len(before) + 1, "the dialog made no run")
    made = operated.api.runs(PRODUCER, str(SESSION))[-1]
    return operated.api.wait_for_run(PRODUCER, made.dag_run_id)


def test_the_form_explains_tickers_and_fetching_again(ui: AirflowUi, tmp_path: Path) -> None:
    dialog = ui.open_trigger_dialog(PRODUCER)
    expect(dialog.get_by_text("Fetch only these, one per line")).to_be_visible()
    expect(dialog.get_by_text("Fetch what is complete once more")).to_be_visible()
    expect(dialog.get_by_role("checkbox", name="Fetch again")).not_to_be_checked()
    ui.photograph(tmp_path / "form.png")


def test_a_holiday_is_refused_in_the_dialog_with_the_nearest_sessions(
    ui: AirflowUi, operated: Producers, tmp_path: Path
) -> None:
    dialog = ui.open_trigger_dialog(PRODUCER)
    fill(dialog, HOLIDAY, "SPY")
    dialog.get_by_role("button", name="Trigger").click()
    expect(ui.page.get_by_text("nearest: 2025-11-26, 2025-11-28")).to_be_visible()
    ui.photograph(tmp_path / "refused.png")
    assert operated.api.runs(PRODUCER, str(HOLIDAY)) == []


def test_a_key_makes_a_run_of_the_whole_universe_and_tickers_with_fetch_again_one_that_fetches_these_anew(
    ui: AirflowUi, operated: Producers, tmp_path: Path
) -> None:
    dialog = ui.open_trigger_dialog(PRODUCER)
    fill(dialog, SESSION)
    whole = submit(dialog, operated)
    assert (whole.run_type, whole.partition_key, whole.state) == ("manual", str(SESSION), "success")
    assert sorted(map(str, operated.asked(SESSION))) == list(UNIVERSE)

    dialog = ui.open_trigger_dialog(PRODUCER)
    again_switch = dialog.get_by_role("checkbox", name="Fetch again")
    again_switch.press("Space")
    expect(again_switch).to_be_checked()
    fill(dialog, SESSION, "SPY")
    again = submit(dialog, operated)
    assert (again.run_type, again.partition_key, again.state) == ("manual", str(SESSION), "success")
    assert operated.asked(SESSION)[len(UNIVERSE) :] == ["SPY"]
    manifest = operated.lake.manifest("equities", SESSION)
    assert manifest is not None
    assert (manifest.run_id, set(manifest.coverage), manifest.blocking) == (whole.dag_run_id, set(UNIVERSE), [])

    ui.page.goto(f"{ui.url}/dags/{PRODUCER}/runs/{again.dag_run_id}")
    expect(ui.page.get_by_text(str(SESSION)).first).to_be_visible()
    # What was fetched again was equal, so nothing was published and nobody told.
    expect(ui.task_rows("Skipped")).to_have_count(2)
    ui.photograph(tmp_path / "run.png")


def test_every_form_can_be_sent_as_it_opens_but_the_one_that_must_be_told_a_change(
    ui: AirflowUi, operated: Producers
) -> None:
    locked = []
    for dag_id in sorted(dag.dag_id for dag in operated.api.dags() if dag.has_tag("bellwether")):
        trigger = ui.open_trigger_dialog(dag_id).get_by_role("button", name="Trigger")
        try:
            expect(trigger).to_be_enabled(timeout=5_000)
        except AssertionError:
            locked.append(dag_id)
    assert locked == ["ops_drift"]
