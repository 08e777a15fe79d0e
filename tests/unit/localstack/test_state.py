import stat
from pathlib import Path

import msgspec
import pytest

from bellwether.errors import BellwetherError
from bellwether.localstack.processes import ProcessRecord
from bellwether.localstack.stack import ComponentEnded, LocalStack, StoppedElsewhere, stop
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


@pytest.fixture
def incomplete(tmp_path: Path) -> LocalStack:
    """Return a stack whose scheduler has ended."""
    log = tmp_path / "scheduler.log"
    log.write_text("starting\nsqlite3.OperationalError: database is locked\n")
    stack = LocalStack(tmp_path)
    stack.state = msgspec.structs.replace(STATE, processes=(msgspec.structs.replace(GONE, log=str(log)),))
    StackStateFile(tmp_path).write(stack.state)
    return stack


def test_a_component_that_ended_by_itself_is_named_with_the_end_of_its_log(incomplete: LocalStack) -> None:
    with pytest.raises(ComponentEnded, match=r"(?s)scheduler ended by itself; .*scheduler\.log .*database is locked"):
        incomplete.ensure_complete()


def test_a_stack_that_another_command_has_stopped_is_not_called_broken(incomplete: LocalStack) -> None:
    stop(incomplete.home)
    with pytest.raises(StoppedElsewhere, match=r"http://127\.0\.0\.1:8080 was stopped by another command"):
        incomplete.ensure_complete()


def test_nor_is_one_that_another_command_is_about_to_stop(
    incomplete: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watch(*_: object, **__: object) -> None:
        with pytest.raises(StoppedElsewhere):
            incomplete.ensure_complete()
        seen.append(True)

    seen: list[bool] = []
    monkeypatch.setattr("bellwether.localstack.stack._end_processes", watch)
    stop(incomplete.home)
    assert seen == [True]
