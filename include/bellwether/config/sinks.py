"""`sinks.yaml`: the Parquet layout of the datasets."""

from pydantic import Field

from bellwether.config.model import Model

_PRICED = ("ticker", "ts", "open", "high", "low", "close")
_LISTED = ("underlying", "right", "exercise_style", "expiration", "strike", "opening_price_source", "chosen_by")
_CHAIN = ("underlying", "ts", "right", "exercise_style", "expiration", "strike", "multiplier", "underlying_price")
# What is computed of a print is another number in every row.
_GOLDEN_CHAIN = (
    *("underlying", "ticker", "ts", "open", "high", "low", "close", "volume", "right", "expiration", "strike"),
    *("exercise_style", "settlement", "multiplier", "is_adjusted", "spot", "spot_age_s", "dividend_yield"),
    *("iv_status", "is_american_biased"),
)

# An article has a row for each ticker, so its own texts repeat too.
_REPEATED_IN_NEWS = (
    *("article_id", "ticker", "published_utc", "first_seen_utc", "version", "title", "description", "author"),
    *("publisher", "article_url", "keywords", "language", "sentiment", "sentiment_label", "sentiment_source"),
)
_RESTATED = ("dataset", "pulled_utc", "sessions_later", "ticker", "ts", "kind", "replaced", "revision")


_TRIED = ("dag_id", "task_id", "run_id", "dataset", "session")


class SinkSettings(Model):
    """One entry of `sinks.yaml`: the Parquet layout of one dataset."""

    row_group_rows: int = Field(default=131_072, ge=100_000)
    dictionary_columns: tuple[str, ...] = (*_PRICED, "volume", "vwap", "transactions")


class Sinks(Model):
    """`sinks.yaml`."""

    equities: SinkSettings = SinkSettings()
    daily_bars: SinkSettings = SinkSettings(dictionary_columns=("date",))
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
    chain: SinkSettings = SinkSettings(dictionary_columns=_GOLDEN_CHAIN)
    minutes: SinkSettings = SinkSettings(dictionary_columns=("ticker", "ts", "is_filled", "vix", "vix_age_s"))
    health: SinkSettings = SinkSettings(dictionary_columns=("session", "dataset", "state", "why"))
    heartbeats: SinkSettings = SinkSettings(dictionary_columns=("dataset", "writer", "state"))
    gaps: SinkSettings = SinkSettings(dictionary_columns=("dataset", "session", "cause"))
    reconciliation: SinkSettings = SinkSettings(dictionary_columns=("dataset", "ticker", "ts", "kind"))
    restatements: SinkSettings = SinkSettings(dictionary_columns=_RESTATED)
    drift: SinkSettings = SinkSettings(dictionary_columns=("dataset", "kind", "state"))
    incidents: SinkSettings = SinkSettings(dictionary_columns=("dataset", "cause", "severity", "state"))
    performance: SinkSettings = SinkSettings(dictionary_columns=_TRIED)
    errors: SinkSettings = SinkSettings(dictionary_columns=(*_TRIED, "error", "cause"))
    quarantine_audit: SinkSettings = SinkSettings(dictionary_columns=("dataset", "action", "broke", "decided_by"))
    verification: SinkSettings = SinkSettings(dictionary_columns=("session", "dataset", "state"))

    def of(self, dataset: str) -> SinkSettings:
        """Return the layout of a dataset; what is streamed has that of the daily one."""
        found: SinkSettings = getattr(self, dataset.removesuffix("_live"))
        return found
