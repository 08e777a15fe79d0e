"""### Restatements: sessions that are over, fetched again, and what the vendor says otherwise by then

In the night of every session (22:30 New York) the session before it (T+1) and the third before it (T+3) are fetched
again: `equities`, `options` and `indices`, each by a run of its own DAG, `restate__<session>__t<n>__<night>`. What
differs is published as a new revision; what it replaced is kept (`lake.read(..., as_of=...)`).

| task | does |
| --- | --- |
| `plan` | of the sessions before, what is published; DAGs that are paused are left out |
| `repull` | begins the run and waits for it without a slot |
| `compare` | publishes `ops/restatements/session=<that session>`, a row for each bar that changed; returns a summary |
| `report` | fails the run where something could not be fetched again at all |

**Who hears of it.** `session_ready` is emitted, by the run that fetched again, only where the session differs from what
its gold was built of by more than `restatement.tolerance` of `settings.yaml` (share of bars, move of a price, share of
the volume), all restatements since then taken together. Within tolerance gold stays, and counts as complete; to build
it anyway trigger `session_consolidate` for the session.

**A run that fetches again failed.** It tells so itself, as every run of its DAG: mend and clear that one, then
clear its `repull` here with what follows. **`repull` failed:** Airflow did not answer; clear it, it goes on with the
run that was begun.

**For another night** give its session as *Partition Key*. Long after, what differs is late and goes to quarantine
(`docs/late-data.md`).

It needs the Connection `airflow_api` (type HTTP), as `ops_recover` does (`docs/operations.md`).
"""

from bellwether_airflow.restating import restatement_dag

dag = restatement_dag("ops_restate", doc_md=__doc__)
