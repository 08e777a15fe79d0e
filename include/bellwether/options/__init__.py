"""Listed options: what their symbols say, when they trade, which of them matter on a session.

Knows neither the vendor's transport nor the lake nor Airflow.
"""
