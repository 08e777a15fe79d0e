"""News as rows: clean text, its language, its sentiment, one row per article and ticker, versions of changed articles.

Knows the vendor's article and Arrow, neither how articles come nor where rows go.
"""
