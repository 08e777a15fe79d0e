"""Restatements: what the vendor says of a session once it is over, beside what it had said. Airflow is not known here.

A restatement is a publication of a run that fetched a session again on purpose (`names`); whatever is said of it is
read from the lake.
"""
