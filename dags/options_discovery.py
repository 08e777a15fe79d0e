"""### Option contracts that matter, one trading session per run

Finds the contracts of every underlying of `sources.yaml` (`options.universe`) as of the session: the opening price
first, then what is listed within the strikes and expirations of `options.contracts` (`docs/options.md`). Publishes them
as `clean/contracts/session=YYYY-MM-DD/contracts.parquet`, each with the price and the rule it was chosen by. Runs 20
minutes after the open, at 09:50 New York: by then the first minute is known on delayed plans too.

**A plan with end-of-day data** knows no opening price before the day is over: the fetch is deferred until then,
without a slot. Leave it.

**The underlying did not open.** Its last close is taken; the log warns, and `opening_price_source` says so.

**No contract is in the band.** That is no failure: coverage is `empty`, with the band and the price as reason.

`options_daily` captures the bars of what stands here, and discovers a session by itself where nothing does.
*Tickers* are underlyings. Triggering, failures, waits and ranges: as in `equities_daily`.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("options_discovery", doc_md=__doc__)
