"""What is fetched again in the night of a session, and how its runs are begun once."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bellwether.airflow_api import ApiError, Run
from bellwether.config import Config
from bellwether.errors import ConfigError
from bellwether.lake import Lake
from bellwether.restatement.names import Pull
from bellwether.restatement.pulls import begin, due_pulls, without_paused
from tests.builders import publish_bars

HALF_DAY, AFTER_THE_HOLIDAY = date(2025, 7, 3), date(2025, 7, 7)
PULL = Pull("equities_daily", HALF_DAY, 1, AFTER_THE_HOLIDAY)


class Api:
    """Stands for Airflow's API; `state` is that of the run, where it is begun already."""

    def __init__(self, state: str | None = None, status: int = 409) -> None:
        self.state = state
        self.status = status
        self.told: list[Any] = []

    def trigger(self, *what: Any) -> None:
        self.told.append(what)
        if self.state is not None:
            message = "there is such a run"
            raise ApiError(message, self.status)

    def run(self, dag_id: str, run_id: str) -> Run:
        return Run(dag_id, run_id, "manual", self.state or "", "")

    def clear(self, *what: str) -> None:
        self.told.append(("clear", *what))

    def is_paused(self, dag_id: str) -> bool:
        return dag_id == "options_daily"


def test_the_session_before_and_the_third_before_are_fetched_again_where_they_are_published(tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", simulated=True)
    for session in (date(2025, 7, 1), date(2025, 7, 2), HALF_DAY, AFTER_THE_HOLIDAY):
        publish_bars(lake, ["SPY"], session)
    assert due_pulls(lake, Config.load(tmp_path, {}), AFTER_THE_HOLIDAY) == [
        PULL,
        Pull("equities_daily", date(2025, 7, 1), 3, AFTER_THE_HOLIDAY),
    ]


def test_dags_that_are_paused_are_left_out() -> None:
    api: Any = Api()
    assert without_paused(api, [PULL, Pull("options_daily", HALF_DAY, 1, AFTER_THE_HOLIDAY)]) == [PULL]


@pytest.mark.parametrize(
    ("state", "then"),
    [(None, []), ("running", []), ("success", []), ("failed", [("clear", "equities_daily", PULL.run_id)])],
)
def test_a_run_is_begun_once_and_cleared_where_it_failed(state: str | None, then: list[Any]) -> None:
    api: Any = Api(state)
    begin(api, PULL)
    asked = ("equities_daily", "2025-07-03", {"force": True}, "restate__2025-07-03__t1__2025-07-07")
    assert api.told == [asked, *then]


def test_what_airflow_refuses_otherwise_is_an_error() -> None:
    api: Any = Api("", status=422)
    with pytest.raises(ApiError):
        begin(api, PULL)


def test_sessions_are_not_fetched_again_after_they_may_be_revised(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sessions_later reaches beyond the 2 sessions"):
        Config.load(tmp_path, {"BELLWETHER__LATE__REST_SESSIONS": "2"})
