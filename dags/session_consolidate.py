"""### Gold: a session's minutes and option chain, consolidated from what is published of it

Builds `gold/minutes/session=YYYY-MM-DD/minutes.parquet`, every equity at every minute with volatility index, momentum,
indicators, news and aggregates of its options, and `gold/chain/...`, every option print with implied volatility and
Greeks. `docs/features.md` says what the columns mean.

**Runs by itself**, when every required input of a session is published and gold does not record it yet: producers
announce that (`session_ready`), for the session itself and for the later ones whose indicators begin with it. Each set
of inputs is published once. A run that finds gold up to date, or newer inputs while it builds, is skipped and says so
in the log of the task that left: nothing is to be done.

**Trigger by hand.** Give the session as *Partition Key* (`2025-11-28`). *Build again* builds although gold records
these inputs: after a change of `consolidation` in `settings.yaml`. Clearing a whole run does the same.

**A run failed.** *InputsMissing* in `plan` names the dataset, its state and the run to start or clear: do that, and the
session is announced again; this run can stay as it is. Anything else: read the error, clear the task with everything
downstream.

**While it is paused** announcements are lost to it. `ops_health` finds the sessions and announces them again.

| task | does |
| --- | --- |
| `plan` | compares the published revisions with those gold records |
| `build_chain` | one underlying's prints: volatilities and Greeks |
| `build_minutes` | the minutes of all equities |
| `publish` | swaps both in, if their inputs are still those published; emits `minutes` and `chain` |
"""

from bellwether_airflow.consolidation import session_consolidation

dag = session_consolidation("session_consolidate", doc_md=__doc__)
