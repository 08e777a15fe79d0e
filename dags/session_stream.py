"""### Minutes as they are broadcast, one trading session per run

Records what the vendor streams of a session while it goes on, and publishes it afterwards as
`live/DATASET_live/session=YYYY-MM-DD/DATASET_live.parquet`. A run begins 10 minutes before extended hours, at 03:50 New
York on every session, half days included. `docs/streaming.md` tells what is recorded, and what a gap is.

| task | does |
| --- | --- |
| `wait` | waits without a slot until the broadcasts begin, and until the session's option contracts are published |
| `stream` | records until 20:16 New York, when the last minute can no longer change; one process, one connection |
| `poll` | asks for news every 5 minutes until the close, no slot held between; what it saw first when, `news` keeps |
| `compact` | makes one partition of what was recorded; tickers that a gap may concern are `partial` |
| `gold.intraday` | every 5 minutes: the same of what there is so far, and provisional `minutes` and `chain` of it |
| `reconcile` | waits without a slot for the daily pull, 20 hours at most, and compares: the dataset `reconciliation` |

**How it is getting on** stands in the log of `stream` every 5 minutes: until when everything is on disk or in a gap,
rows, gaps, how many seconds it hears behind. Times are the feed's.

**It breaks off.** Lost connections are made anew by the task itself. A task that is killed, cleared, or stopped by a
deploy has everything on disk, and its next try goes on within half a minute; what was missed meanwhile is a gap, which
`gap_repair` fills. Nothing is to be done. *Mark failed* ends it for good, as `bellwether workers stop` does; clear it
to go on.

**One message** tells of a recorder that has heard nothing for 15 minutes of the session, and of a failed run.

**Provisional gold** ends with the last minute heard, and is final when the daily pulls land. A round that fails is in
the log, three in a row are one message; clear `gold.intraday` to go on after it failed at the end.

**Trigger by hand.** With a session as *Partition Key*, it records that session where it is still to come or going on:
by the clock of the simulator where the Connection `polygon_default` is simulated, so any session can be rehearsed. A
session that is over is refused, unless something was recorded of it: that is compacted again.

**A plan without options, indices or news** is no failure while they are not `required` in `sources.yaml`: they are
skipped. Where equities are a rule in `sources.yaml`, all stocks are recorded.

Two recorders of one session do not run at once: the second waits for the first, and fails in the end. Each `stream`
holds a slot of the pool `streams` all day.
"""

from bellwether_airflow.streaming import session_stream

dag = session_stream("session_stream", doc_md=__doc__)
