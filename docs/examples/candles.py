"""A session's candles with the VIX below: python candles.py LAKE 2024-01-18 AAPL candles.html."""

import sys

import altair as alt

from bellwether import lake

EVERY_MIN = 5


def candles(root: str, session: str, ticker: str) -> alt.VConcatChart:
    """Return five-minute candles over the index; dashes where nothing was traded."""
    columns = ["ts", "open", "high", "low", "close", "vix"]
    minutes = lake.read("minutes", session, session, ticker, columns, root=root).to_pandas()
    bars = minutes.resample(f"{EVERY_MIN}min", on="ts").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "vix": "last"}
    )
    base = alt.Chart(bars.reset_index()).encode(x=alt.X("ts:T", title=None)).properties(width=900)
    colour = alt.condition("datum.close >= datum.open", alt.value("#2a7f62"), alt.value("#b23a48"))
    wicks = base.mark_rule().encode(
        y=alt.Y("low:Q", title="dollars", scale=alt.Scale(zero=False)), y2="high:Q", color=colour
    )
    bodies = base.mark_bar(size=7).encode(y="open:Q", y2="close:Q", color=colour)
    vix = base.mark_line(interpolate="step-after").encode(y=alt.Y("vix:Q", title="VIX", scale=alt.Scale(zero=False)))
    prices = (wicks + bodies).properties(height=320, title=f"{ticker} {session}")
    return alt.vconcat(prices, vix.properties(height=90))


if __name__ == "__main__":
    root, session, ticker, page = sys.argv[1:]
    candles(root, session, ticker).save(page)
