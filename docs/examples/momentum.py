"""Momentum of all tickers over a session as a heat map: python momentum.py LAKE 2024-01-18 momentum.html."""

import sys

import altair as alt

from bellwether import lake

EVERY_MIN = 15


def momentum(root: str, session: str) -> alt.Chart:
    """Return the returns since the open, at the end of every quarter of an hour."""
    minutes = lake.read("minutes", session, session, columns=["ticker", "ts", "mom_since_open"], root=root).to_pandas()
    quarter = minutes["ts"].dt.floor(f"{EVERY_MIN}min")
    last = minutes.groupby(["ticker", quarter])["mom_since_open"].last().reset_index()
    return (
        alt.Chart(last, title=f"Return since the open, {session}")
        .mark_rect()
        .encode(
            x=alt.X("hoursminutes(ts):O", title=None),
            y=alt.Y("ticker:N", title=None),
            color=alt.Color("mom_since_open:Q", title="log return", scale=alt.Scale(scheme="redblue", domainMid=0)),
        )
    )


if __name__ == "__main__":
    root, session, page = sys.argv[1:]
    momentum(root, session).save(page)
