"""The rows of every dataset: the one place that names columns and types, and what tells rows apart.

Times are `timestamp[ms, UTC]` and mark a bar's START, as the vendor's do; what a bar says is known
only at its end. Prices and volumes are float64 (fractional shares exist). What each column says, and in which unit, is
in `bellwether.dictionary`.
"""

from dataclasses import dataclass

import pyarrow as pa

from bellwether import operational_schemas
from bellwether.operational_schemas import (
    DRIFT,
    ERRORS,
    GAPS,
    HEALTH,
    HEARTBEATS,
    INCIDENTS,
    PERFORMANCE,
    QUARANTINE_AUDIT,
    RECONCILIATION,
    RESTATEMENTS,
    VERIFICATION,
)

TIMESTAMP = operational_schemas.TIMESTAMP

EQUITIES = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("open", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.float64(), nullable=False),
        pa.field("vwap", pa.float64(), nullable=True),
        pa.field("transactions", pa.int64(), nullable=True),
    ]
)
"""Minute bars of what is traded: stocks, and option contracts."""

DAILY_BARS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("date", pa.date32(), nullable=False),
        *(field for field in EQUITIES if field.name not in {"ticker", "ts"}),
    ]
)
"""The vendor's own day bars, unadjusted; `date` is the session, and no start of a bar: a day is known at its end."""

CONTRACTS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("underlying", pa.string(), nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("exercise_style", pa.string(), nullable=False),
        pa.field("expiration", pa.date32(), nullable=False),
        pa.field("strike", pa.float64(), nullable=False),
        pa.field("multiplier", pa.float64(), nullable=False),
        pa.field("is_adjusted", pa.bool_(), nullable=False),
        pa.field("additional_underlyings", pa.string(), nullable=True),
        pa.field("opening_price", pa.float64(), nullable=True),
        pa.field("opening_price_source", pa.string(), nullable=True),
        pa.field("chosen_by", pa.string(), nullable=False),
    ]
)
"""The option contracts that matter on a session."""

INDEX_BARS = pa.schema([field for field in EQUITIES if field.name in {"ticker", "ts", "open", "high", "low", "close"}])
"""Minute bars of what is computed, as the vendor sends them: an index has no volume."""

INDICES = INDEX_BARS.append(pa.field("is_stale", pa.bool_(), nullable=False))
"""Those bars, marked where they only repeat the last value."""

OPTIONS_SNAPSHOT = pa.schema(
    [
        pa.field("underlying", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("exercise_style", pa.string(), nullable=False),
        pa.field("expiration", pa.date32(), nullable=False),
        pa.field("strike", pa.float64(), nullable=False),
        pa.field("multiplier", pa.float64(), nullable=False),
        pa.field("bid", pa.float64(), nullable=True),
        pa.field("ask", pa.float64(), nullable=True),
        pa.field("bid_size", pa.int64(), nullable=True),
        pa.field("ask_size", pa.int64(), nullable=True),
        pa.field("mid", pa.float64(), nullable=True),
        pa.field("quote_ts", TIMESTAMP, nullable=True),
        pa.field("last_price", pa.float64(), nullable=True),
        pa.field("last_size", pa.int64(), nullable=True),
        pa.field("last_ts", TIMESTAMP, nullable=True),
        pa.field("day_volume", pa.float64(), nullable=True),
        pa.field("open_interest", pa.int64(), nullable=True),
        pa.field("vendor_iv", pa.float64(), nullable=True),
        pa.field("vendor_delta", pa.float64(), nullable=True),
        pa.field("vendor_gamma", pa.float64(), nullable=True),
        pa.field("vendor_theta", pa.float64(), nullable=True),
        pa.field("vendor_vega", pa.float64(), nullable=True),
        pa.field("underlying_price", pa.float64(), nullable=True),
        pa.field("break_even_price", pa.float64(), nullable=True),
    ]
)
"""A chain as it stood at one moment, a row per contract; `ts` is when its page came, no bar's start."""

SPLITS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("execution_date", pa.date32(), nullable=False),
        pa.field("split_from", pa.float64(), nullable=False),
        pa.field("split_to", pa.float64(), nullable=False),
        pa.field("split_id", pa.string(), nullable=False),
    ]
)
"""All trades of `execution_date` are in new shares."""

DIVIDENDS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ex_dividend_date", pa.date32(), nullable=False),
        pa.field("declaration_date", pa.date32(), nullable=True),
        pa.field("record_date", pa.date32(), nullable=True),
        pa.field("pay_date", pa.date32(), nullable=True),
        pa.field("cash_amount", pa.float64(), nullable=False),
        pa.field("currency", pa.string(), nullable=True),
        pa.field("frequency", pa.int32(), nullable=True),
        pa.field("dividend_type", pa.string(), nullable=False),
        pa.field("dividend_id", pa.string(), nullable=False),
    ]
)
"""Cash dividends, as the vendor lists them."""

