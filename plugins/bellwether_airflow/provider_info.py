"""What Airflow is told about the connection type `polygon`: its form, and the hook behind it.

Read through the entry point `apache_airflow_provider` by every Airflow process at its start, so this
room imports nothing but the version.
"""

from typing import Any

from bellwether import __version__


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description in the format of Airflow's `provider_info.schema.json`.

    `package-name` must equal the distribution's name, or no Airflow process starts.
    """
    return {
        "package-name": "bellwether",
        "name": "Bellwether",
        "description": "Market data of Polygon.io (now Massive), one trading session at a time.",
        "versions": [__version__],
        "connection-types": [
            {
                "connection-type": "polygon",
                "hook-class-name": "bellwether_airflow.hooks.polygon.PolygonHook",
                "hook-name": "Polygon.io / Massive",
                "ui-field-behaviour": {
                    # The port is shown: without one, Airflow 3.3.2's Test button answers "Bad Request" whatever
                    # the connection (https://github.com/apache/airflow/pull/73298).
                    "hidden-fields": ["login", "schema", "extra"],
                    "relabeling": {"host": "Base URL", "password": "API key"},
                    "placeholders": {"host": "https://api.polygon.io", "port": "443", "password": "your API key"},
                },
                "conn-fields": {
                    "environment": {
                        "label": "Environment",
                        "description": "simulated: the data is invented and never enters a production lake.",
                        "schema": {"type": "string", "enum": ["production", "simulated"], "default": "production"},
                    },
                    "requests_per_minute": {
                        "label": "Requests per minute",
                        "description": "The plan's limit, shared by all tasks: 5 on the free plan. Empty: no limit.",
                        "schema": {"type": ["integer", "null"], "minimum": 1},
                    },
                    "feed": {
                        "label": "Streams",
                        "description": "What the plan includes: streams as it happens, or 15 minutes later.",
                        "schema": {"type": "string", "enum": ["realtime", "delayed"], "default": "realtime"},
                    },
                    "sdk": {
                        "label": "SDK",
                        "description": "Which client library builds the requests.",
                        "schema": {"type": "string", "enum": ["polygon", "massive"], "default": "polygon"},
                    },
                },
            }
        ],
    }
