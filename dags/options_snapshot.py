"""### Option chains before the close, one trading session per run

Keeps the whole chain of every underlying of `sources.yaml` (by default AAPL and SPY) as it stands 10 minutes before the
close, at 15:50 New York, on half days at 12:50: quotes, last trades, open interest, and the vendor's volatility and
Greeks. Published as `clean/options_snapshot/session=YYYY-MM-DD/options_snapshot.parquet`, a row per contract.

**This can never be fetched later.** The vendor shows the present alone. A run must have its last page by the close;
from then on it fails at once with `SnapshotMissed`, asks for nothing, and the session is `missing` in
`bellwether coverage` for ever. So do runs of the *Backfill* form, runs cleared on a later day, and the first run after
the DAG was unpaused past the close. Nothing is to be done about the session; see that Airflow runs at the next one's.

**A run failed before the close.** Clear its failed `ingest` batch with everything downstream, at once.

**A session was published.** Clearing its run before the close takes the chain anew, as it stands then.

**A plan without snapshots** is no failure while `options_snapshot.required` is false in `sources.yaml`: the session is
published without rows, coverage `not_entitled`.

Its tasks have a pool of their own, `snapshot_requests`, so that no backfill keeps them waiting. Under a rate limit each
page of 250 contracts is a request: `docs/snapshot.md` says what fits into ten minutes, and what the columns mean.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("options_snapshot", doc_md=__doc__)
