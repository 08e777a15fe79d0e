"""Smile and term structure of a chain, at an instant of New York's clock.

    python volatility.py LAKE 2024-01-18 AAPL 15:30 volatility.html

There is a smile where `strikes` of `sources.yaml` captures more than the few next to the money.
"""

import sys
from datetime import UTC, datetime, timedelta

import altair as alt
import pyarrow.compute as pc

from bellwether import lake
from bellwether.calendar import NEW_YORK

PRINTS_OF = timedelta(minutes=30)
NEAREST = 4  # expirations


def volatility(root: str, session: str, underlying: str, clock: str) -> alt.HConcatChart:
    """Return what was known at an instant: the prints of the half hour before it, and volatility at the money."""
    now = datetime.fromisoformat(f"{session}T{clock}").replace(tzinfo=NEW_YORK).astimezone(UTC)
    chain = lake.read("chain", session, session, underlying, root=root)
    ended = pc.add(chain["ts"], timedelta(minutes=1))
    recent = (
        pc.field("iv").is_valid()
        & ~pc.field("is_american_biased")
        & (pc.field("ended") <= now)
        & (pc.field("ended") > now - PRINTS_OF)
    )
    columns = ["expiration", "right", "strike", "spot", "iv"]
    prints = chain.append_column("ended", ended).filter(recent).select(columns).to_pandas()
    nearest = sorted(prints["expiration"].unique())[:NEAREST]
    smile = prints[prints["expiration"].isin(nearest)].assign(
        moneyness=lambda each: each["strike"] / each["spot"], expiration=lambda each: each["expiration"].astype(str)
    )
    axis = alt.Axis(format=".1%")
    left = (
        alt.Chart(smile)
        .mark_point()
        .encode(
            x=alt.X("moneyness:Q", title="strike / spot", scale=alt.Scale(zero=False)),
            y=alt.Y("iv:Q", axis=axis, title="implied volatility", scale=alt.Scale(zero=False)),
            color="expiration:N",
            shape="right:N",
        )
    )

    columns = ["ts", "chain_expirations", "chain_atm_iv"]
    minutes = lake.read("minutes", session, session, underlying, columns, root=root)
    [last] = minutes.filter(pc.equal(minutes["ts"], now - timedelta(minutes=1))).to_pylist()
    pairs = zip(last["chain_expirations"], last["chain_atm_iv"], strict=True)
    # A date alone Vega takes for midnight in Greenwich, which is the day before in New York.
    term = [{"expiration": f"{day}T00:00", "iv": iv} for day, iv in pairs if iv is not None]
    right = (
        alt.Chart(alt.Data(values=term))
        .mark_line(point=True)
        .encode(
            x=alt.X("expiration:T", title="expiration", axis=alt.Axis(format="%b %d")),
            y=alt.Y("iv:Q", axis=axis, title="at the money", scale=alt.Scale(zero=False)),
        )
    )
    title = f"{underlying} {session} {clock} New York"
    return alt.hconcat(left.properties(width=460, title=title), right.properties(width=360, title="term structure"))


if __name__ == "__main__":
    *where, page = sys.argv[1:]
    volatility(*where).save(page)
