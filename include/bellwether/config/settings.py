"""`settings.yaml`: the lake, tasks, rate limits, what gold is computed by, streams, late data, monitoring, logging."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bellwether.config.features import FeatureSettings
from bellwether.config.model import Model

type RestatedDataset = Literal["equities", "options", "indices"]
"""What has minute bars of the vendor's."""

type DividendYield = Literal["trailing"] | Annotated[float, Field(ge=0, le=1)]


class LakeSettings(Model):
    """Where the lake is and how it is written."""

    root: str = ".local/lake"
    compression: Literal["snappy", "zstd"] = "snappy"
    stage_keep_days: int = Field(default=7, ge=1)


class IngestSettings(Model):
    """How a session's work is cut into tasks."""

    batch_tickers: int = Field(default=25, ge=1, le=1000)


class LimitSettings(Model):
    """Where the processes of one machine share the vendor's rate limit."""

    folder: str = ".local/limits"


class ChainSettings(Model):
    """How option prints become volatilities.

    Attributes
    ----------
    conventions
        How time to settlement is counted: see `bellwether.consolidate.greeks.conventions`.
    engine
        `kernel`, or `vollib`, the reference it equals.
    rate
        One interest rate for all, a fraction per year; None for the Treasury curve the session could know.
    dividend_yield, dividend_yields
        Of every underlying, and of single ones instead: a fraction per year, or `trailing` for the cash dividends of
        the year before over the price at the close before.
    print_max_age_min
        How long a contract's last print speaks for it in the aggregates of a minute.
    """

    conventions: Literal["product", "from_bar_start"] = "product"
    engine: Literal["kernel", "vollib"] = "kernel"
    rate: float | None = Field(default=None, ge=-0.5, le=1.0)
    dividend_yield: DividendYield = 0.0
    dividend_yields: dict[str, DividendYield] = Field(default_factory=dict)
    print_max_age_min: int = Field(default=15, ge=0, le=390)

    @property
    def print_max_age(self) -> timedelta:
        """As a duration."""
        return timedelta(minutes=self.print_max_age_min)


class ConsolidationSettings(FeatureSettings):
    """What is computed of a session.

    Attributes
    ----------
    vix
        The index whose value stands beside every minute.
    """

    vix: str = "I:VIX"
    chain: ChainSettings = ChainSettings()


class StreamingSettings(Model):
    """How streams are recorded.

    Attributes
    ----------
    batch_s, batch_rows
        What has come is written after so many seconds of the feed, or as soon as it is so many rows.
    idle_s
        A connection that says nothing for so many seconds of the feed is asked whether it lives.
    news_every_min, news_back_min
        News is asked for so often, each time also that of so many minutes before the newest article known.
    heartbeat_every_min
        A heartbeat is told of, and kept, so often; minutes of the feed, as all here.
    stalled_after_min
        What has not listened, or not written, for so long has stalled: people are told.
    index_values
        Whether every value of an index is heard, too, and folded to a minute where none is broadcast.
    intraday_every_min
        How often, in minutes of the feed, provisional gold is built of the session so far; 0 or None: never.
    """

    batch_s: float = Field(default=5.0, gt=0, le=300)
    batch_rows: int = Field(default=50_000, ge=1, le=1_000_000)
    idle_s: float = Field(default=120.0, ge=10, le=3600)
    news_every_min: float = Field(default=5.0, gt=0, le=120)
    news_back_min: float = Field(default=30.0, ge=0, le=1440)
    heartbeat_every_min: float = Field(default=5.0, gt=0, le=120)
    stalled_after_min: float = Field(default=15.0, gt=0, le=720)
    index_values: bool = False
    intraday_every_min: int | None = Field(default=5, ge=0, le=390)


