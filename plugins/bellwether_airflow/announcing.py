"""The task that tells consolidation of sessions: the one place from which `session_ready` is emitted."""

from airflow.sdk import get_current_context, task

from bellwether_airflow.assets import SESSION_READY


@task(outlets=[SESSION_READY])
def announce(sessions: list[str]) -> None:
    """Tell consolidation of which sessions the inputs stand."""
    # Keys that are named take the place of the run's own.
    get_current_context()["outlet_events"][SESSION_READY].add_partitions(sessions)
