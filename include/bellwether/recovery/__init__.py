"""Recovery of many sessions at once: what is to be done (`plan`), in words (`page`), and done through Airflow (`work`).

The ledger says what is to be done and, after an interruption, what is left. Airflow is known here as runs, backfills
and clears (`work.Airflow`), the vendor not at all.
"""
