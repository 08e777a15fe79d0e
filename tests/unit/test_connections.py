"""Connections in the environment are read as Airflow reads them; what is malformed is refused and not shown."""

import pytest

from bellwether.connections import ConnectionFields, from_environment
from bellwether.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ("", None),
        ("{}", ConnectionFields()),
        ('{"host": "h", "login": null, "password": "p"}', ConnectionFields(host="h", password="p")),  # noqa: S106
        ('{"extra": {"a": 1}}', ConnectionFields(extra={"a": 1})),
        ('{"extra": "{\\"a\\": 1}"}', ConnectionFields(extra={"a": 1})),
        ('{"extra": ""}', ConnectionFields()),
    ],
)
def test_fields_not_given_are_empty_and_extra_may_be_text(content: str, fields: ConnectionFields | None) -> None:
    assert from_environment("lake_default", {"AIRFLOW_CONN_LAKE_DEFAULT": content}) == fields


@pytest.mark.parametrize("content", ["aws://key:secret@", "[]", "{", '{"extra": "secret"}', '{"extra": ["secret"]}'])
def test_what_is_no_json_object_is_refused_and_not_repeated(content: str) -> None:
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_LAKE_DEFAULT is not a JSON object") as caught:
        from_environment("lake_default", {"AIRFLOW_CONN_LAKE_DEFAULT": content})
    assert "secret" not in str(caught.value)
