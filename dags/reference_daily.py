"""### Splits, dividends, Treasury yields and listings, as known before each session

Fetches in the morning, an hour before the open (08:30 New York, on every session), and publishes four datasets, each
as `clean/DATASET/session=YYYY-MM-DD/DATASET.parquet`:

| dataset | holds |
| --- | --- |
| `splits`, `dividends` | all events the vendor lists of each equity ticker, past and announced |
| `rates` | the Treasury yields of the 30 days before the session, never its own: they are published after it |
| `tickers` | who each equity ticker was on the session |

The tickers are those of `equities.universe` in `sources.yaml`. Each dataset has its own group of tasks with the steps
of `equities_daily`; one that fails holds up no other, and one message tells of the run. No session waits for them
while `required` is false. A session that is captured later has the splits and dividends announced until then: the
vendor lists no earlier state (`docs/reference.md`).

**Trigger by hand.** *Tickers* narrows splits, dividends and tickers; rates are asked for as a whole.

Failures, waits and ranges: as in `equities_daily`.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("reference_daily", doc_md=__doc__)
