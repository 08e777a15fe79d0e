"""Drift on command: every row of a page changed, and the page otherwise whole."""

import json
from typing import Any

import pytest

from bellwether.simulator.driftfaults import drift
from bellwether.simulator.faults import Fault

PAGE = {"status": "OK", "resultsCount": 5, "results": [{"v": 100, "c": 1.5, "in": {"s": "a"}} for _ in range(5)]}


def drifted(**fault: Any) -> list[dict[str, Any]]:
    page = json.loads(drift(Fault(**fault), json.dumps(PAGE).encode()))
    assert (page["status"], page["resultsCount"]) == ("OK", 5)
    return list(page["results"])


@pytest.mark.parametrize(
    ("fault", "first", "second"),
    [
        ({"kind": "renamed", "field": "v", "to": "vol"}, {"vol": 100}, {"vol": 100}),
        ({"kind": "added", "field": "x"}, {"x": 0}, {"x": 1}),
        ({"kind": "added", "field": "x", "to": "y"}, {"x": "y"}, {"x": "y"}),
        ({"kind": "retyped", "field": "c"}, {"c": "1.5"}, {"c": "1.5"}),
        ({"kind": "rescaled", "field": "v", "factor": 0.01}, {"v": 1}, {"v": 1}),
        ({"kind": "rescaled", "field": "c", "factor": 0.01}, {"c": 0.015}, {"c": 0.015}),
        ({"kind": "emptied", "field": "v"}, {"v": 100}, {}),
        ({"kind": "removed", "field": "v"}, {}, {}),
        ({"kind": "new_word", "field": "in.s", "to": "b"}, {"in": {"s": "b"}}, {"in": {"s": "a"}}),
        ({"kind": "renamed", "field": "in.s", "to": "t"}, {"in": {"t": "a"}}, {"in": {"t": "a"}}),
    ],
)
def test_a_field_is_changed_in_the_rows(fault: dict[str, Any], first: dict[str, Any], second: dict[str, Any]) -> None:
    rows = drifted(**fault)
    assert first.items() <= rows[0].items()
    assert second.items() <= rows[1].items()
    if fault["kind"] in {"renamed", "removed", "emptied"}:
        assert fault["field"] not in rows[1]


def test_pages_without_rows_and_other_faults_leave_the_body_as_it_is() -> None:
    empty = json.dumps({"status": "OK", "resultsCount": 0}).encode()
    assert drift(Fault(kind="renamed", field="v", to="vol"), empty) == empty
    body = json.dumps(PAGE).encode()
    assert drift(Fault(kind="delayed"), body) == body


@pytest.mark.parametrize("fault", [{"kind": "renamed"}, {"kind": "delayed", "field": "v"}])
def test_a_field_belongs_to_drift_and_drift_to_a_field(fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="field is named with kinds of drift, and only there"):
        Fault(**fault)
