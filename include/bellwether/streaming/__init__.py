"""Market hours: minutes recorded as they are broadcast, what was not heard, and what becomes of both.

`recorder` is what callers use; `compact` makes one table of what it left, `reconcile` compares that with the daily
pull. This room knows the vendor's streams and the lake, and neither Airflow nor how gaps are filled.
"""
