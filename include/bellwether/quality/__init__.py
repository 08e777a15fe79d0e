"""The quality gate: what a bar must be to be published, and what happens to one that is not.

`gate` judges every batch in milliseconds with Arrow alone; `validate` runs the reviewable Great
Expectations suite (`suites/*.json`) once per session. Both give the same verdict for each row. This
package knows nothing of vendors, of the lake or of Airflow.
"""
