"""Bellwether's library: everything the DAGs and the command line do, without Airflow.

It takes plain values (a lake URL, a base URL with a key) and imports no airflow anywhere; the
plugins resolve Airflow Connections into those values.
"""

__version__ = "0.1.0"
