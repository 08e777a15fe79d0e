"""Configuration: `config/*.yaml` as typed models, with environment overrides.

Every key has a default, so an empty folder is a valid configuration. Secrets never stand here: they
are Airflow Connections. Nothing is read at import; callers load inside a task or a command.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from bellwether import errors
from bellwether.errors import ConfigError
from bellwether.options.rules import ContractSelection
from bellwether.universe.spec import DEFAULT_TICKERS, KINDS, IndexList, TickerList, UniverseSpec, WholeFeed

_ENV_PREFIX = "BELLWETHER__"
_PROJECT = Path(__file__).parents[2]
_LONGEST_VALUE = 200

MOST_AIRFLOW_RETRIES = 5
"""The `retries` every Airflow task is given: its upper bound, also for kills, about which it asks no policy."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LakeSettings(_Model):
    """Where the lake is and how it is written."""

    root: str = ".local/lake"
    compression: Literal["snappy", "zstd"] = "snappy"
    stage_keep_days: int = Field(default=7, ge=1)


class IngestSettings(_Model):
    """How a session's work is cut into tasks."""

    batch_tickers: int = Field(default=25, ge=1, le=1000)


class LimitSettings(_Model):
    """Where the processes of one machine share the vendor's rate limit."""

    folder: str = ".local/limits"


class LoggingSettings(_Model):
    """How the command line logs; in Airflow, Airflow's own settings hold."""

    format: Literal["text", "json"] = "text"


class Settings(_Model):
    """`settings.yaml`."""

    lake: LakeSettings = LakeSettings()
    ingest: IngestSettings = IngestSettings()
    limits: LimitSettings = LimitSettings()
    logging: LoggingSettings = LoggingSettings()


class SourceSettings(_Model):
    """One entry of `sources.yaml`: what one source captures."""

    required: bool = True
    universe: UniverseSpec = TickerList(required=DEFAULT_TICKERS)


class OptionSettings(_Model):
    """What is captured of options.

    Attributes
    ----------
    required
        Whether a session is ready only when its contracts and their bars stand.
    universe
        The underlyings, as the vendor lists their contracts: `SPX`, not `I:SPX`.
    contracts
        Which of their contracts.
    """

    required: bool = False
    universe: TickerList = TickerList(required=("AAPL", "SPY"))
    contracts: ContractSelection = ContractSelection()


class SnapshotSettings(_Model):
    """Of which underlyings the option chain is captured before each close.

    Attributes
    ----------
    required
        Whether a session is ready only when they stand; otherwise a plan without snapshots is no failure.
    universe
        Underlyings.
    """

    required: bool = False
    universe: TickerList = TickerList(required=("AAPL", "SPY"))


class IndexSettings(_Model):
    """What is captured of indices.

    Attributes
    ----------
    required
        Whether a session is ready only when they stand; otherwise a plan without them is no failure.
    """

    required: bool = False
    universe: IndexList = IndexList(required=("I:VIX",))


class ReferenceSettings(_Model):
    """What is captured of the equities' tickers beside their bars.

    Attributes
    ----------
    required
        Whether a session is ready only when they stand; otherwise a plan without them is no failure.
    """

    required: bool = False


class FeedSettings(_Model):
    """What is captured of a dataset whose rows are asked for all at once.

    Attributes
    ----------
    required
        Whether a session is ready only when they stand; otherwise a plan without them is no failure.
    """

    required: bool = False

    @property
    def universe(self) -> WholeFeed:
        """All of it."""
        return WholeFeed()


type AnySource = SourceSettings | OptionSettings | SnapshotSettings | IndexSettings | ReferenceSettings | FeedSettings

# Of datasets that share the entry of another.
_ENTRIES: Mapping[str, str] = {"contracts": "options"}


class Sources(_Model):
    """`sources.yaml`."""

    equities: SourceSettings = SourceSettings()
    options: OptionSettings = OptionSettings()
    options_snapshot: SnapshotSettings = SnapshotSettings()
    indices: IndexSettings = IndexSettings()
    news: FeedSettings = FeedSettings()
    splits: ReferenceSettings = ReferenceSettings()
    dividends: ReferenceSettings = ReferenceSettings()
    rates: FeedSettings = FeedSettings()
    tickers: ReferenceSettings = ReferenceSettings()


_PRICED = ("ticker", "ts", "open", "high", "low", "close")
_LISTED = ("underlying", "right", "exercise_style", "expiration", "strike", "opening_price_source", "chosen_by")
_CHAIN = ("underlying", "ts", "right", "exercise_style", "expiration", "strike", "multiplier", "underlying_price")


