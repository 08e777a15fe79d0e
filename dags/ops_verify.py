"""### Verification: published sessions built again from their evidence, and compared to the byte

Every night two sessions, drawn from all that are published: the same two for the same night, other ones the next. By
hand: trigger it with *Sessions*, or with more of them *Sampled*.

`verify` builds each captured dataset again from its raw responses, with the rows that people released, and gold from
the published inputs that its manifest names; nothing that is published is touched. `report` publishes what came of it
(`bellwether.lake.read("verification", ...)`), and fails the run where something is not as it should be.

| state | means |
| --- | --- |
| `equal` | every byte is what the evidence comes to |
| `different` | not so, and nothing explains it |
| `damaged` | the file, or its raw responses, cannot be read, or not by the hash they were published under |
| `unverifiable` | nobody can tell, and why is said: raw is gone, gold is to be built anew, code changed with the rows |

**`report` failed:** it names session, dataset and the first difference. Somebody or something changed a published file
or its evidence, or a disk did. Put the file back from `revisions/` or a backup, or build it anew:
`bellwether replay-raw` for what is captured, `session_consolidate` with *Build again* for gold. Then trigger this with
that session.
`docs/quarantine.md` tells the rest.
"""

from bellwether_airflow.verifying import verification_dag

dag = verification_dag("ops_verify", doc_md=__doc__)
