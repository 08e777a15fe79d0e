"""The data dictionary: what each column says, in which unit; with the schemas it makes `docs/data-dictionary.md`.

Names and types are the schemas'. A column that says the same in several datasets is described once.
"""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from bellwether.schemas import FORMS, GOLD, LIVE, OPERATIONAL

ROWS: Final[Mapping[str, str]] = {
    "minutes": "a minute of the session of an equity; everything in it was known at the minute's end",
    "chain": "a print of an option contract: the minutes in which it traded; everything in it was known at their end",
    "equities": "a minute in which a stock traded, as the vendor's, unadjusted",
    "daily_bars": "the vendor's own day bar of a stock, unadjusted; known at the day's end",
    "contracts": "an option contract that matters on the session",
    "options": "a minute in which an option contract traded",
    "options_snapshot": "a contract of a chain as it stood at one moment before the close",
    "indices": "a minute of an index as the vendor computed it",
    "news": "an article about a ticker in one version: 1 as first seen, the next for each change",
    "splits": "a split, past or announced",
    "dividends": "a cash dividend, past or announced",
    "rates": "a yield of the Treasury's par curve; known after its day",
    "tickers": "a listing of a ticker, living or ended",
    "equities_live": "a minute of `equities` as it was broadcast last",
    "options_live": "a minute of `options` as it was broadcast last",
    "indices_live": "a minute of `indices` as it was broadcast last",
    "news_live": "an article about a ticker in one version, as it was listed while the session went on",
    "health": "a session looked back on and a dataset, as they stood when the partition's own session was looked at",
    "heartbeats": "a heartbeat of a stream that was told of: how it was getting on; times are the feed's",
    "gaps": "an interval whose broadcasts a recorder may not have heard",
    "reconciliation": "a minute in which what was streamed and what the daily pull brought differ",
    "restatements": "a minute that the vendor told otherwise when it was asked again: docs/late-data.md",
    "drift": "a way in which the session's answers differed from their dataset's contract: docs/drift.md",
    "incidents": "what was wrong with a dataset of the session, of one cause, until it healed: docs/alerts.md",
    "performance": "a try of a task and what it cost; times are the machine's: docs/monitoring.md",
    "errors": "a class of errors that a try of a task met, those included that another request mended",
    "quarantine_audit": "a refused row of the session in a decision about it: docs/quarantine.md",
    "verification": "a published partition that was built again and compared, in the run of the partition's session",
}
"""What one row is."""

_EVERYWHERE: Final[Mapping[str, str]] = {
    "ticker": "symbol as the vendor spells it: `AAPL`, `O:AAPL140613C00645000`, `I:VIX`",
    "ts": "start of the minute",
    "open": "first price, dollars a share",
    "high": "highest price, dollars a share",
    "low": "lowest price, dollars a share",
    "close": "last price, dollars a share",
    "volume": "shares, of options contracts; shares may be fractions",
    "vwap": "mean price by volume of all trades, dollars a share; odd lots and late trades count in it alone",
    "transactions": "trades",
    "underlying": "what the contract is on, as the vendor lists it: `SPX`, not `I:SPX`",
    "right": "`call` or `put`",
    "exercise_style": "`american`, `european` or `bermudan`",
    "expiration": "date in the symbol; a Saturday of monthly contracts before February 2015",
    "strike": "dollars a share",
    "multiplier": "shares a contract",
    "is_adjusted": "a corporate action changed what the contract delivers",
}

_OF_AN_INDEX: Final = {
    **{name: f"{which} value, index points" for name, which in (("open", "first"), ("close", "last"))},
    **{name: f"{name}est value, index points" for name in ("high", "low")},
}

_OF_A_TRY: Final = {
    "dag_id": "its DAG",
    "task_id": "the task, with the group it stands in",
    "map_index": "which of the mapped ones; -1 where nothing is mapped",
    "run_id": "the run",
    "try_number": "counted from 1, and on across clears",
    "dataset": "what it is about: a dataset, `minutes` for gold, or the DAG where it is about none",
    "session": "of the run",
}

