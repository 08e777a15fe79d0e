"""The words of a verdict: why a row is quarantined, a session held, a warning counted.

They stand in manifests, quarantine files, the UI and `suites/*.json`; renaming one breaks their readers.
"""

from enum import StrEnum
from typing import Final


class RowReason(StrEnum):
    """Why a row goes to quarantine; a row with several lists them in this order."""

    NULL_KEY = "null_key"
    NULL_PRICE = "null_price"
    NULL_VOLUME = "null_volume"
    NULL_VALUE = "null_value"
    OUTSIDE_SESSION = "outside_session"
    OFF_MINUTE = "off_minute"
    NOT_KNOWN_YET = "not_known_yet"
    CONFLICTING_ROWS = "conflicting_rows"
    NOT_FINITE = "not_finite"
    PRICE_NOT_POSITIVE = "price_not_positive"
    HIGH_BELOW_LOW = "high_below_low"
    OPEN_OUTSIDE_RANGE = "open_outside_range"
    CLOSE_OUTSIDE_RANGE = "close_outside_range"
    NEGATIVE_VOLUME = "negative_volume"
    NEGATIVE_TRANSACTIONS = "negative_transactions"
    MALFORMED_SYMBOL = "malformed_symbol"
    SYMBOL_MISMATCH = "symbol_mismatch"
    NOT_CALL_OR_PUT = "not_call_or_put"
    MULTIPLIER_NOT_POSITIVE = "multiplier_not_positive"
    NULL_CONTRACT_TERM = "null_contract_term"
    NEGATIVE_PRICE = "negative_price"
    NEGATIVE_SIZE = "negative_size"
    NEGATIVE_OPEN_INTEREST = "negative_open_interest"
    FACTOR_NOT_POSITIVE = "factor_not_positive"
    NEGATIVE_AMOUNT = "negative_amount"
    EMPTY_TITLE = "empty_title"
    SENTIMENT_OUT_OF_RANGE = "sentiment_out_of_range"
    UNKNOWN_SENTIMENT_SOURCE = "unknown_sentiment_source"
    UNKNOWN_LANGUAGE = "unknown_language"
    LATE = "late"


class TableReason(StrEnum):
    """Why a whole session is held back and the published revision stays."""

    SCHEMA = "schema"
    ROW_COUNT = "row_count"
    QUARANTINED_SHARE = "quarantined_share"
    REPEATED_KEY = "repeated_key"
    ROW_OUTSIDE_SESSION = "row_outside_session"
    UNKNOWN_WORD = "unknown_word"
    VALUE_OUT_OF_RANGE = "value_out_of_range"
    COLUMNS_DISAGREE = "columns_disagree"


class WarningName(StrEnum):
    """What real data does and is counted, never lost."""

    VWAP_OUTSIDE_RANGE = "vwap_outside_range"
    SUB_PENNY_PRICE = "sub_penny_price"
    NULL_VWAP = "null_vwap"
    NULL_TRANSACTIONS = "null_transactions"
    STALE_BAR = "stale_bar"
    PRINT_AFTER_CLOSE = "print_after_close"
    ADJUSTED_CONTRACT = "adjusted_contract"
    CHOSEN_BY_PREVIOUS_CLOSE = "chosen_by_previous_close"
    CROSSED_QUOTE = "crossed_quote"
    LOCKED_QUOTE = "locked_quote"
    ONE_SIDED_QUOTE = "one_sided_quote"
    NO_QUOTE = "no_quote"
    NULL_IV = "null_iv"
    MISSING_REGULAR_MINUTES = "missing_regular_minutes"
    SEEN_BEFORE_PUBLISHED = "seen_before_published"
    NO_SENTIMENT = "no_sentiment"
    ARTICLES_WITHOUT_TICKER = "articles_without_ticker"
    MALFORMED_TICKERS = "malformed_tickers"
    DUPLICATES_DROPPED = "duplicates_dropped"
    PRICE_OUT_OF_BOUNDS = "price_out_of_bounds"
    PARITY_VIOLATED = "parity_violated"
    NOT_MONOTONE_IN_STRIKE = "not_monotone_in_strike"
    NOT_CONVEX_IN_STRIKE = "not_convex_in_strike"
    CALENDAR_ARBITRAGE = "calendar_arbitrage"
    IV_FAR_FROM_VENDOR = "iv_far_from_vendor"
    DELTA_FAR_FROM_VENDOR = "delta_far_from_vendor"
    NO_VIX = "no_vix"
    SILENT_MINUTE = "silent_minute"


CHAIN_CHECKS: Final = (
    WarningName.PRICE_OUT_OF_BOUNDS,
    WarningName.PARITY_VIOLATED,
    WarningName.NOT_MONOTONE_IN_STRIKE,
    WarningName.NOT_CONVEX_IN_STRIKE,
    WarningName.CALENDAR_ARBITRAGE,
    WarningName.IV_FAR_FROM_VENDOR,
    WarningName.DELTA_FAR_FROM_VENDOR,
)
"""What `bellwether.consolidate.checks` finds of a chain's prints."""


class CrossCheckWarning(StrEnum):
    """Where a session's minutes and the official day are further apart than is usual; each counts tickers."""

    OPEN_DIFFERS = "open_differs"
    HIGH_DIFFERS = "high_differs"
    LOW_DIFFERS = "low_differs"
    CLOSE_DIFFERS = "close_differs"
    VOLUME_ABOVE_OFFICIAL = "volume_above_official"
    VOLUME_FAR_BELOW_OFFICIAL = "volume_far_below_official"
    NO_MINUTES = "no_minutes"
    NO_OFFICIAL = "no_official"
