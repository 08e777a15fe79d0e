"""The SQL of the views runs as it is, in any folder, and holds no secret."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from bellwether.config import SinkSettings
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from bellwether.lake.views import views
from tests.bucket import ROOT, Bucket
from tests.builders import bars, failed, submission

DAYS = [date(2025, 7, 1), date(2025, 7, 2)]


def fill(lake: Lake) -> Lake:
    for day in DAYS:
        spy = submission(bars("SPY", day), session=day)
        spy.coverage.update(failed(["AAPL"]))
        publish(lake, spy, FileLayout(SinkSettings(), "snappy"))
    return lake


@pytest.mark.parametrize("name", ["lake", "it's [my] l*ke? --"])
def test_duckdb_sees_rows_sessions_and_coverage(tmp_path: Path, name: str) -> None:
    lake = fill(Lake.open(tmp_path / name, simulated=True))
    with duckdb.connect() as connection:
        connection.execute(views(lake))
        connection.execute(views(lake))
        found = connection.sql("SELECT session, count(*) FROM equities GROUP BY 1 ORDER BY 1").fetchall()
        assert found == [(DAYS[0], 5), (DAYS[1], 5)]
        closes = connection.execute("SELECT close FROM equities WHERE session = ? ORDER BY ts", [DAYS[1]]).fetchall()
        assert [close for (close,) in closes] == bars("SPY", DAYS[1])["close"].to_pylist()
        known = connection.sql("SELECT session, ticker, state, rows FROM equities_coverage ORDER BY ALL").fetchall()
        assert known == [row for day in DAYS for row in ((day, "AAPL", "failed", 0), (day, "SPY", "complete", 5))]


def test_an_empty_lake_gives_sql_without_views(tmp_path: Path) -> None:
    sql = views(Lake.open(tmp_path, simulated=True))
    with duckdb.connect() as connection:
        connection.execute(sql)
        assert connection.sql("SHOW TABLES").fetchall() == []
    assert "-- equities: nothing is published yet" in sql


def test_a_bucket_gets_a_commented_secret_to_fill_in(bucket: Bucket) -> None:
    options = {"key": "the-login", "secret": "a-secret-that-must-not-be-seen"}
    lake = fill(Lake.open(ROOT, options=options, simulated=True))
    lines = views(lake, "http://minio.example:9000", "eu-west-1").splitlines()
    secret = [line for line in lines if line.startswith("--     ")]
    assert [line.strip("- ,") for line in secret] == [
        "TYPE s3",
        "KEY_ID '...'",
        "SECRET '...'",
        "REGION 'eu-west-1'",
        "ENDPOINT 'minio.example:9000'",
        "URL_STYLE 'path'",
        "USE_SSL false",
        f"SCOPE '{ROOT}'",
    ]
    assert not any(value in "\n".join(lines) for value in options.values())
    assert any(f"read_parquet('{ROOT}/clean/equities/session=*/equities.parquet'" in line for line in lines)
