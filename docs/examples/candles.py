"""A session's candles with the VIX below: python candles.py LAKE 2024-01-18 AAPL candles.html."""

import sys

import altair as alt

from bellwether import lake
from bellwether.calendar import NEW_YORK

EVERY_MIN = 5


def candles(root: str, session: str, ticker: str) -> alt.VConcatChart:
    """Return five-minute candles over the index, on New York's clock; dashes where nothing was traded."""
    columns = ["ts", "open", "high", "low", "close", "vix"]
    minutes = lake.read("minutes", session, session, ticker, columns, root=root).to_pandas()
    # Without a zone Vega shows the clock as it is, and not that of who looks.
    minutes["ts"] = minutes["ts"].dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    bars = minutes.resample(f"{EVERY_MIN}min", on="ts").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "vix": "last"}
    )
    clock = alt.Axis(format="%H:%M", tickCount=13)
    base = alt.Chart(bars.reset_index()).properties(width=900)
    colour = alt.condition("datum.close >= datum.open", alt.value("#2a7f62"), alt.value("#b23a48"))
    wicks = base.mark_rule().encode(
        x=alt.X("ts:T", title=None, axis=clock),
        y=alt.Y("low:Q", title="dollars", scale=alt.Scale(zero=False)),
        y2="high:Q",
        color=colour,
    )
    bodies = base.mark_bar(size=7).encode(x="ts:T", y="open:Q", y2="close:Q", color=colour)
    vix = base.mark_line().encode(
        x=alt.X("ts:T", title="New York", axis=clock), y=alt.Y("vix:Q", title="VIX", scale=alt.Scale(zero=False))
    )
    prices = (wicks + bodies).properties(height=320, title=f"{ticker} {session}")
    return alt.vconcat(prices, vix.properties(height=90))


if __name__ == "__main__":
    root, session, ticker, page = sys.argv[1:]
    candles(root, session, ticker).save(page)
