"""### Day bars of the whole market, one trading session per run

Asks once for the vendor's own day bar of every stock that traded, OTC left out, unadjusted, and publishes them as
`clean/daily_bars/session=YYYY-MM-DD/daily_bars.parquet`. Runs at 20:30 New York on every session, after the minutes.

**report** compares them with the session's published `equities`, rolled up over regular hours, and warns in its log of
what is unusual, with the tickers; counts are in its XCom `crosscheck`. Nothing fails by it. While `equities` are not
published it says so, and `report` of `equities_daily` compares instead.
`bellwether crosscheck --session YYYY-MM-DD` shows the differences at any time; what they mean: `docs/reference.md`.

The vendor corrects a day's bars for some days. Fetched again (*Fetch again*, or clear the run), the newer answer
replaces the older one.

**A plan without them** is no failure while `daily_bars.required` is false in `sources.yaml`.

Triggering, failures, waits and ranges: as in `equities_daily`; there are no tickers to choose.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("daily_bars", doc_md=__doc__)
