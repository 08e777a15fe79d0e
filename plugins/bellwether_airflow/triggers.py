"""What deferred tasks wait for in the triggerer, where nothing may hold up the event loop."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from bellwether.logging import get_logger
from bellwether_airflow import connections

if TYPE_CHECKING:
    from bellwether.recovery.work import Wait

# No sooner: see `bellwether_airflow.waiting` on tasks that linger when they defer.
_FIRST_LOOK_S = 10.0
_LOOK_AGAIN_S = 5.0

log = get_logger(__name__)


class RunsOver(BaseTrigger):
    """Fires when runs of another DAG are over.

    When a user ends or clears the task that waits, the backfill that made the runs is cancelled.

    Parameters
    ----------
    wait
        A `bellwether.recovery.work.Wait` as a dictionary.
    """

    def __init__(self, wait: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wait = wait

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        return ("bellwether_airflow.triggers.RunsOver", {"wait": self.wait})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until they are over."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415 - Airflow's way to call its API from a trigger

        pause_s = _FIRST_LOOK_S
        while True:
            await asyncio.sleep(pause_s)
            if await sync_to_async(self._is_over)():
                break
            pause_s = _LOOK_AGAIN_S
        yield TriggerEvent(None)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Cancel the backfill."""
        from asgiref.sync import sync_to_async  # noqa: PLC0415

        await sync_to_async(cancel)(self.wait["backfill_id"])

    def _is_over(self) -> bool:
        from bellwether.airflow_api import ApiError
        from bellwether.recovery.work import is_over

        try:
            return is_over(connections.airflow(), self._wait())
        except ApiError as error:
            # It may be restarting, and what is waited for goes on meanwhile.
            log.warning("Airflow did not answer", error=str(error))
            return False

    def _wait(self) -> "Wait":
        import msgspec

        from bellwether.recovery.work import Wait

        return msgspec.convert(self.wait, Wait)


def cancel(backfill_id: int | None) -> None:
    """End a backfill that is open: its runs under way go on, those that wait are failed."""
    from bellwether.airflow_api import ApiError

    if backfill_id is None:
        return
    try:
        connections.airflow().cancel_backfill(backfill_id)
    except ApiError as error:
        # Completed already.
        log.warning("the backfill was not cancelled", backfill_id=backfill_id, error=str(error))
    else:
        log.info("backfill cancelled", backfill_id=backfill_id)
