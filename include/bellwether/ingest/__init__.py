"""The daily capture of one dataset and session: plan, fetch batches, validate, publish, announce.

Each step is one function that an Airflow task or the command line calls; the steps hand over through
the stage in the lake, so any of them can die and run again.
"""
