"""Looks for secrets in everything a run leaves: files, what is compressed inside them, database rows, API answers.

It knows encodings, not Bellwether: a secret counts as found in plain text, quoted for URLs, in base64 at any
offset, and inside Parquet, gzip and zip content.
"""

import base64
import gzip
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq

from bellwether.airflow_api import AirflowApi, ApiError


@dataclass(frozen=True)
class Secret:
    """A secret to look for, with the forms it may take."""

    value: str

    def found_in(self, content: bytes) -> bool:
        """Return whether any form of the secret stands in `content`."""
        return any(form in content for form in self._forms())

    def _forms(self) -> set[bytes]:
        plain = {self.value, quote(self.value, safe=""), quote_plus(self.value), json.dumps(self.value)[1:-1]}
        return {form.encode() for form in plain} | set(_base64_forms(self.value.encode()))


def _base64_forms(value: bytes) -> Iterator[bytes]:
    """Yield what every base64 text around `value` contains, for each of the three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + value)
        # The first and the last characters also depend on the neighbours.
        yield encoded[4 * bool(before) : (before + len(value)) // 3 * 4]


def leaks_in_files(folders: Iterable[Path], secrets: Iterable[Secret], allowed: Iterable[Path] = ()) -> list[str]:
    """Return `file: where` for every file below `folders` with a secret in it, but for the `allowed` files."""
    secrets, allowed = list(secrets), {path.resolve() for path in allowed}
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [
        f"{path}: {where}"
        for path in files
        if path.resolve() not in allowed
        for where, content in _contents(path)
        if any(secret.found_in(content) for secret in secrets)
    ]


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    raw = path.read_bytes()
    yield "bytes", raw
    yield "name", str(path).encode()
    if path.suffix == ".parquet" or raw[:4] == b"PAR1":
        table = pq.ParquetFile(path).read()
        yield "metadata", b"".join(value for pair in (table.schema.metadata or {}).items() for value in pair)
        for name in table.column_names:
            values = table[name].unique() if pa.types.is_string(table[name].type) else table[name]
            if pa.types.is_string(values.type) or pa.types.is_large_binary(values.type):
                cells = [v if isinstance(v, bytes) else v.encode() for v in values.to_pylist() if v is not None]
                yield f"column {name}", b"\n".join(cells)
    elif raw[:2] == b"\x1f\x8b":
        yield "gzip", gzip.decompress(raw)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)


def leaks_in_sqlite(database: Path, secrets: Iterable[Secret]) -> list[str]:
    """Return `table.column` for every cell of a database with a secret in it."""
    secrets, found = list(secrets), set()
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            rows = connection.execute(f'select * from "{table}"')  # noqa: S608 - names from the database itself
            names = [description[0] for description in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    content = value if isinstance(value, bytes) else str(value).encode()
                    if any(secret.found_in(content) for secret in secrets):
                        found.add(f"{table}.{name}")
    finally:
        connection.close()
    return sorted(found)


def crawl(api: AirflowApi, values: Mapping[str, Iterable[str]]) -> dict[str, bytes]:
    """Ask every GET of Airflow's public API whose path parameters are known, with all their values.

    Parameters
    ----------
    values
        Values of each path parameter by its name, e.g. `{"dag_id": ["equities_daily"]}`.

    Returns
    -------
    dict of str to bytes
        Answer by path; refusals with Airflow's words.
    """
    specification = json.loads(api.request("GET", "../../openapi.json"))
    answers: dict[str, bytes] = {}
    for template, methods in specification["paths"].items():
        # A GET of auth/logout ends the login.
        if "get" not in methods or not template.startswith("/api/v2/") or template.startswith("/api/v2/auth/"):
            continue
        for path in _filled(template.removeprefix("/api/v2/"), values):
            try:
                answers[path] = api.request("GET", path)
            except ApiError as error:
                answers[path] = str(error).encode()
    return answers


def _filled(template: str, values: Mapping[str, Iterable[str]]) -> list[str]:
    paths = [template]
    for name in re.findall(r"{(\w+)}", template):
        paths = [
            path.replace(f"{{{name}}}", quote(value, safe="~")) for path in paths for value in values.get(name, ())
        ]
    return paths
