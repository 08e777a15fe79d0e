"""Notifiers: what Airflow calls when people are to be told of a run."""
