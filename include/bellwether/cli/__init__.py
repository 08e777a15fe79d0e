"""The command line: the same library calls as the DAGs, for people and scripts."""
