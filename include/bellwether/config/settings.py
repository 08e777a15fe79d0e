"""`settings.yaml`: the lake, the cut of tasks, rate limits, what gold is computed by, streams, monitoring, logging."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from bellwether.config.model import Model
from bellwether.consolidate.feature_settings import FeatureSettings

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
    monitoring: MonitoringSettings = MonitoringSettings()
    logging: LoggingSettings = LoggingSettings()
