"""Incidents: what is wrong with a dataset of a session, from the first word of it until people heard that it healed.

The lake holds them, so that processes which fail at once agree on one incident and one message. This room knows no
Airflow and no sink: who reports brings the words, who delivers gets the messages.
"""
