"""### Equity minute bars, one trading session per run

Fetches every unadjusted one-minute bar of the universe (04:00-20:00 New York), validates the session
once and publishes it as `clean/equities/session=YYYY-MM-DD/equities.parquet`. Runs at 20:15 New York on
every session, half days included; never on weekends and holidays.

**Trigger by hand.** Give the session as *Partition Key* (`2025-11-28`); without one the last completed
session is taken. *Tickers* narrows the run to a few; only their rows are replaced. Tickers the ledger
calls complete are not fetched again unless *Fetch again* is set.

**A run failed.** Open the failed `ingest` batch, read the error, clear that task with everything downstream: it
fetches only what is missing, then validates, publishes and announces. What was valid has been published
meanwhile. A failed `validate` means a table rule refused the session: the previous revision stands untouched; see
`state/quality/` and `quarantine/` in the lake.

**A fetch is deferred.** The vendor asked to wait, and the task does so without a slot; its log says until when.
Leave it. `docs/retries.md` tells more.

**Who is told.** What failed, and that it healed, goes once to the sinks of the Connection `alerts` (`docs/alerts.md`).

**A whole range.** Use the *Backfill* form. Only sessions get a run.

| task | does |
| --- | --- |
| `plan` | settles which tickers the session is to capture, cuts what the ledger lacks into batches |
| `ingest` | fetches a batch, keeps the raw responses, passes the gate, stages |
| `validate` | one quality suite over the whole session; bad rows go to quarantine with a reason |
| `publish` | merges into the partition and swaps it atomically; skips when nothing changed |
| `inputs_ready`, `announce` | emit `session_ready` when all required inputs stand and gold lacks them |
| `report` | fails the run when a required ticker could not be fetched, warns of best-effort ones |
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("equities_daily", doc_md=__doc__)
