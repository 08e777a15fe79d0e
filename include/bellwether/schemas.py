"""The rows of every dataset: the one place that names columns and types, and what tells rows apart.

Times are `timestamp[ms, UTC]` and mark a bar's START, as the vendor's do; what a bar says is known
only at its end. Prices and volumes are float64 (fractional shares exist).
"""

from dataclasses import dataclass

import pyarrow as pa

TIMESTAMP = pa.timestamp("ms", tz="UTC")

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
"""Minute bars of what is traded: stocks, and option contracts (price per share, volume in contracts)."""

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
"""The option contracts that matter on a session. `strike` in dollars a share, `multiplier` in shares a contract; of an
adjusted one what else it delivers, as the vendor's JSON. `opening_price` is the underlying's by which it was chosen."""

INDEX_BARS = pa.schema([field for field in EQUITIES if field.name in {"ticker", "ts", "open", "high", "low", "close"}])
"""Minute bars of what is computed, as the vendor sends them: an index has no volume."""

INDICES = INDEX_BARS.append(pa.field("is_stale", pa.bool_(), nullable=False))
"""`is_stale`: after the close of regular trading, and equal to the bar before in all four prices: nothing moved, the
vendor went on repeating the last value."""

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
"""A chain as it stood at one moment, a row per contract; `ts` is when its page came, no bar's start.

`multiplier` is shares per contract; prices are dollars per share, sizes and volumes contracts. `mid` is the middle of
`bid` and `ask` where both are above 0: a side at 0 is quoted by nobody. `quote_ts` and `last_ts` say when the quote and
the last trade were made. `vendor_iv` is a fraction per year, `vendor_theta` per day, `vendor_vega` per volatility
point.
"""

SPLITS = pa.schema(
    [
        pa.field("ticker", pa.string(), nullable=False),
        pa.field("execution_date", pa.date32(), nullable=False),
        pa.field("split_from", pa.float64(), nullable=False),
        pa.field("split_to", pa.float64(), nullable=False),
        pa.field("split_id", pa.string(), nullable=False),
    ]
)
"""`split_from` old shares become `split_to` new ones; all trades of `execution_date` are in new ones."""

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
"""`cash_amount` per share in `currency`; `frequency` per year, 0 once; types as the vendor's (CD, SC, LT, ST)."""

RATES = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        pa.field("tenor_months", pa.int16(), nullable=False),
        pa.field("rate", pa.float64(), nullable=False),
    ]
)
"""Treasury par yields, a fraction per year (0.0406 is 4.06 %); the yields of `date` are known after it."""

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
"""One row per article, ticker and version: 1 as first seen, the next for each change. `sentiment` is from -1 to 1.

`keywords` are joined by `KEYWORD_SEPARATOR`; none are an empty text.
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

SCHEMAS: dict[str, pa.Schema] = {dataset: form.schema for dataset, form in FORMS.items()}
SCHEMA_VERSION = 2
"""Of rows and manifests; a change of either takes the next number, and an entry in `bellwether.lake.migrations`."""
