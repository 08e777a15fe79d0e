"""What waits for a market to open, without a slot."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.clock import SystemClock
from bellwether.config import Config
from bellwether.errors import NotBroadcast
from bellwether_airflow import connections
from bellwether_airflow.runs import session_of
from bellwether_airflow.waiting import SHORTEST_DEFERRAL

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import Context

_clock = SystemClock()


class MarketOpenSensor(BaseSensorOperator):
    """Succeeds when the stream of a dataset may begin in the run's session, by the clock of whoever broadcasts it.

    Until then it is deferred. It fails when the session is over and nothing was recorded of it; where the dataset is
    not required, it is skipped instead.

    Parameters
    ----------
    dataset
        What is to be streamed.
    """

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's interface
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: "Context") -> None:
        """Wait for the session to begin, and then for what is to be streamed to be known."""
        self._look(context, has_waited=False)

    def resume(self, context: "Context", event: "datetime") -> None:
        """Go on after a wait."""
        self.log.info("Going on; it is %s.", event)
        # What was waited for is there, unless the feed's clock stands until somebody listens.
        self._look(context, has_waited=True)

    def _look(self, context: "Context", *, has_waited: bool) -> None:
        from bellwether.streaming.waits import wait_of

        config, feed = Config.load(), connections.feed_time(self.dataset)
        try:
            wait = wait_of(connections.lake(), config, self.dataset, session_of(context["dag_run"]), feed)
        except NotBroadcast as error:
            if config.source(self.dataset).required:
                raise
            raise AirflowSkipException(str(error)) from error
        if wait is None:
            return
        real = timedelta(seconds=feed.real_s(wait.length.total_seconds()))
        if wait.is_early and (has_waited or real < SHORTEST_DEFERRAL):
            return
        until = _clock.now() + max(real, SHORTEST_DEFERRAL)
        self.log.info("%s; waiting without a slot until %s UTC.", wait.why, until.strftime("%Y-%m-%d %H:%M:%S"))
        self.defer(trigger=DateTimeTrigger(moment=until), method_name="resume")
