"""Where people say the lake is: folders, URLs, Connections."""

from pathlib import Path
from typing import Any

import pytest

from bellwether.config import Config
from bellwether.connections import ConnectionFields
from bellwether.errors import ConfigError, LakeError
from bellwether.lake.location import Location, default_location, location_of, open_storage
from tests.bucket import Bucket


def test_a_file_url_has_three_slashes_and_may_be_encoded(tmp_path: Path) -> None:
    assert open_storage(f"file://{tmp_path}/my%20lake", {}).root == str(tmp_path / "my lake")
    with pytest.raises(LakeError, match="three slashes"):
        open_storage("file://data/lake", {})


def test_a_bucket_is_a_url(bucket: Bucket) -> None:
    assert open_storage("s3://bucket/some/lake/", {}).root == "s3://bucket/some/lake"


@pytest.mark.parametrize("root", ["gs://bucket/lake", "s3:///lake", "https://bucket/lake"])
def test_what_cannot_hold_a_lake_is_refused_in_words(root: str) -> None:
    with pytest.raises(LakeError, match="a lake is a folder, a file:// URL or s3://bucket/prefix"):
        open_storage(root, {})


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(LakeError, match="holds credentials") as caught:
        open_storage("s3://AKIA:very-secret@bucket/lake", {})
    assert "very-secret" not in str(caught.value)


AWS = {"path": "s3://b/lake", "endpoint_url": "http://store", "region_name": "eu-west-1", "aws_session_token": "t"}


@pytest.mark.parametrize(
    ("connection", "location"),
    [
        (ConnectionFields(extra={"path": "/data/lake"}), Location("/data/lake")),
        (ConnectionFields(host="/data/lake", extra={"anything": 1}), Location("/data/lake")),
        (ConnectionFields(host="s3://b/lake"), Location("s3://b/lake")),
        (
            ConnectionFields(login="AK", password="SK", extra=AWS),  # noqa: S106
            Location(
                "s3://b/lake",
                {"key": "AK", "secret": "SK", "token": "t", "endpoint_url": "http://store", "region": "eu-west-1"},
            ),
        ),
        (
            ConnectionFields(
                host="s3://b/lake", extra={"aws_access_key_id": "AK", "aws_secret_access_key": "SK", "region_name": ""}
            ),
            Location("s3://b/lake", {"key": "AK", "secret": "SK"}),
        ),
    ],
)
def test_a_connection_says_where_and_how(connection: ConnectionFields, location: Location) -> None:
    assert location_of(connection) == location
    assert "SK" not in repr(connection) + repr(location)


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (ConnectionFields(), "names no folder and no bucket"),
        (ConnectionFields(host="s3://b", extra={"role_arn": "x"}), "extra role_arn is not supported for a lake"),
    ],
)
def test_a_connection_that_would_be_misread_is_refused(connection: ConnectionFields, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        location_of(connection)


@pytest.mark.parametrize(
    ("variable", "location"),
    [
        (None, Location("settings")),
        ('{"conn_type": "fs", "extra": {"path": "/data/lake"}}', Location("/data/lake")),
        (
            '{"conn_type": "aws", "login": "AK", "extra": "{\\"path\\": \\"s3://b\\"}"}',
            Location("s3://b", {"key": "AK"}),
        ),
    ],
)
def test_outside_of_airflow_the_same_connection_is_read_from_the_environment(
    variable: str | None, location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.model_validate({"settings": {"lake": {"root": "settings"}}})
    env: dict[str, Any] = {"AIRFLOW_CONN_LAKE_DEFAULT": variable} if variable else {}
    assert default_location(config, env) == location
