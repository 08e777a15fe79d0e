import stat
from pathlib import Path

import pytest

from bellwether.errors import BellwetherError
from bellwether.localstack.processes import ProcessRecord
from bellwether.localstack.stack import LocalStack, stop
from bellwether.localstack.state import StackState, StackStateFile

GONE = ProcessRecord(name="scheduler", pid=4_194_303, started="1", boot="an earlier boot", log="scheduler.log")
STATE = StackState("http://127.0.0.1:8080", "admin", "word", lake="/lake", simulator_url="u", processes=(GONE,))


def test_state_survives_the_file(tmp_path: Path) -> None:
    file = StackStateFile(tmp_path)
    file.write(STATE)
    assert file.read() == STATE


def test_state_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = StackStateFile(tmp_path)
    file.write(STATE)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_no_state_file_means_nothing_was_started(tmp_path: Path) -> None:
    assert StackStateFile(tmp_path).read() is None


def test_damaged_state_file_is_named_not_forgotten(tmp_path: Path) -> None:
    file = StackStateFile(tmp_path)
    file.path.write_text('{"url": ')
    with pytest.raises(BellwetherError, match=r"stack\.json is damaged"):
        file.read()


def test_processes_of_an_earlier_boot_do_not_live() -> None:
    assert not STATE.is_up()
    assert not STATE.remains()


def test_a_stack_without_processes_is_not_up() -> None:
    assert not StackState("u", "a", "b").is_up()


def test_second_command_on_the_same_stack_is_refused(tmp_path: Path) -> None:
    file = StackStateFile(tmp_path)
    with file.locked(), pytest.raises(BellwetherError, match="another command"), StackStateFile(tmp_path).locked():
        pytest.fail("locked twice")


def test_stopping_what_died_by_itself_forgets_it_and_says_nothing_ran(tmp_path: Path) -> None:
    StackStateFile(tmp_path).write(STATE)
    assert stop(tmp_path) is None
    assert StackStateFile(tmp_path).read() is None


def test_stopping_where_nothing_was_started_leaves_no_trace(tmp_path: Path) -> None:
    LocalStack(tmp_path / "home").stop()
    assert list(tmp_path.iterdir()) == []
