"""What the modules on runs in process share: one session, its universe, and what a run left behind."""

from datetime import date
from typing import Any

SESSION = date(2025, 7, 1)
KEY = SESSION.isoformat()
UNIVERSE = ["AAPL", "MSFT", "QQQ", "SPY"]


def states(run: Any) -> dict[str, str]:
    """Return the state of every task of a run; mapped ones as `ingest[0]`."""
    return {
        ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): str(ti.state)
        for ti in run.get_task_instances()
    }


def events() -> list[tuple[str, str | None]]:
    """Return asset and partition key of every event, in order."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.execute(
            select(AssetModel.name, AssetEvent.partition_key)
            .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            .order_by(AssetEvent.id)
        )
        return [tuple(row) for row in found]
