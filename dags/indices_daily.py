"""### Index minute bars, one trading session per run

Fetches every one-minute bar of the indices of `sources.yaml` (by default I:VIX), from midnight to 20:00 New York: an
index is computed at hours of its own. Validates the session once and publishes it as
`clean/indices/session=YYYY-MM-DD/indices.parquet`. Bars have no volume. Bars after the close that merely repeat
the last value are kept and marked `is_stale`. Runs at 20:15 New York on every session.

**A plan without indices** is no failure while `indices.required` is false in `sources.yaml`: the session is published
without rows, coverage `not_entitled`. With another plan, run it again with *Fetch again*.

Triggering, failures, waits and ranges: as in `equities_daily`.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("indices_daily", doc_md=__doc__)
