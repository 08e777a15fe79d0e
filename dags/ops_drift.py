"""### Drift: decide about a change of what the vendor sends

`ops_health` starts a run for each change that holds sessions back: a field renamed, gone, of another type or unit, a
new word, more nulls than usual. Everything else is published meanwhile; the answers concerned are kept as they came,
their tickers are `quarantined`. By hand: trigger it with the change's id, which the task `drift` of `ops_health` names
in its log.

**To decide,** open the run (or *Required Actions*): the page shows what was seen, and how the contract would change.
Only answers that are possible are offered.

- *Approve*: the contract's next version comes into force, and the sessions that wait are read by it from their kept
  answers, without a request: the new name as the old one, the unit converted, the word taken, so many nulls accepted.
  Not offered where no contract can say how to read them: the page says why.
- *Take as it is*, of values alone (`rescaled`, `nulls`): they are what they should be. Nothing is converted, and
  earlier sessions are no measure any more.
- *Reject*: what shows the change stays in quarantine, with your reason; later sessions that show it do, too, and nobody
  is asked again. `bellwether drift approve` still changes that.

Sessions that are published by it are announced to `session_consolidate`.

**`report` failed:** it names what was approved and still cannot be published: rows that break other rules, or a second
change, about which a run of its own asks. **`settle` failed** or was killed: clear it, or the whole run; what was
decided is not asked again, and what it began is finished.

What was seen and decided is the dataset `drift`; `docs/drift.md` tells the rest.
"""

from bellwether_airflow.drift import drift_dag

dag = drift_dag("ops_drift", doc_md=__doc__)
