"""DuckDB views of a lake as SQL text: plain Parquet and JSON, no Bellwether needed to read them."""

from bellwether.lake import paths
from bellwether.lake.lake import Lake
from bellwether.schemas import SCHEMAS

_COVERAGE_TYPE = (
    "MAP(VARCHAR, STRUCT(state VARCHAR, rows BIGINT, quarantined_rows BIGINT, duplicates_dropped BIGINT, "
    "stage_id VARCHAR, fetched_utc TIMESTAMPTZ, reason VARCHAR))"
)


def views(lake: Lake, endpoint_url: str = "", region: str = "") -> str:
    """Return the SQL that creates a view of every dataset with published sessions, and one of its coverage.

    Parameters
    ----------
    lake
        The lake.
    endpoint_url, region
        Of a bucket's store: for the secret to fill in. No secret is in the text.
    """
    statements = [f"-- Views of the lake at {_line(lake.root)}; read them with: duckdb -init FILE"]
    if lake.root.startswith("s3://"):
        statements.append(_access(lake.root, endpoint_url, region))
    for dataset in SCHEMAS:
        if lake.sessions(dataset):
            statements += [_rows(lake, dataset), _coverage(lake, dataset)]
        else:
            statements.append(f"-- {dataset}: nothing is published yet; write this file again when there is")
    return "\n\n".join(statements) + "\n"


def _rows(lake: Lake, dataset: str) -> str:
    files = _pattern(lake.root, f"{paths.dataset_folder(dataset)}/session=*/{dataset}.parquet")
    return (
        f"CREATE OR REPLACE VIEW {dataset} AS\n"
        f"SELECT * FROM read_parquet({files}, hive_partitioning = true, hive_types = {{'session': DATE}});"
    )


def _coverage(lake: Lake, dataset: str) -> str:
    files = _pattern(lake.root, f"{paths.manifests(dataset)}/*.json")
    columns = f"{{session: 'DATE', revision: 'VARCHAR', published_utc: 'TIMESTAMPTZ', coverage: '{_COVERAGE_TYPE}'}}"
    return (
        f"CREATE OR REPLACE VIEW {dataset}_coverage AS\n"  # noqa: S608 - names of SCHEMAS, a quoted path
        "SELECT session, revision, published_utc, entry.key AS ticker, unnest(entry.value)\n"
        "FROM (\n"
        "    SELECT session, revision, published_utc, unnest(map_entries(coverage)) AS entry\n"
        f"    FROM read_json({files}, format = 'unstructured', columns = {columns})\n"
        ");"
    )


def _access(root: str, endpoint_url: str, region: str) -> str:
    scheme, _, host = endpoint_url.rpartition("://")
    lines = ["KEY_ID '...'", "SECRET '...'"]
    lines += [f"REGION {_quoted(_line(region))}"] if region else []
    lines += [f"ENDPOINT {_quoted(_line(host))}", "URL_STYLE 'path'"] if host else []
    lines += ["USE_SSL false"] if scheme == "http" else []
    secret = ["CREATE SECRET lake (", "    TYPE s3,", *(f"    {line}," for line in lines)]
    secret += [f"    SCOPE {_quoted(_line(root))}", ");"]
    return "\n".join(
        [
            "INSTALL httpfs;",
            "LOAD httpfs;",
            "-- How to reach the bucket: fill in and uncomment, or, better, CREATE PERSISTENT SECRET once by hand.",
            *(f"-- {line}" for line in secret),
        ]
    )


def _pattern(root: str, below: str) -> str:
    """Return a glob below a root as SQL; what the root itself has of a glob's signs is meant literally."""
    literal = "".join(f"[{sign}]" if sign in "*?[" else sign for sign in root)
    return _quoted(f"{literal}/{below}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _line(text: str) -> str:
    """Return a text that stays within its comment."""
    return " ".join(text.split())
