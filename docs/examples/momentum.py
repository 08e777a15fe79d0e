"""Momentum of all tickers over a session as a heat map: python momentum.py LAKE 2024-01-18 momentum.html."""

import sys

import altair as alt
import pandas as pd

from bellwether import lake
from bellwether.calendar import NEW_YORK

EVERY = pd.Timedelta(minutes=15)


def momentum(root: str, session: str) -> alt.Chart:
    """Return the returns since the open, at the end of every quarter of an hour on New York's clock."""
    minutes = lake.read("minutes", session, session, columns=["ticker", "ts", "mom_since_open"], root=root).to_pandas()
    known = minutes["ts"].dt.floor(EVERY) + EVERY
    # Without a zone Vega shows the clock as it is, and not that of who looks.
    minutes["known"] = known.dt.tz_convert(NEW_YORK).dt.tz_localize(None)
    last = minutes.groupby(["ticker", "known"])["mom_since_open"].last().reset_index()
    return (
        alt.Chart(last, title=f"Return since the open, {session}")
        .mark_rect()
        .encode(
            x=alt.X("hoursminutes(known):O", title="New York"),
            y=alt.Y("ticker:N", title=None),
            color=alt.Color(
                "mom_since_open:Q",
                title="log return",
                scale=alt.Scale(scheme="redblue", domainMid=0),
                legend=alt.Legend(format=".1%"),
            ),
        )
    )


if __name__ == "__main__":
    root, session, page = sys.argv[1:]
    momentum(root, session).save(page)