# An article has a row for each ticker, so its own texts repeat too.
_REPEATED_IN_NEWS = (
    *("article_id", "ticker", "published_utc", "first_seen_utc", "version", "title", "description", "author"),
    *("publisher", "article_url", "keywords", "language", "sentiment", "sentiment_label", "sentiment_source"),
)


class SinkSettings(_Model):
    """One entry of `sinks.yaml`: the Parquet layout of one dataset."""

    row_group_rows: int = Field(default=131_072, ge=100_000)
    dictionary_columns: tuple[str, ...] = (*_PRICED, "volume", "vwap", "transactions")


class Sinks(_Model):
    """`sinks.yaml`."""

    equities: SinkSettings = SinkSettings()
    contracts: SinkSettings = SinkSettings(dictionary_columns=_LISTED)
    options: SinkSettings = SinkSettings()
    options_snapshot: SinkSettings = SinkSettings(dictionary_columns=_CHAIN)
    indices: SinkSettings = SinkSettings(dictionary_columns=(*_PRICED, "is_stale"))
    news: SinkSettings = SinkSettings(dictionary_columns=_REPEATED_IN_NEWS)
    splits: SinkSettings = SinkSettings(dictionary_columns=("ticker", "execution_date", "split_from", "split_to"))
    dividends: SinkSettings = SinkSettings(
        dictionary_columns=("ticker", "cash_amount", "currency", "frequency", "dividend_type")
    )
    rates: SinkSettings = SinkSettings(dictionary_columns=("date", "tenor_months", "rate"))
    tickers: SinkSettings = SinkSettings(
        dictionary_columns=("listing_id", "type", "market", "primary_exchange", "currency", "active", "delisted_utc")
    )


class RetryRule(_Model):
    """How one class of error is tried again; seconds, waits with full jitter."""

    attempts: int = Field(default=5, ge=1)
    base_s: float = Field(default=1.0, ge=0)
    cap_s: float = Field(default=120.0, ge=0)
    airflow_retries: int = Field(default=2, ge=0, le=MOST_AIRFLOW_RETRIES)


_NEVER = {"attempts": 1, "airflow_retries": 0}
_FATAL = ("ConfigError", "NotASession", "NothingProven", "QualityError", "SnapshotMissed")  # someone must act first
_REFUSED = ("BadRequest", "Unauthorized", "NotEntitled", "NotFound")


