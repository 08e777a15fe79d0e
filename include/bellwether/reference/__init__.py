"""Reference data: splits, dividends, Treasury yields and tickers, from the vendor's rows to tables, and their reading.

`rows` brings typed rows into the schemas, `rates` says which interest rate was known when. This package asks nobody
and opens no file.
"""
