"""Which sessions are fetched again in the night of one, and the runs that do it, through Airflow's API."""

from collections.abc import Sequence
from datetime import date

from bellwether.airflow_api import AirflowApi, ApiError
from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.lake import Lake
from bellwether.producers import DAG_OF, DATASETS_OF
from bellwether.restatement.names import Pull

_CONFLICT = 409


def due_pulls(lake: Lake, config: Config, session: date) -> list[Pull]:
    """Return what is to be fetched again in the night of a session: of the sessions before, what is published."""
    calendar = get_calendar()
    before = calendar.sessions(calendar.first, session)
    return [
        Pull(DAG_OF[dataset], before[-1 - later], later, session)
        for later in config.settings.restatement.sessions_later
        if later < len(before)
        for dataset in config.settings.restatement.tolerance
        if lake.manifest(dataset, before[-1 - later]) is not None
    ]


def without_paused(api: AirflowApi, pulls: Sequence[Pull]) -> list[Pull]:
    """Return those of DAGs that are not paused: a run of another would wait until somebody unpauses it."""
    paused = {dag_id for dag_id in {pull.dag_id for pull in pulls} if api.is_paused(dag_id)}
    return [pull for pull in pulls if pull.dag_id not in paused]


def begin(api: AirflowApi, pull: Pull) -> None:
    """Begin the run that fetches a session again; if it was begun before and failed, clear what failed of it.

    Raises
    ------
    ApiError
        Airflow refused.
    """
    try:
        api.trigger(pull.dag_id, str(pull.session), {"force": True}, pull.run_id)
    except ApiError as error:
        if error.status != _CONFLICT:
            raise
        if api.run(pull.dag_id, pull.run_id).state == "failed":
            api.clear(pull.dag_id, pull.run_id)


def dataset_of(pull: Pull) -> str:
    """Return the dataset that a pull fetches again."""
    [dataset] = DATASETS_OF[pull.dag_id]
    return dataset
