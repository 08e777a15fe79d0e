"""Implied volatility and Greeks of option prices, with a reason for every row that has none.

`engine.greeks` is what others call, with `rows.rows` in front; `conventions` says how time is counted and what the
numbers mean. `kernel` and `reference` are the engines, behind one `gate`. Knows neither tickers nor the lake.
"""
