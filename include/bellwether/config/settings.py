"""`settings.yaml`: the lake, the cut of tasks, the place of rate limits, logging."""

from typing import Literal

from pydantic import Field

from bellwether.config.model import Model


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


class LoggingSettings(Model):
    """How the command line logs; in Airflow, Airflow's own settings hold."""

    format: Literal["text", "json"] = "text"


class Settings(Model):
    """`settings.yaml`."""

    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    limits: LimitSettings = LimitSettings()
    logging: LoggingSettings = LoggingSettings()
