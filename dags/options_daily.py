"""### Option minute bars, one trading session per run

Fetches every unadjusted one-minute bar of the session's contracts, from the open until 20:00 New York, so that trades
reported late are there; they are counted (`print_after_close`). Validates the session once and publishes it as
`clean/options/session=YYYY-MM-DD/options.parquet`. Runs an hour after the close, earlier on half days.

**Which contracts.** Those of the published partition `contracts`; where there is none, or an underlying of it is not
known, `plan` discovers them first, as of the session. A later revision of `contracts` is followed by the next run. No
contracts at all publish a partition without rows.

**Most contracts trade rarely,** many not at all: coverage `empty` is usual, and silent minutes are not counted.

**A plan without options** is no failure while `options.required` is false in `sources.yaml`: coverage `not_entitled`.

*Tickers* are contracts. Triggering, failures, waits and ranges: as in `equities_daily`.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("options_daily", doc_md=__doc__)
