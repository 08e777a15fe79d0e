"""Configuration: `config/*.yaml` as typed models, with environment overrides; a room per file.

Every key has a default, so an empty folder is a valid configuration. Secrets never stand here: they
are Airflow Connections. Nothing is read at import; callers load inside a task or a command.
"""

from bellwether.config.alerts import SEVERITIES, Alerts, Mute, Severity
from bellwether.config.config import Config
from bellwether.config.contracts import Contract, FieldContract
from bellwether.config.retry_policy import MOST_AIRFLOW_RETRIES, RetryPolicies, RetryRule
from bellwether.config.settings import IngestSettings
from bellwether.config.sinks import SinkSettings

__all__ = [
    "MOST_AIRFLOW_RETRIES",
    "SEVERITIES",
    "Alerts",
    "Config",
    "Contract",
    "FieldContract",
    "IngestSettings",
    "Mute",
    "RetryPolicies",
    "RetryRule",
    "Severity",
    "SinkSettings",
]
