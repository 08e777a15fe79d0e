"""From Airflow Connections to the plain values the library takes; called inside tasks only.

`polygon_default` says where the vendor (or the simulator) is, `lake_default` where the lake is, `airflow_api` where
Airflow itself is. Nothing else but the hook reads Connections.
"""

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException

from bellwether.config import Config
from bellwether.connections import ConnectionFields
from bellwether_airflow.measuring import hear_of

if TYPE_CHECKING:
    from bellwether.airflow_api import AirflowApi
    from bellwether.lake import Lake
    from bellwether.lake.location import Location
    from bellwether.sources.rest import PolygonRest
    from bellwether.streaming.client import Endpoint
    from bellwether.streaming.feedtime import FeedTime

LAKE_CONN_ID = "lake_default"
AIRFLOW_CONN_ID = "airflow_api"


def vendor() -> "PolygonRest":
    """Return the transport of `polygon_default`, with the retries of `retry_policy.yaml`.

    Under a rate limit, the running DAG shares the key evenly with others, and the running task keeps its place in
    the line when it is deferred or tried again.

    Raises
    ------
    ConfigError
        The connection lacks its API key, or it or the configuration holds a value that is not allowed.
    AirflowNotFoundException
        There is no such connection.
    """
    from bellwether_airflow.hooks.polygon import PolygonHook  # noqa: PLC0415 - loads the vendor's client

    task = get_current_context()["ti"]
    caller = f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index}"
    retries = Config.load().retry_policy
    return PolygonHook().get_rest(retries, lane=task.dag_id, caller=caller, patience_s=retries.patience_s)


def stream(dataset: str) -> "Endpoint":
    """Return where `polygon_default` streams a dataset from, and with which key."""
    from bellwether_airflow.hooks.polygon import PolygonHook  # noqa: PLC0415 - loads the vendor's client

    return PolygonHook().get_stream(dataset)


def feed_time(dataset: str | None = None) -> "FeedTime":
    """Return the time of the streams of `polygon_default`, or of one dataset: this machine's, or a simulator's.

    Raises
    ------
    StreamError
        The simulator does not answer.
    """
    from bellwether_airflow.hooks.polygon import PolygonHook  # noqa: PLC0415 - loads the vendor's client

    return PolygonHook().get_feed_time(dataset)


def lake() -> "Lake":
    """Return the lake, opened for the kind of data `polygon_default` brings.

    It is where the connection `lake_default` says (`bellwether.lake.location.location_of`), or without that
    connection at `lake.root` of `settings.yaml`.

    Raises
    ------
    ConfigError
        `lake_default` names no place, or has an extra that would be ignored.
    LakeError
        The lake there holds the other kind of data: simulated and production data never mix.
    """
    from bellwether.lake import Lake
    from bellwether_airflow.hooks.polygon import PolygonHook  # noqa: PLC0415 - loads the vendor's client

    where = _lake_location()
    found = Lake.open(where.root, options=where.options, simulated=PolygonHook().environment == "simulated")
    hear_of(found)
    return found


def requests_per_minute() -> int | None:
    """Return the rate limit of `polygon_default`, None where it has none."""
    from bellwether_airflow.hooks.polygon import PolygonHook  # noqa: PLC0415 - loads the vendor's client

    return PolygonHook().requests_per_minute


def airflow() -> "AirflowApi":
    """Return a client of this Airflow's REST API, logged in as the user of the connection `airflow_api`.

    Raises
    ------
    AirflowNotFoundException
        There is no such connection.
    """
    from bellwether.airflow_api import AirflowApi

    found = BaseHook.get_connection(AIRFLOW_CONN_ID)
    host = found.host or "localhost"
    url = host if "://" in host else f"{found.schema or 'http'}://{host}"
    return AirflowApi(f"{url}:{found.port}" if found.port else url, found.login or "", found.password or "")


def _lake_location() -> "Location":
    from bellwether.lake.location import Location, location_of

    try:
        connection = BaseHook.get_connection(LAKE_CONN_ID)
    except AirflowNotFoundException:
        return Location(Config.load().settings.lake.root)
    return location_of(
        ConnectionFields(
            connection.host or "", connection.login or "", connection.password or "", connection.extra_dejson
        )
    )
