"""### What the streams missed, filled through REST, one trading session per run

Begins with `session_stream` and goes on until the session's streams are over and no gap is open; on the way it holds a
slot for some seconds every 5 minutes. `docs/streaming.md` tells what a gap is.

A task for each dataset. A round takes the gaps that have ended, asks REST for the minutes that they may have hidden,
each ticker once, writes what the recordings lack beside them, and compares: a gap is closed when the recordings have
REST's minutes and volumes, and these numbers are its evidence. Then `DATASET_live` is published anew. REST is asked
10 minutes after a gap's end, on delayed plans 25 minutes.

**A gap stays open** while nobody listens, while nobody can say whom a rule means, and where REST fails, lacks a minute
that was recorded, or refuses a required ticker. The log of each round says why.

**The deadline** is 30 minutes after the stream's end (20:46 New York, equities): then the task fails with the list of
gaps and what keeps them open, and one message goes out. Mend it and clear the task: it does a round whenever it runs.

**A recorder that is gone for good** leaves no gap behind. When the session is over, this says in its place where it
ended, and fills that too.

**Skipped** are datasets of which nobody recorded anything, and such of which nothing was missed.

**Trigger by hand** with a session as *Partition Key*, or `bellwether repair DATASET --session S`. Gaps are rows:
`bellwether.lake.read("gaps", ...)`.
"""

from bellwether_airflow.repair import repair_dag

dag = repair_dag("gap_repair", doc_md=__doc__)
