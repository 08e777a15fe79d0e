"""### News, one trading session per run

Fetches every article of the vendor's feed, about whatever ticker, from the close of the session before to this
session's close: Monday's run has the weekend. Publishes one row per article and ticker, with language and sentiment
(`docs/news.md`, `docs/sentiment.md`), as `clean/news/session=YYYY-MM-DD/news.parquet`. Runs 60 minutes after the close,
half days included.

**Fetched again** (*Fetch again*, or clear the run), a session keeps every article and every wording it had; what
changed is a further version. If nothing did, `publish` is skipped.

**A plan without news** is no failure while `news.required` is false in `sources.yaml`.

Triggering, failures, waits and ranges: as in `equities_daily`; there are no tickers to choose.
"""

from bellwether_airflow.producers import daily_producer

dag = daily_producer("news_daily", doc_md=__doc__)
