"""`bellwether incidents` lists, shows and snoozes, and says what is wrong with what it is given."""

from datetime import UTC, datetime

import pytest

from bellwether.cli.incidents import _instant
from bellwether.cli.main import main
from bellwether.incidents.ledger import report
from bellwether.lake import Lake
from tests.incidents import SESSION, found

ID = f"equities.{SESSION}.vendor"


@pytest.fixture
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake.open(tmp_path_factory.mktemp("lake"), simulated=True)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def incidents(lake: Lake, *words: str) -> int:
    return main(["incidents", *words, "--lake", lake.root])


def test_what_is_open_is_listed_and_shown_with_all_that_happened(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert incidents(lake, "list") == 0
    assert said(capsys) == "no incident is open"
    report(lake, found())
    assert incidents(lake, "list", "--json") == 0
    assert f'"incident_id":"{ID}"' in said(capsys)
    assert incidents(lake, "list", "--session", str(SESSION)) == 0
    assert "not yet" in said(capsys)
    assert incidents(lake, "show", ID) == 0
    assert f"{ID}: error, open equities {SESSION}: 1 of 8 tickers failed" in said(capsys)
    assert incidents(lake, "show", "equities") == 1
    assert "there is no incident equities" in said(capsys)


def test_a_snooze_wants_a_reason_and_an_end_ahead_and_is_listed_until_it_is_taken_back(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    report(lake, found())
    assert incidents(lake, "snooze", ID, "--reason", "known", "--until", "2025-07-01") == 2
    assert "an end in the future" in said(capsys)
    assert incidents(lake, "snooze", ID, "--reason", "", "--until", "2099-07-01") == 2
    assert incidents(lake, "snooze", "everything!", "--reason", "known", "--until", "2099-07-01") == 2
    assert "names no incidents" in said(capsys)
    with pytest.raises(SystemExit):
        incidents(lake, "snooze", ID, "--reason", "known")
    assert "--until" in said(capsys)
    assert incidents(lake, "snooze", ID, "--reason", "known", "--until", "2099-07-01") == 0
    capsys.readouterr()
    assert incidents(lake, "list") == 0
    listed = said(capsys)
    assert f"snoozed: {ID} until 2099-07-02 04:00 UTC by " in listed
    assert listed.endswith(": known")
    assert incidents(lake, "unsnooze", ID) == 0
    assert incidents(lake, "unsnooze", ID) == 1


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-07-01", datetime(2025, 7, 2, 4, tzinfo=UTC)),
        ("2025-07-01T18:30", datetime(2025, 7, 1, 22, 30, tzinfo=UTC)),
        ("2025-07-01T18:30+00:00", datetime(2025, 7, 1, 18, 30, tzinfo=UTC)),
    ],
)
def test_an_end_is_new_yorks_and_a_day_is_included(text: str, instant: datetime) -> None:
    assert _instant(text) == instant
