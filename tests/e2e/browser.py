"""Airflow's pages in a real browser, addressed by what people see: roles, labels and texts.

This room knows where Airflow's UI puts things and nothing of sessions, tickers or the lake.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from playwright.sync_api import Locator, Page, expect, sync_playwright

from bellwether.localstack import StackState

_PATIENCE_MS = 30_000
_RUN_PATIENCE_MS = 120_000
# No sandbox for root, and nothing that would reach out by itself.
_CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Without a graphics card what spins, pulses or slides is drawn by the processor that the stack needs.
_STILL = """
document.addEventListener("DOMContentLoaded", () => {
    const style = document.createElement("style");
    style.textContent = "*, *::before, *::after { animation: none !important; transition: none !important; }";
    document.head.append(style);
});
"""


@dataclass(frozen=True)
class AirflowUi:
    """One browser window, logged in.

    Attributes
    ----------
    page
        The window.
    url
        Base URL of the UI.
    """

    page: Page
    url: str

    def open_trigger_dialog(self, dag_id: str) -> Locator:
        """Open the dialog behind the button Trigger, anew, and return it."""
        self.page.goto(f"{self.url}/dags/{dag_id}")
        self.page.get_by_role("button", name="Trigger Dag").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name=f"Trigger Dag - {dag_id}")).to_be_visible()
        return dialog

    def open_backfill_form(self, dag_id: str, first: date, last: date) -> Locator:
        """Open the trigger dialog, turn to Backfill, enter a range and return the dialog."""
        dialog = self.open_trigger_dialog(dag_id)
        dialog.get_by_text("Backfill", exact=True).click()
        for label, day in (("From", first), ("To", last)):
            dialog.get_by_role("group").filter(has_text=label).click()
            self.page.get_by_role("textbox", name=label).fill(f"{day:%Y/%m/%d}")
            self.page.get_by_role("textbox", name="HH:mm").fill("00:00")
            self.page.keyboard.press("Escape")
        return dialog

    def open_failed_run(self, dag_id: str, run_id: str) -> None:
        """Open a run from the list of failed ones."""
        self.page.goto(f"{self.url}/dags/{dag_id}/runs?state=failed")
        self.page.get_by_role("link", name=run_id, exact=True).click()
        expect(self.page.get_by_role("heading", name=run_id)).to_be_visible()

    def photograph(self, path: Path) -> None:
        """Keep what is to be seen, with every movement at its end."""
        self.page.screenshot(path=path, animations="disabled")

    def task_rows(self, state: str) -> Locator:
        """Return the rows of the open run's tasks that show a state, e.g. `Failed`."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=state, exact=True))

    def open_clear_dialog(self) -> Locator:
        """Ask to clear the run or task that is open, and return the dialog that wants it confirmed."""
        self.page.get_by_role("button", name="Press shift+c to clear").click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog.get_by_role("heading", name="Clear")).to_be_visible()
        return dialog

    def confirm(self, dialog: Locator) -> None:
        """Confirm a dialog and see it go."""
        dialog.get_by_role("button", name="Confirm").click()
        expect(dialog).to_be_hidden()

    def see_run_succeed(self, run_id: str, tasks: int) -> None:
        """Return to the page of a task's run and watch until every task shows success."""
        link = self.page.get_by_role("navigation", name="breadcrumb").get_by_role("link", name=run_id)
        link.click()
        expect(self.task_rows("Success")).to_have_count(tasks, timeout=_RUN_PATIENCE_MS)
        expect(self.page.get_by_text("Failed", exact=True)).to_have_count(0)

    def open_connections(self) -> None:
        """Open the list of Connections."""
        self.page.goto(f"{self.url}/connections")

    def connection(self, connection_id: str) -> Locator:
        """Return the row of a Connection in their list."""
        return self.page.get_by_role("row").filter(has_text=connection_id)

    def test_connection(self, connection_id: str) -> Locator:
        """Press the Test button of a Connection and return the message that pops up."""
        self.connection(connection_id).get_by_role("button", name="Test Connection").click()
        return self.page.get_by_role("status").filter(has_text="Test Connection")


@contextmanager
def logged_in(chromium: str, state: StackState) -> Iterator[AirflowUi]:
    """Open a browser window on a stack's UI, and log in as a user does."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_CHROMIUM)
        page = browser.new_page(viewport={"width": 1400, "height": 1100}, reduced_motion="reduce")
        page.add_init_script(_STILL)
        page.set_default_timeout(_PATIENCE_MS)
        expect.set_options(timeout=_PATIENCE_MS)
        page.goto(state.url)
        page.get_by_label("Username").fill(state.username)
        page.get_by_label("Password").fill(state.password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Dags", exact=True)).to_be_visible()
        yield AirflowUi(page, state.url)
        browser.close()
