"""The dialog in which people trigger a run, in a real browser: its form, a refusal, a run of one ticker."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from tests.e2e.support import PRODUCER, UNIVERSE, Producers, wait_until

SESSION, ANOTHER = date(2025, 7, 8), date(2025, 7, 9)
HOLIDAY = date(2025, 11, 27)
# No sandbox for root, and nothing that would reach out by itself.
CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def page(chromium: str, operated: Producers) -> Iterator[Page]:
    """Log in as a user does and open the DAG's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1400, "height": 1100})
        page.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        page.goto(f"{operated.stack.state.url}/dags/{PRODUCER}")
        page.get_by_label("Username").fill(operated.stack.state.username)
        page.get_by_label("Password").fill(operated.stack.state.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**/dags/{PRODUCER}")
        yield page
        browser.close()


@pytest.fixture
def dialog(page: Page, operated: Producers) -> Locator:
    """Open the trigger dialog anew."""
    page.goto(f"{operated.stack.state.url}/dags/{PRODUCER}")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"Trigger Dag - {PRODUCER}")).to_be_visible()
    return dialog


def fill(dialog: Locator, key: date, tickers: str = "") -> None:
    dialog.locator("textarea[name=element_tickers]").fill(tickers)
    dialog.get_by_text("Advanced Options").click()
    expect(dialog.locator("textarea[name=element_tickers]")).to_be_hidden()
    dialog.locator("input[name=partitionKey]").fill(str(key))


def test_the_form_explains_tickers_and_fetching_again(dialog: Locator, tmp_path: Path) -> None:
    expect(dialog.get_by_text("Fetch only these, one per line")).to_be_visible()
    expect(dialog.get_by_text("Fetch tickers again that are complete")).to_be_visible()
    expect(dialog.locator("input[name=element_force]")).not_to_be_checked()
    dialog.page.screenshot(path=tmp_path / "form.png")


def test_a_holiday_is_refused_in_the_dialog_with_the_nearest_sessions(
    dialog: Locator, operated: Producers, tmp_path: Path
) -> None:
    fill(dialog, HOLIDAY, "SPY")
    dialog.get_by_test_id("trigger-dag-submit").click()
    expect(dialog.page.get_by_text("nearest: 2025-11-26, 2025-11-28")).to_be_visible()
    dialog.page.screenshot(path=tmp_path / "refused.png")
    assert operated.api.runs(PRODUCER, str(HOLIDAY)) == []


def test_key_and_one_ticker_make_a_run_of_that_session_which_fetches_that_ticker_alone(
    dialog: Locator, operated: Producers, tmp_path: Path
) -> None:
    fill(dialog, SESSION, "SPY")
    dialog.page.screenshot(path=tmp_path / "filled.png")
    dialog.get_by_test_id("trigger-dag-submit").click()
    expect(dialog).to_be_hidden()
    wait_until(lambda: len(operated.api.runs(PRODUCER, str(SESSION))) == 1, "the dialog made no run")
    [made] = operated.api.runs(PRODUCER, str(SESSION))
    run = operated.api.wait_for_run(PRODUCER, made.dag_run_id)
    assert (run.run_type, run.partition_key, run.state) == ("manual", str(SESSION), "success")
    assert operated.asked(SESSION) == ["SPY"]
    manifest = operated.lake.manifest("equities", SESSION)
    assert manifest is not None
    assert set(manifest.coverage) == {"SPY"}
    page = dialog.page
    page.goto(f"{operated.stack.state.url}/dags/{PRODUCER}/runs/{run.dag_run_id}")
    expect(page.get_by_text(str(SESSION)).first).to_be_visible()
    expect(page.get_by_text("Success").first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png")


def test_without_tickers_the_form_takes_the_whole_universe(dialog: Locator, operated: Producers) -> None:
    fill(dialog, ANOTHER)
    dialog.get_by_test_id("trigger-dag-submit").click()
    expect(dialog).to_be_hidden()
    wait_until(lambda: sorted(map(str, operated.asked(ANOTHER))) == list(UNIVERSE), "not all tickers were fetched")
