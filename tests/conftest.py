"""What holds for every tier: its budget of time, which tests share a process, and that nothing is skipped unseen in CI.

A tier is the folder under `tests/`. Times are wall-clock, collection and fixtures included.
"""

import os
import time
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from tests.windows import NEVER_LATE

BUDGET_S = {"unit": 60, "dags": 120, "integration": 240, "e2e": 480}
# The same tests were seen to take two and a half times as long on one machine of CI as on another, coverage included;
# what takes three times its budget is no slow machine any more.
CI_TOLERANCE = 3

# What takes seconds to make, and who shares it: Great Expectations, compiled kernels, an Airflow, one with a browser.
_SHARED = {
    "kernels": ("unit/consolidate/", "unit/cli/test_excerpt", "unit/verify/test_gold"),
    "suites": (
        "unit/quality/",
        "unit/ingest/test_finish",
        "unit/ingest/test_news",
        "unit/ingest/test_reference",
    ),
    "operated": (
        "e2e/test_doctor",
        "e2e/test_incidents",
        "e2e/test_operator",
        "e2e/test_recover",
        "e2e/test_restate",
        "e2e/test_waits",
    ),
    "browser": ("e2e/test_trigger_dialog", "e2e/test_ui_healing"),
}

# Sessions of tests are long over; who captures one again there means a revision. Tests of late data set their own.
os.environ.update(NEVER_LATE)

_IN_CI = bool(os.environ.get("CI"))
_spent_s: Counter[str] = Counter()
_mark_s = time.monotonic()


@pytest.fixture(scope="session")
def archive() -> Path:
    """Return the folder of real market data that the tests use, `BELLWETHER_ARCHIVE` or `../shared/data`."""
    root = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("BELLWETHER_ARCHIVE", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no archive of real market data at {folder}; BELLWETHER_ARCHIVE names another folder")
    return folder


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Generator[None]:
    """Undo what a command called in a test sets up: its log would go to that test's captured stderr for ever."""
    before = structlog.get_config() if structlog.is_configured() else None
    yield
    if before is None:
        structlog.reset_defaults()
    else:
        structlog.configure(**before)


def skip_is_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that says which test did not run and why (expected failures stay what they are)."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped in CI, where every test must run: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Refuse skips in CI."""
    report = yield
    if _IN_CI:
        skip_is_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse skips of whole modules in CI."""
    report = yield
    if _IN_CI:
        skip_is_failure(report)
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Charge the time since the last report to the tier of this one."""
    global _mark_s  # noqa: PLW0603 - pytest offers hooks, not an object to hold this
    now_s = time.monotonic()
    _spent_s[tier_of(report.nodeid)] += now_s - _mark_s
    _mark_s = now_s


def share_of(nodeid: str) -> str:
    """Return what runs in one process with a test: itself, its file where files start processes, or more."""
    place = nodeid.removeprefix("tests/")
    named = next((name for name, places in _SHARED.items() if place.startswith(places)), None)
    alone = place.partition("::")[0] if place.startswith(("integration/", "e2e/")) else place
    return named or alone


class SharingScheduling(LoadScopeScheduling):
    """Hands to the workers of pytest-xdist what `share_of` keeps together.

    Its own `loadgroup` keeps nothing together with this pytest: it marks tests by an attribute that is gone.
    """

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharingScheduling:
    """Have every tier scheduled so."""
    return SharingScheduling(config, log)


def tier_of(nodeid: str) -> str:
    """Return the tier of a test: the folder under `tests/`."""
    return nodeid.split("/")[1] if nodeid.startswith("tests/") else ""


def over_budget(spent_s: dict[str, float]) -> list[str]:
    """Return the tiers that took more than CI tolerates."""
    return [tier for tier, seconds in spent_s.items() if seconds > CI_TOLERANCE * BUDGET_S.get(tier, float("inf"))]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which a tier took far more than its budget."""
    if _IN_CI and over_budget(_spent_s) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what each tier took of its budget."""
    for tier, seconds in _spent_s.items():
        if tier in BUDGET_S:
            verdict = " - far over" if tier in over_budget(_spent_s) else ""
            terminalreporter.write_line(f"tier {tier}: {seconds:.0f} s of its budget of {BUDGET_S[tier]} s{verdict}")
