"""Bellwether's Airflow side: timetables, hooks and the resolving of Connections into plain values.

Thin by design: each piece wraps a call of the `bellwether` library, which knows nothing of Airflow.
The package is not scanned as plugins (see `plugins/.airflowignore`); `bellwether_plugin.py` registers
what Airflow must know. Nothing here may import data libraries at module level.
"""
