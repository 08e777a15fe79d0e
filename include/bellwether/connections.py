"""Airflow Connections as plain fields, and those that stand in the environment as `AIRFLOW_CONN_*` JSON.

The command line and notebooks read there what Airflow reads; this room knows no particular Connection.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bellwether.errors import ConfigError


@dataclass(frozen=True)
class ConnectionFields:
    """The fields of a Connection; empty where they are not given."""

    host: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def from_environment(name: str, env: Mapping[str, str]) -> ConnectionFields | None:
    """Return the Connection of an `AIRFLOW_CONN_*` variable; None where it is not set.

    Parameters
    ----------
    name
        The Connection's id, e.g. `lake_default`.
    env
        The environment.

    Raises
    ------
    ConfigError
        The variable is not a JSON object.
    """
    variable = f"AIRFLOW_CONN_{name.upper()}"
    content = env.get(variable)
    if not content:
        return None
    fields = _object(content)
    extra = fields.get("extra") if fields is not None else None
    extra = _object(extra) if isinstance(extra, str) and extra else extra or {}
    if fields is None or not isinstance(extra, dict):
        msg = f'{variable} is not a JSON object like {{"conn_type": "...", "host": "...", "extra": {{}}}}'
        raise ConfigError(msg)
    host, login, password = (str(fields.get(key) or "") for key in ("host", "login", "password"))
    return ConnectionFields(host, login, password, extra)


def _object(content: str) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