RATES = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        pa.field("tenor_months", pa.int16(), nullable=False),
        pa.field("rate", pa.float64(), nullable=False),
    ]
)
"""Treasury par yields; those of `date` are known after it."""

TICKERS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("listing_id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=True),
        pa.field("type", pa.string(), nullable=True),
        pa.field("market", pa.string(), nullable=False),
        pa.field("primary_exchange", pa.string(), nullable=True),
        pa.field("currency", pa.string(), nullable=True),
        pa.field("cik", pa.string(), nullable=True),
        pa.field("composite_figi", pa.string(), nullable=True),
        pa.field("share_class_figi", pa.string(), nullable=True),
        pa.field("active", pa.bool_(), nullable=True),
        pa.field("delisted_utc", TIMESTAMP, nullable=True),
    ]
)
"""A ticker is given again after a delisting, so its listings are told apart by when they ended: `listing_id` is
`delisted_utc` as text, and empty for one that lasts. `delisted_utc` itself is null there, and so can be no key."""

NEWS = pa.schema(
    [
        pa.field("article_id", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("published_utc", TIMESTAMP, nullable=False),
        pa.field("first_seen_utc", TIMESTAMP, nullable=False),
        pa.field("version", pa.int32(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("description", pa.string(), nullable=True),
        pa.field("author", pa.string(), nullable=True),
        pa.field("publisher", pa.string(), nullable=False),
        pa.field("article_url", pa.string(), nullable=False),
        pa.field("keywords", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("sentiment", pa.float64(), nullable=True),
        pa.field("sentiment_label", pa.string(), nullable=True),
        pa.field("sentiment_source", pa.string(), nullable=False),
        pa.field("sentiment_reasoning", pa.string(), nullable=True),
        pa.field("content_hash", pa.string(), nullable=False),
    ]
)
"""One row per article, ticker and version; keywords are joined by `KEYWORD_SEPARATOR`."""

CHAIN = pa.schema(
    [
        pa.field("underlying", pa.string(), nullable=False),
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        pa.field("open", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("close", pa.float64(), nullable=False),
        pa.field("volume", pa.float64(), nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("expiration", pa.date32(), nullable=False),
        pa.field("strike", pa.float64(), nullable=False),
        pa.field("exercise_style", pa.string(), nullable=False),
        pa.field("settlement", pa.string(), nullable=False),
        pa.field("multiplier", pa.float64(), nullable=True),
        pa.field("is_adjusted", pa.bool_(), nullable=False),
        pa.field("spot", pa.float64(), nullable=True),
        pa.field("spot_age_s", pa.int32(), nullable=True),
        pa.field("t_years", pa.float64(), nullable=False),
        pa.field("rate", pa.float64(), nullable=True),
        pa.field("dividend_yield", pa.float64(), nullable=True),
        pa.field("iv", pa.float64(), nullable=True),
        pa.field("delta", pa.float64(), nullable=True),
        pa.field("gamma", pa.float64(), nullable=True),
        pa.field("theta", pa.float64(), nullable=True),
        pa.field("vega", pa.float64(), nullable=True),
        pa.field("rho", pa.float64(), nullable=True),
        pa.field("iv_error", pa.float64(), nullable=True),
        pa.field("iv_status", pa.string(), nullable=False),
        pa.field("is_american_biased", pa.bool_(), nullable=False),
    ]
)
"""Gold: one row per option print, its bar first. What is known of it is known at the end of its minute."""

_INDICATORS = (
    *("ind_sma", "ind_ema", "ind_rsi", "ind_macd", "ind_macd_signal", "ind_macd_histogram"),
    *("ind_bollinger_lower", "ind_bollinger_middle", "ind_bollinger_upper", "ind_atr", "ind_vwap", "ind_obv"),
    *("ind_adx", "ind_adx_plus", "ind_adx_minus", "ind_stochastic_k", "ind_stochastic_d"),
)

MINUTES = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("ts", TIMESTAMP, nullable=False),
        *(pa.field(field.name, field.type) for field in EQUITIES if field.name not in {"ticker", "ts"}),
        pa.field("is_filled", pa.bool_(), nullable=False),
        pa.field("vix", pa.float64()),
        pa.field("vix_age_s", pa.int32()),
        pa.field("mom_log_returns", pa.list_(pa.float64()), nullable=False),
        pa.field("mom_since_open", pa.float64()),
        *(pa.field(name, pa.float64()) for name in _INDICATORS),
        pa.field("news_counts", pa.list_(pa.int32()), nullable=False),
        pa.field("news_sentiments", pa.list_(pa.float64()), nullable=False),
        pa.field("news_minutes_since", pa.float64()),
        pa.field("chain_expirations", pa.list_(pa.date32())),
        pa.field("chain_atm_iv", pa.list_(pa.float64())),
        pa.field("chain_skew_25d", pa.list_(pa.float64())),
        pa.field("chain_butterfly_25d", pa.list_(pa.float64())),
        pa.field("chain_term_slope", pa.float64()),
        pa.field("chain_volume", pa.float64()),
        pa.field("chain_put_call_ratio", pa.float64()),
    ]
)
"""Gold: one row per equity and minute, `ts` its start; everything in it was known at its end.

`mom_log_returns`, `news_counts` and `news_sentiments` have an item for each window of `consolidation` in settings.yaml;
a file holds them as lists of fixed size.
"""

KEYWORD_SEPARATOR = "|"


@dataclass(frozen=True)
class Form:
    """What the rows of a dataset look like.

    Attributes
    ----------
    schema
        Names and types of the columns.
    key
        What tells a row from every other of a session, and the order rows are published in.
    subject
        The column whose values are asked for one by one, and of which coverage is kept; None where all rows of a
        session are asked for at once, as of the one subject `bellwether.tickers.WHOLE`.
    keeps_versions
        Whether an answer adds to what is published instead of replacing it (`bellwether.news.versions`); its subject
        is `bellwether.tickers.WHOLE`.
    """

    schema: pa.Schema
    key: tuple[str, ...] = ("ticker", "ts")
    subject: str | None = "ticker"
    keeps_versions: bool = False


FORMS: dict[str, Form] = {
    "equities": Form(EQUITIES),
    "daily_bars": Form(DAILY_BARS, ("ticker", "date"), subject=None),
    "contracts": Form(CONTRACTS, ("underlying", "expiration", "strike", "right", "ticker"), "underlying"),
    "options": Form(EQUITIES),
    "options_snapshot": Form(OPTIONS_SNAPSHOT, key=("underlying", "ticker"), subject="underlying"),
    "indices": Form(INDICES),
    "news": Form(NEWS, ("ticker", "published_utc", "article_id", "version"), subject=None, keeps_versions=True),
    "splits": Form(SPLITS, ("ticker", "execution_date", "split_id")),
    "dividends": Form(DIVIDENDS, ("ticker", "ex_dividend_date", "dividend_id")),
    "rates": Form(RATES, ("date", "tenor_months"), subject=None),
    "tickers": Form(TICKERS, ("ticker", "listing_id")),
}

GOLD: dict[str, Form] = {
    "minutes": Form(MINUTES),
    "chain": Form(CHAIN, ("underlying", "ticker", "ts"), "underlying"),
}
"""What is computed from the datasets of `FORMS`."""

OPERATIONAL: dict[str, Form] = {
    "health": Form(HEALTH, ("session", "dataset"), subject=None),
    "heartbeats": Form(HEARTBEATS, ("dataset", "at_utc", "writer"), subject=None),
    "gaps": Form(GAPS, ("dataset", "gap_id"), subject=None),
    "reconciliation": Form(RECONCILIATION, ("dataset", "ticker", "ts"), subject=None),
    "restatements": Form(RESTATEMENTS, ("dataset", "pulled_utc", "ticker", "ts"), subject=None),
    "drift": Form(DRIFT, ("dataset", "change_id"), subject=None),
    "incidents": Form(INCIDENTS, ("incident_id",), subject=None),
    "performance": Form(PERFORMANCE, ("dag_id", "task_id", "map_index", "run_id", "try_number"), subject=None),
    "errors": Form(ERRORS, ("dag_id", "task_id", "map_index", "run_id", "try_number", "error"), subject=None),
    "quarantine_audit": Form(QUARANTINE_AUDIT, ("dataset", "number", "row_id"), subject=None),
    "verification": Form(VERIFICATION, ("session", "dataset"), subject=None),
}
"""What is written down of the datasets themselves."""

LIVE: dict[str, Form] = {
    "equities_live": Form(EQUITIES),
    "options_live": Form(EQUITIES),
    "indices_live": Form(INDEX_BARS),
    "news_live": FORMS["news"],
}
"""What the streams, and the polling of news, had of a session."""

SCHEMAS: dict[str, pa.Schema] = {dataset: form.schema for dataset, form in (FORMS | GOLD | OPERATIONAL | LIVE).items()}
SCHEMA_VERSION = 2
"""Of rows and manifests; a change of either takes the next number, and an entry in `bellwether.lake.migrations`."""
