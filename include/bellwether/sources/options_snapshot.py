"""The option chain of an underlying as it stands when it is asked for: what the vendor can never be asked for later."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from bellwether.calendar import SessionHours
from bellwether.errors import BadResponse, LakeError
from bellwether.options.hours import priced_by
from bellwether.schemas import OPTIONS_SNAPSHOT
from bellwether.sources import endpoints
from bellwether.sources.listing import Listing
from bellwether.sources.raw import Request
from bellwether.sources.rest import PolygonRest
from bellwether.sources.rows import Greeks, OptionQuote, OptionSnapshot
from bellwether.sources.source import Answer, answer_to, of_kind
from bellwether.sources.walk import PageLog

_NS_PER_MS = 1_000_000
_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_NO_QUOTE, _NO_GREEKS = OptionQuote(), Greeks()


class OptionsSnapshot:
    """The whole chain of an underlying, all expirations and strikes: a `Source`.

    Contracts are listed under SPX, their chain is asked for as I:SPX; here it is SPX in both.

    That its pages came while the session's chain still stood is checked where all answers pass
    (`bellwether.ingest.haul`), by `bellwether.due.UNTIL`.
    """

    dataset = "options_snapshot"

    def ask(self, rest: PolygonRest, subject: str, hours: SessionHours, page_log: PageLog) -> Iterator[Answer]:
        """Ask for the chain of an underlying, 250 contracts a page."""
        del hours  # the vendor knows the present only
        filters = {"underlying": priced_by(subject)}
        yield answer_to(lambda: rest.listing(endpoints.OPTIONS_SNAPSHOT, filters, page_log=page_log))

    def subject_of(self, request: Request) -> str:
        """Return the underlying of a request; `ValueError` for what asks for no chain."""
        if request.endpoint != endpoints.OPTIONS_SNAPSHOT.name:
            msg = f"no request for a chain: {request.endpoint}"
            raise ValueError(msg)
        return request.arguments["underlying"].removeprefix("I:")

    def check_asked(self, request: Request, hours: SessionHours) -> None:
        """Refuse a chain that was asked for in part; `LakeError`."""
        del hours
        if parts := sorted(request.arguments.keys() - {"underlying"}):
            msg = f"asked for a part of the chain, by {', '.join(parts)}"
            raise LakeError(msg)

    def rows(self, subject: str, answers: Sequence[Answer], hours: SessionHours) -> pa.Table:
        """Return a row per contract; `NotFound` where the vendor knows no such underlying.

        Raises
        ------
        BadResponse
            A size or an open interest is no whole number of contracts.
        """
        del hours
        [only] = answers
        answer = of_kind(Listing, only)
        came = (
            page.received_utc for page, rows in zip(answer.pages, answer.rows_by_page, strict=True) for _ in range(rows)
        )
        found = [_row(subject, ts, row) for ts, row in zip(came, answer.rows, strict=True)]
        try:
            columns = {
                field.name: _column([row[field.name] for row in found], field.type) for field in OPTIONS_SNAPSHOT
            }
        except pa.ArrowInvalid as error:
            page = answer.pages[0]
            msg = f"a number that should be whole is not: {error}"
            raise BadResponse(msg, url=page.url, status=page.http_status, request_id=page.request_id) from error
        return pa.table(columns)


def _row(underlying: str, ts: datetime, row: OptionSnapshot) -> dict[str, object]:
    details, asset, trade = row.details, row.underlying_asset, row.last_trade
    quote, greeks = row.last_quote or _NO_QUOTE, row.greeks or _NO_GREEKS
    return {
        "underlying": underlying,
        "ticker": details.ticker,
        "ts": ts,
        "right": details.contract_type,
        "exercise_style": details.exercise_style,
        "expiration": details.expiration_date,
        "strike": details.strike_price,
        "multiplier": details.shares_per_contract,
        "bid": quote.bid,
        "ask": quote.ask,
        "bid_size": None if quote.bid is None else quote.bid_size,
        "ask_size": None if quote.ask is None else quote.ask_size,
        "mid": mid(quote.bid, quote.ask),
        "quote_ts": _ms(quote.last_updated),
        "last_price": trade and trade.price,
        "last_size": trade and trade.size,
        "last_ts": _ms(trade.sip_timestamp) if trade else None,
        "day_volume": row.day and row.day.volume,
        "open_interest": row.open_interest,
        "vendor_iv": row.implied_volatility,
        "vendor_delta": greeks.delta,
        "vendor_gamma": greeks.gamma,
        "vendor_theta": greeks.theta,
        "vendor_vega": greeks.vega,
        "underlying_price": asset.value if asset.price is None else asset.price,
        "break_even_price": row.break_even_price,
    }


def mid(bid: float | None, ask: float | None) -> float | None:
    """Return the middle of a quote; None unless both sides are above 0: half of an ask that nobody bids is no price."""
    # Prices have at most four decimals, hence their middle five: rounded there, 4.6 and 4.8 make 4.7.
    return round((bid + ask) / 2, 6) if bid and ask and bid > 0 and ask > 0 else None


def _ms(nanoseconds: int | None) -> int | None:
    # The vendor's 0 means "never". Whole numbers throughout: a float64 cannot hold a nanosecond of today.
    return nanoseconds // _NS_PER_MS if nanoseconds else None


def _column(values: list[object], kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind):
        return pa.array(values, pa.float64()).cast(kind)  # refuses what is not whole
    if pa.types.is_timestamp(kind):
        # Pages come to the microsecond: as with the vendor's instants, what is finer than a millisecond is left out.
        times = ((v - _EPOCH) // _MS if isinstance(v, datetime) else v for v in values)
        return pa.array(times, pa.int64()).cast(kind)
    return pa.array(values, kind)
