"""Hooks: Airflow Connections turned into the library's transports. Imported inside tasks only."""