_OF_DATASET: Final[Mapping[str, Mapping[str, str]]] = {
    "daily_bars": {"date": "the session"},
    "contracts": {
        "additional_underlyings": "what else an adjusted contract delivers, the vendor's JSON",
        "opening_price": "of the underlying, by which the contract was chosen, dollars",
        "opening_price_source": "`open_close`, `first_minute` or `previous_close`",
        "chosen_by": "the rule that chose it, in words",
    },
    "indices": {
        **_OF_AN_INDEX,
        "is_stale": "after the close of stocks, and equal to the bar before: the vendor repeats the last value",
    },
    "indices_live": _OF_AN_INDEX,
    "options_snapshot": {
        "ts": "when the page came that holds the contract",
        "bid": "dollars a share; 0 is quoted by nobody",
        "ask": "dollars a share; 0 is quoted by nobody",
        "bid_size": "contracts",
        "ask_size": "contracts",
        "mid": "middle of bid and ask where both are above 0, dollars a share",
        "quote_ts": "when the quote was made",
        "last_price": "of the last trade, dollars a share",
        "last_size": "of the last trade, contracts",
        "last_ts": "when the last trade was made",
        "day_volume": "contracts of the session so far",
        "open_interest": "contracts open at the end of the session before",
        "vendor_iv": "the vendor's implied volatility, a fraction per year",
        "vendor_delta": "the vendor's delta, per dollar",
        "vendor_gamma": "the vendor's gamma, per dollar squared",
        "vendor_theta": "the vendor's theta, dollars per day",
        "vendor_vega": "the vendor's vega, dollars per volatility point",
        "underlying_price": "dollars, of an index points",
        "break_even_price": "of the underlying, dollars",
    },
    "news": {
        "article_id": "the vendor's",
        "ticker": "whom the article is about",
        "published_utc": "as the article says",
        "first_seen_utc": "when this version was first captured",
        "version": "1 as first seen, the next for each change",
        "title": "cleaned of markup",
        "description": "cleaned of markup",
        "author": "as the article says",
        "publisher": "its name",
        "article_url": "where it stands",
        "keywords": "joined by a vertical bar; none are an empty text",
        "language": "two letters, `und` where it is not known",
        "sentiment": "towards the ticker, from -1 to 1",
        "sentiment_label": "the vendor's word",
        "sentiment_source": "method and version that gave the sentiment, or why there is none",
        "sentiment_reasoning": "the vendor's sentence",
        "content_hash": "tells versions apart",
    },
    "splits": {
        "execution_date": "from whose open on shares are new ones",
        "split_from": "so many old shares",
        "split_to": "become so many new ones",
        "split_id": "the vendor's",
    },
    "dividends": {
        "ex_dividend_date": "from whose open on shares are sold without it",
        "declaration_date": "when it was announced",
        "record_date": "who holds shares then is paid",
        "pay_date": "when it is paid",
        "cash_amount": "per share of that time, in `currency`",
        "currency": "three letters",
        "frequency": "times a year; 0 once",
        "dividend_type": "`CD` regular cash, `SC` special cash, `LT` and `ST` capital gains",
        "dividend_id": "the vendor's",
    },
    "rates": {
        "date": "of whose closing quotes it is",
        "tenor_months": "time to maturity, months",
        "rate": "a fraction per year: 0.0406 is 4.06 %",
    },
    "tickers": {
        "listing_id": "`delisted_utc` as text, empty for a listing that lasts: a ticker is given again",
        "name": "of the company or fund",
        "type": "the vendor's code: `CS`, `ETF`, ...",
        "market": "`stocks`, `indices`, ...",
        "primary_exchange": "ISO code",
        "currency": "three letters",
        "cik": "of the SEC",
        "composite_figi": "OpenFIGI's, of the country",
        "share_class_figi": "OpenFIGI's, of the share class",
        "active": "whether it was listed",
        "delisted_utc": "when the listing ended",
    },
    "health": {
        "session": "the session looked back on",
        "dataset": "a captured one; `minutes` stands for gold, `equities_live` and its like for what streams had",
        "is_required": "gold waits for it; gold itself is",
        "state": "the worst state of the required tickers: docs/architecture.md, coverage",
        "why": "what is the matter with it; empty where nothing is",
        "rows": "published",
        "quarantined_rows": "refused, kept in quarantine",
        "published_utc": "when what is in force was published",
        "is_announced": "it is gold, and was announced to be built anew",
    },
    "heartbeats": {
        "dataset": "what is streamed; of `news`, what is polled",
        "writer": "the process: its run, the run's try, its process id",
        "at_utc": "when it was told",
        "state": "`listening`, `connecting`, `waiting`, `ended`, `stopped`, or what keeps it from hearing or writing",
        "seq": "number of its last file",
        "rows": "written since it began; of news all of the session's",
        "gaps": "opened since it began",
        "covered_utc": "until when everything is on disk, or in a gap",
        "lag_s": "how far behind it heard the last batch, seconds; less than zero: its clock was behind",
        "quiet": "symbols that were quiet beside others that were not",
    },
    "gaps": {
        "gap_id": "when it was opened, by whom, and its number there",
        "dataset": "what was streamed",
        "session": "of which it was",
        "start_utc": "from when broadcasts may be missing",
        "end_utc": "until when; null while nobody listens",
        "symbols": "of whom; `*` of everything that was subscribed to",
        "cause": "in one word: docs/streaming.md",
        "opened_utc": "when it was noticed",
        "closed_utc": "when what it hid was filled, and compared; null before",
        "evidence": "what was seen when it was opened, ended and closed",
    },
    "reconciliation": {
        "dataset": "what was compared",
        "kind": "`missing`: the daily pull alone has it; `extra`: the stream alone; `changed`: they differ in it",
        "move_bp": "largest difference of a price, basis points of the daily one; null unless changed",
        "volume_difference": "streamed less daily, shares or contracts; null unless changed",
    },
    "restatements": {
        "dataset": "whose minute",
        "pulled_utc": "when what was fetched again was published",
        "sessions_later": "how many sessions after its own that was",
        "kind": "`changed`: it says something else; `added`: it is new; `removed`: it is gone",
        "move_bp": "largest move of a price, basis points of what it was; null unless changed",
        "volume_difference": "volume less what it was, shares or contracts; null of indices",
        "replaced": "the revision before",
        "revision": "the revision that restated it",
    },
    "drift": {
        "dataset": "whose answers",
        "change_id": "by which `bellwether drift` knows it",
        "field": "name on the wire",
        "kind": "`added`, `moved`; breaking: `removed`, `renamed`, `retyped`, `rescaled`, `words`, `nulls`",
        "detail": "the new name, the type, the factor that undoes it, the words, the share: by kind",
        "is_breaking": "what shows it is held back in quarantine until it is approved",
        "state": "`noted` of what is not breaking; `open`, `approved`, `rejected`",
        "subjects": "whose answers or rows show it",
        "evidence": "what was seen",
        "contract_version": "by which the answers were read",
        "seen_utc": "when it was noticed",
        "decided_by": "who decided; null before",
        "decided_utc": "when; null before",
        "reason": "why; null before",
    },
    "incidents": {
        "incident_id": "by which `bellwether incidents` knows it: dataset, session, cause, and a number from 2 on",
        "dataset": "what is wrong; of DAGs that publish none, what they do",
        "cause": "`entitlement`, `rate_limit`, `vendor_late`, `vendor`, `drift`, `quality`, `stall` or `ours`",
        "severity": "the worst so far: `warning`, `error` or `critical`",
        "state": "`open` or `healed`",
        "failed": "how many failed when it was reported last",
        "planned": "of how many",
        "unit": "`tickers` or `tasks`; empty where nothing was counted",
        "subject": "of the last report",
        "opened_utc": "when it was reported first",
        "updated_utc": "when it was reported last",
        "updates": "reports after the first",
        "healed_utc": "when it was seen to be over; null before",
        "healed_by": "the run that ended it, or the recorder; null before",
        "told_utc": "when people were told of it last; null where they were not",
        "run_ids": "the runs that met it, the newest last",
        "events": "what happened to it, oldest first",
    },
    "performance": {
        **_OF_A_TRY,
        "state": "`running`, `deferred`; `success`, `skipped`, `failed`, `up_for_retry`; `killed`: not heard of again",
        "verdict": "`overrun`, `stale`, `hung`, or empty: docs/monitoring.md",
        "started_utc": "when it began",
        "heard_utc": "when it was last heard of",
        "moved_utc": "when it had last got on by then: a request, rows, bytes, or work of the processor",
        "ended_utc": "when it ended; null before",
        "turns": "how often it had a slot: once, and again after each deferral",
        "duration_s": "with a slot, seconds",
        "median_s": "trailing median of the same task's durations, seconds; null where too few sessions have one",
        "deferred_s": "without a slot, waiting for the vendor, its rate limit or the next round, seconds",
        "vendor_s": "waiting for the vendor's answers, seconds",
        "read_s": "reading the lake, seconds",
        "write_s": "writing the lake, seconds",
        "limit_wait_s": "waiting with a slot for the turn that the rate limit grants, seconds",
        "limit_waits": "how often it waited for that",
        "api_calls": "requests sent, further tries included",
        "rows": "handed on: staged, streamed or published",
        "bytes_received": "of the vendor's answers, as they came over the line",
        "bytes_written": "into the lake",
        "cpu_s": "of the processor, seconds",
        "peak_memory_mb": "most memory its process ever held, MB of 1024 kB",
        "doing": "what it was waiting for when it was last heard of while it ran, and for how long",
        "errors": "answers that were none, those mended by a further request included; and what it failed of",
        "error": "class of what it failed of; empty where it did not",
    },
    "errors": {
        **_OF_A_TRY,
        "error": "class, as in docs/retries.md",
        "cause": "`entitlement`, `rate_limit`, `vendor_late`, `vendor`, `drift`, `quality` or `ours`",
        "count": "how many",
        "first_utc": "when the first came",
        "last_utc": "when the last came",
        "times_utc": "when they came, of the first 500",
        "example": "words of the first one, without secrets",
    },
    "quarantine_audit": {
        "dataset": "whose row",
        "number": "of the decision, from 1 on for each dataset and session",
        "row_id": "by which `bellwether quarantine` knows the row",
        "action": "`released`: it was published; `discarded`: it stays out",
        "subject": "of whom it is, as asked for; `*` where all are asked for at once; null where it does not say",
        "key": "its key, in words",
        "digest": "SHA-256 of its values",
        "broke": "the rules for which it was refused",
        "stage_id": "the run that fetched it, hence the folder of the raw response",
        "decided_by": "who decided",
        "decided_utc": "when",
        "reason": "why",
    },
    "verification": {
        "session": "the session verified",
        "dataset": "a captured one, or one of gold",
        "state": "`equal`, `different`, `damaged` (it cannot be read), `unverifiable` (it cannot be told)",
        "why": "the first difference, what is damaged, or why it cannot be told; empty where equal",
        "rows": "published; null where it cannot be read",
        "rows_rebuilt": "what its evidence comes to; null where it could not be built",
        "rows_different": "rows that only one of both has, or that differ; null where nothing was compared",
        "columns": "in which rows of one key differ",
        "revision": "the one verified",
        "verified_utc": "when",
    },
    "chain": {
        "ticker": "the contract",
        "volume": "contracts",
        "settlement": "`am` or `pm`: by opening or closing prices of the settlement day",
        "multiplier": "shares a contract; null where the contract was not discovered",
        "spot": "last price of the underlying by the minute's end, dollars, of an index points",
        "spot_age_s": "how old that price was at the minute's end, seconds",
        "t_years": "from the minute's end to settlement, years of 365 days; 0 and less: expired",
        "rate": "interest to settlement, a fraction per year, compounded continuously; null: none of the last 10 days",
        "dividend_yield": "a fraction per year, continuous",
        "iv": "implied volatility, a fraction per year: 0.2 is 20 %",
        "delta": "dollars per dollar of the underlying",
        "gamma": "delta per dollar of the underlying",
        "theta": "dollars per calendar day that passes",
        "vega": "dollars per volatility point (0.01 of `iv`)",
        "rho": "dollars per point of the rate (0.01)",
        "iv_error": "what the price's last binary digit leaves open of `iv`, a fraction per year",
        "iv_status": "`ok`, or why there is no `iv`: docs/greeks.md",
        "is_american_biased": "an American put in the money, whose early exercise inflates `iv`",
    },
    "minutes": {
        "open": "first price, dollars a share; the bar is null where nothing was traded",
        "is_filled": "nothing was traded, and the price since the opening is carried on",
        "vix": "last value of the volatility index, points",
        "vix_age_s": "how old that value was at the minute's end, seconds",
        "mom_log_returns": "natural log of the price over that of so many minutes of trading before, for each window",
        "mom_since_open": "natural log of the price over the session's first open",
        "ind_sma": "simple average of the close, dollars",
        "ind_ema": "exponential average of the close, dollars",
        "ind_rsi": "relative strength index, 0 to 100",
        "ind_macd": "fast less slow exponential average, dollars",
        "ind_macd_signal": "exponential average of `ind_macd`, dollars",
        "ind_macd_histogram": "`ind_macd` less its signal, dollars",
        "ind_bollinger_lower": "middle less so many deviations, dollars",
        "ind_bollinger_middle": "simple average of the close, dollars",
        "ind_bollinger_upper": "middle plus so many deviations, dollars",
        "ind_atr": "average true range, dollars",
        "ind_vwap": "mean typical price by volume since the session began, dollars",
        "ind_obv": "on-balance volume since the warm-up began, shares; its changes mean something, its level does not",
        "ind_adx": "average directional index, 0 to 100",
        "ind_adx_plus": "positive directional indicator, 0 to 100",
        "ind_adx_minus": "negative directional indicator, 0 to 100",
        "ind_stochastic_k": "slowed %K, 0 to 100",
        "ind_stochastic_d": "%D: average of %K, 0 to 100",
        "news_counts": "articles that became known within each trailing window",
        "news_sentiments": "their mean sentiment, for each window, -1 to 1",
        "news_minutes_since": "since the last article became known, minutes of the clock; null before the first "
        "after the close of the session before",
        "chain_expirations": "expirations with a solved print so far, ascending; the next three run over the same",
        "chain_atm_iv": "volatility where strike is forward, a fraction per year",
        "chain_skew_25d": "volatility of the 25-delta put less that of the 25-delta call, a fraction per year",
        "chain_butterfly_25d": "mean of both less `chain_atm_iv`, a fraction per year",
        "chain_term_slope": "`chain_atm_iv` of the last expiration less that of the first, per year between them",
        "chain_volume": "option contracts traded in the minute",
        "chain_put_call_ratio": "puts over calls, contracts since the session's first print",
    },
}

