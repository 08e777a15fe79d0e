"""The nightly verification, run in process: its sample, its dataset, its failure."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bellwether.lake import Lake, paths, read
from tests.dags.support import KEY, SESSION, states

Run = Callable[..., Any]


@pytest.fixture
def captured(lake_root: Path, dag: Any, run_session: Run) -> Lake:
    """Return a lake with one session."""
    assert run_session(dag, KEY).state == "success"
    return Lake.open(lake_root, simulated=True)


def outcomes(lake: Lake, night: date = SESSION) -> list[tuple[str, str]]:
    return [(row["dataset"], row["state"]) for row in read("verification", night, night, root=lake.root).to_pylist()]


def test_a_session_drawn_from_what_is_published_is_proven_and_told(
    captured: Lake, dags: dict[str, Any], run_session: Run
) -> None:
    run = run_session(dags["ops_verify"], KEY)
    assert states(run) == {"choose": "success", "verify[0]": "success", "report": "success"}
    assert outcomes(captured) == [("equities", "equal")]


def test_what_is_not_what_raw_comes_to_fails_the_run_and_names_it(
    captured: Lake, dags: dict[str, Any], run_session: Run
) -> None:
    key = paths.partition("equities", SESSION)
    stored = captured.storage.read(key)
    assert stored is not None
    captured.storage.write(key, stored.content[:-50])
    run = run_session(dags["ops_verify"], "2025-07-02", {"sessions": [KEY]})
    assert run.state == "failed"
    assert states(run) == {"choose": "success", "verify[0]": "success", "report": "failed"}
    assert outcomes(captured, date(2025, 7, 2)) == [("equities", "damaged")]


def test_where_nothing_is_published_there_is_nothing_to_prove(
    lake_root: Path, dags: dict[str, Any], run_session: Run
) -> None:
    run = run_session(dags["ops_verify"], KEY)
    assert (run.state, states(run)["report"]) == ("success", "success")
