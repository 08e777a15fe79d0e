"""Airflow's REST API, as far as running and watching sessions needs it.

Every answer is decoded into a type; a refusal is an `ApiError` with Airflow's own words. One command-line call
of Airflow costs seconds, one request milliseconds. Which Airflow it is, and what its DAGs do, is no business of this
room.
"""

from bellwether.airflow_api.client import AirflowApi
from bellwether.airflow_api.records import Backfill, Dag, DagSchedule, Run, TaskInstance
from bellwether.airflow_api.transport import ApiError

__all__ = ["AirflowApi", "ApiError", "Backfill", "Dag", "DagSchedule", "Run", "TaskInstance"]