_IN_ORDER: Final = GOLD | FORMS | LIVE | OPERATIONAL

_HEAD: Final = """# Data dictionary

Made by `python tools/data_dictionary.py` of `bellwether.schemas` and `bellwether.dictionary`; do not edit.

Times are UTC. Prices are as traded, unadjusted. The columns of the *key* tell a row from every other of its session and
give the order; one that is *null* may have none. `lake.read(dataset, ...)` returns these columns with these types;
DuckDB's views have `session` beside them.
"""


def describe(dataset: str, column: str) -> str:
    """Return what a column says, with its unit.

    Raises
    ------
    KeyError
        Nobody described it.
    """
    own = _OF_DATASET.get(dataset.removesuffix("_live"), {})
    return own[column] if column in own else _EVERYWHERE[column]


def markdown() -> str:
    """Return the page: gold first."""
    return "\n".join([_HEAD, *(_section(dataset) for dataset in _IN_ORDER)])


def _section(dataset: str) -> str:
    form = _IN_ORDER[dataset]
    lines = [f"## {dataset}", "", f"A row is {ROWS[dataset]}.", ""]
    lines += ["| column | type | | says |", "| --- | --- | --- | --- |"]
    for field in form.schema:
        cells = (f"`{field.name}`", _type(field.type), _marks(field, form.key), describe(dataset, field.name))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    return {"timestamp[ms, tz=UTC]": "timestamp, ms", "date32[day]": "date"}.get(str(kind), str(kind))


def _marks(field: pa.Field, key: tuple[str, ...]) -> str:
    return "key" if field.name in key else "null" if field.nullable else ""