class RetryPolicies(_Model):
    """`retry_policy.yaml`: a rule per error class of `bellwether.errors`; `default` fills what a rule leaves out.

    Attributes
    ----------
    patience_s
        The longest wait, in seconds, that a running task sits out; a longer one frees its slot.
    longest_wait_s
        Seconds one task may wait in all, without a slot, before it fails.
    """

    patience_s: float = Field(default=60.0, ge=0)
    longest_wait_s: float = Field(default=86_400.0, ge=0)
    default: RetryRule = RetryRule()
    errors: dict[str, RetryRule] = Field(
        default_factory=lambda: {
            **{name: RetryRule(**_NEVER) for name in (*_FATAL, *_REFUSED)},
            "BadResponse": RetryRule(attempts=3),
            "NotPublishedYet": RetryRule(attempts=1, base_s=3600.0),
            "RateLimited": RetryRule(attempts=3, base_s=60.0),
        }
    )

    @field_validator("errors")
    @classmethod
    def _known(cls, rules: dict[str, RetryRule]) -> dict[str, RetryRule]:
        if unknown := sorted(name for name in rules if not isinstance(getattr(errors, name, None), type)):
            msg = f"no such error: {', '.join(unknown)}; the classes are those of bellwether.errors"
            raise ValueError(msg)
        return rules

    @model_validator(mode="before")
    @classmethod
    def _inherit_default(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML file holds
        if isinstance(data, Mapping) and isinstance(data.get("errors"), Mapping):
            base = data.get("default") or {}
            data = {**data, "errors": {name: {**base, **(rule or {})} for name, rule in data["errors"].items()}}
        return data

    def rule_for(self, error: BaseException) -> RetryRule:
        """Return the rule of the nearest class in the error's ancestry, or the default."""
        for cls in type(error).__mro__:
            if cls.__name__ in self.errors:
                return self.errors[cls.__name__]
        return self.default


class Mute(_Model):
    """A waiver: alerts of one DAG that go to its log alone until a date.

    Attributes
    ----------
    dag_id
        Whose alerts.
    cause
        Only those with no other cause than this class of error; None means all.
    reason
        Why nobody need be told.
    until
        The last day, UTC, on which the waiver holds.
    """

    dag_id: str
    cause: str | None = None
    reason: str = Field(min_length=1)
    until: date


class Alerts(_Model):
    """`alerts.yaml`: which alerts leave the log. Where they go is the Connection `alerts`: addresses hold secrets."""

    minimum_severity: Literal["warning", "error"] = "warning"
    mute: tuple[Mute, ...] = ()

    def expired(self, today: date) -> list[Mute]:
        """Return the waivers that no longer hold: each is to be ended or given a new date, and a reason."""
        return [mute for mute in self.mute if mute.until < today]


class Config(_Model):
    """The whole configuration."""

    settings: Settings = Settings()
    sources: Sources = Sources()
    sinks: Sinks = Sinks()
    retry_policy: RetryPolicies = RetryPolicies()
    alerts: Alerts = Alerts()

    def source(self, dataset: str) -> AnySource:
        """Return what is captured of one dataset."""
        return cast("AnySource", getattr(self.sources, _ENTRIES.get(dataset, dataset)))

    def universe(self, dataset: str) -> UniverseSpec | WholeFeed:
        """Return of whom a dataset is captured: reference data of the equities' tickers."""
        source = self.source(dataset)
        return self.sources.equities.universe if isinstance(source, ReferenceSettings) else source.universe

    @property
    def hash(self) -> str:
        """SHA-256 of all that shapes data, to tell under which configuration a partition was made."""
        shaping = self.model_dump(
            mode="json",
            exclude={"settings": {"lake": {"root"}, "limits": True, "logging": True}, "alerts": True},
        )
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    @classmethod
    def load(cls, folder: Path | None = None, env: Mapping[str, str] = os.environ) -> Self:
        """Read the configuration.

        Parameters
        ----------
        folder
            Folder of the YAML files; default is `BELLWETHER_CONFIG_DIR`, else the project's `config`. A missing file
            means defaults. A relative `lake.root` or `limits.folder` is relative to the folder's parent, whatever the
            working directory.
        env
            Environment whose `BELLWETHER__SECTION__KEY` (settings.yaml) and `BELLWETHER__SOURCES__...`,
            `BELLWETHER__SINKS__...`, `BELLWETHER__RETRY_POLICY__...`, `BELLWETHER__ALERTS__...` override keys; values
            are YAML.

        Raises
        ------
        ConfigError
            Names the file, the key and the value that is wrong.
        """
        folder = folder or Path(env.get("BELLWETHER_CONFIG_DIR") or _PROJECT / "config")
        content = {name: _read(folder / f"{name}.yaml") for name in cls.model_fields}
        for name, value in env.items():
            if name.startswith(_ENV_PREFIX):
                _override(content, name, value)
        _resolve(content["settings"], "lake", "root", LakeSettings().root, folder)
        _resolve(content["settings"], "limits", "folder", LimitSettings().folder, folder)
        try:
            return cls.model_validate(content, context={"folder": folder})
        except ValidationError as error:
            raise ConfigError(_explain(error, folder)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        msg = f"{path}: not valid YAML: {error}"
        raise ConfigError(msg) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        msg = f"{path}: expected keys and values, found {type(content).__name__}"
        raise ConfigError(msg)
    return content


def _resolve(settings: dict[str, Any], section: str, key: str, default: str, folder: Path) -> None:
    node = settings.setdefault(section, {})
    if isinstance(node, dict):
        place = str(node.get(key, default))
        node[key] = place if "://" in place else str(folder.absolute().parent / place)


def _override(content: dict[str, dict[str, Any]], name: str, value: str) -> None:
    *sections, key = name.removeprefix(_ENV_PREFIX).lower().split("__")
    node: Any = content
    if not sections or sections[0] not in content:
        sections = ["settings", *sections]
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            msg = (
                f"environment variable {name}: {section} is a plain value or list, which has no keys: override it whole"
            )
            raise ConfigError(msg)
    try:
        node[key] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        msg = f"environment variable {name}: not valid YAML: {value!r}"
        raise ConfigError(msg) from error


def _explain(error: ValidationError, folder: Path) -> str:
    lines = []
    for problem in error.errors():
        file, *keys = (str(part) for part in problem["loc"] if part not in KINDS)
        value = shorten(repr(problem["input"]), _LONGEST_VALUE, placeholder=" ...")
        lines.append(f"{folder / file}.yaml: {'.'.join(keys)}: {problem['msg']} (value: {value})")
    return "\n".join(lines)
