"""The universe: which tickers a session is to capture.

`spec` is what the configuration may say (a list, a file, a rule), `rules` asks the vendor who a rule means at
a date. What was decided for a session is the lake's to keep. Nothing heavy is imported here: DAG files load
the configuration.
"""
