"""Lakes in a folder and in a bucket: what publishes, stages and reads must not care."""

from pathlib import Path

import pytest

from tests.bucket import ROOT, Bucket


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = Bucket()
    bucket.install(monkeypatch)
    return bucket


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return where a lake may be created: each test runs once with a folder and once with a bucket."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    request.getfixturevalue("bucket")
    return ROOT
