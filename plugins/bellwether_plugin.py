"""The one file Airflow scans for plugins: it registers what DAGs are serialized with.

Everything lives in the package beside it, which `.airflowignore` keeps out of the scan: Airflow
imports each scanned file under its bare file name, and two files of one name replace each other.
"""

from airflow.plugins_manager import AirflowPlugin

from bellwether_airflow import measuring, preload
from bellwether_airflow.timetables import SessionMapper, SessionTimetable


class BellwetherPlugin(AirflowPlugin):
    """Timetables and partition mappers, looked up by import path when DAGs are (de)serialized; and the listeners."""

    name = "bellwether"
    timetables = [SessionTimetable]  # noqa: RUF012 - Airflow's interface
    partition_mappers = [SessionMapper]  # noqa: RUF012 - Airflow's interface
    listeners = [preload, measuring]  # noqa: RUF012 - Airflow's interface