class LateSettings(Model):
    """Until when what comes may still revise what stands: see docs/late-data.md. None: for ever.

    Attributes
    ----------
    rest_sessions, rest_sessions_of
        Until so many sessions after its own an answer may revise a session, of every dataset and of single ones.
    news_h
        So many hours after its publication a version of an article may come.
    stream_min, stream_min_of
        So many minutes after its end a minute may be broadcast anew, of every dataset and of single ones.
    """

    rest_sessions: int | None = Field(default=3, ge=0)
    rest_sessions_of: dict[str, Annotated[int, Field(ge=0)] | None] = Field(default_factory=dict)
    news_h: float | None = Field(default=24.0, ge=0)
    stream_min: float | None = Field(default=15.0, ge=0)
    stream_min_of: dict[str, Annotated[float, Field(ge=0)] | None] = Field(default_factory=dict)

    def sessions_of(self, dataset: str) -> int | None:
        """Return until how many sessions after its own a session of a dataset may be revised."""
        return self.rest_sessions_of.get(dataset, self.rest_sessions)

    def after_broadcast(self, dataset: str) -> timedelta | None:
        """Return how long after its end a minute of a dataset may be broadcast anew."""
        minutes = self.stream_min_of.get(dataset, self.stream_min)
        return None if minutes is None else timedelta(minutes=minutes)

    def after_article(self) -> timedelta | None:
        """Return how long after its publication a version of an article may come."""
        return None if self.news_h is None else timedelta(hours=self.news_h)


class RestatementTolerance(Model):
    """How far a restated session may be from the one gold was built of without being built again.

    Attributes
    ----------
    bars_share
        Bars that differ, come or go, as a share of those there were.
    move_bp
        The largest move of a price, basis points.
    volume_share
        All differences of volume, as a share of the volume there was.
    """

    bars_share: float = Field(default=0.001, ge=0, le=1)
    move_bp: float = Field(default=1.0, ge=0)
    volume_share: float = Field(default=0.001, ge=0, le=1)


def _tolerances() -> dict[RestatedDataset, RestatementTolerance]:
    return {"equities": RestatementTolerance(), "options": RestatementTolerance(), "indices": RestatementTolerance()}


class RestatementSettings(Model):
    """Which sessions are fetched again when they are over, and what of it is worth building gold anew.

    Attributes
    ----------
    sessions_later
        So many sessions after its own each session is fetched again.
    tolerance
        The datasets that are, and how much each may differ.
    """

    sessions_later: tuple[Annotated[int, Field(ge=1)], ...] = (1, 3)
    tolerance: dict[RestatedDataset, RestatementTolerance] = Field(default_factory=_tolerances)


class PerformanceSettings(Model):
    """From where on the performance of tasks is told of: see docs/monitoring.md. Times are the machine's.

    Attributes
    ----------
    stale_after_min
        Nothing was heard of a task, or it has not got on, for so long.
    overrun_factor, overrun_least_s
        A task took more than so many times the trailing median, and longer than that by more than so many seconds.
    degradation_factor
        The median of the newest sessions is more than so many times that of the oldest ones looked at.
    history_sessions
        How many sessions a median needs.
    burst_errors, burst_min
        So many errors of one cause within so many minutes are a burst; it has ended when none came for as long.
    """

    stale_after_min: float = Field(default=15.0, gt=0, le=1440)
    overrun_factor: float = Field(default=2.0, gt=1, le=100)
    overrun_least_s: float = Field(default=30.0, ge=0, le=86_400)
    degradation_factor: float = Field(default=1.5, gt=1, le=100)
    history_sessions: int = Field(default=5, ge=1, le=1000)
    burst_errors: int = Field(default=10, ge=2, le=500)
    burst_min: float = Field(default=5.0, gt=0, le=1440)

    @property
    def stale_after(self) -> timedelta:
        """As a duration."""
        return timedelta(minutes=self.stale_after_min)

    @property
    def burst(self) -> timedelta:
        """`burst_min` as a duration."""
        return timedelta(minutes=self.burst_min)


class MonitoringSettings(Model):
    """What is watched."""

    performance: PerformanceSettings = PerformanceSettings()


class LoggingSettings(Model):
    """How the command line logs; in Airflow, Airflow's own settings hold."""

    format: Literal["text", "json"] = "text"


class Settings(Model):
    """`settings.yaml`."""

    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    limits: LimitSettings = LimitSettings()
    consolidation: ConsolidationSettings = ConsolidationSettings()
    streaming: StreamingSettings = StreamingSettings()
    late: LateSettings = LateSettings()
    restatement: RestatementSettings = RestatementSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    logging: LoggingSettings = LoggingSettings()

    @model_validator(mode="after")
    def _restated_in_time(self) -> Self:
        for dataset in self.restatement.tolerance:
            most = self.late.sessions_of(dataset)
            if most is not None and max(self.restatement.sessions_later, default=0) > most:
                msg = (
                    f"restatement.sessions_later reaches beyond the {most} sessions within which late.rest_sessions "
                    f"lets {dataset} be revised: what is restated then would only go to quarantine"
                )
                raise ValueError(msg)
        return self
