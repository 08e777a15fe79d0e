"""What is taken for granted of an underlying's options on a session, from the inputs of its gold."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.consolidate.chain import Terms
from bellwether.consolidate.greeks.conventions import BELLWETHER, FROM_BAR_START
from bellwether.consolidate.pinned import Pinned
from bellwether.logging import get_logger
from bellwether.reference.rates import curve_known_on
from bellwether.reference.yields import trailing_yield
from bellwether.schemas import TIMESTAMP

log = get_logger(__name__)

_CONVENTIONS = {"product": BELLWETHER, "from_bar_start": FROM_BAR_START}


def terms_of(read: Pinned, config: Config, underlying: str) -> Terms:
    """Return rates, yield and conventions, by what is published and what the settings say."""
    chain = config.settings.consolidation.chain
    curve = curve_known_on(read.table("rates"), read.session)
    if chain.rate is None and not len(curve):
        log.warning("no interest rate is known", session=read.session.isoformat(), underlying=underlying)
    paid = chain.dividend_yields.get(underlying, chain.dividend_yield)
    if paid == "trailing":
        paid = _trailing_yield(read, underlying)
    return Terms(_CONVENTIONS[chain.conventions], chain.engine, curve, chain.rate, paid)


def _trailing_yield(read: Pinned, underlying: str) -> float:
    """Return the yield over the close before; NaN where dividends, splits or that close are not known."""
    before = read.sessions_before("equities")
    if not before or underlying not in read.told("dividends") & read.told("splits"):
        return np.nan
    dividends, splits = (read.table(name, tickers=[underlying]) for name in ("dividends", "splits"))
    return trailing_yield(dividends, splits, read.session, _close_of(read, underlying, before[-1]), before[-1])


def _close_of(read: Pinned, ticker: str, session: date) -> float:
    """Return the last price of the regular hours of a session before; NaN where it has none."""
    bars = read.table("equities", session, tickers=[ticker])
    bars = bars.filter(pc.less(bars["ts"], pa.scalar(get_calendar().hours(session).close, TIMESTAMP)))
    return float(bars["close"][-1].as_py()) if len(bars) else np.nan
