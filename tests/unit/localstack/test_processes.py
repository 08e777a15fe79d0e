from pathlib import Path

import pytest

from bellwether.localstack.processes import ProcessRecord, members, tail
from bellwether.localstack.proctable import ProcessInfo, parse_ps, parse_stat

RECORD = ProcessRecord(name="scheduler", pid=100, started="5000", boot="this boot", log="scheduler.log")
LEADER = ProcessInfo(session=100, started="5000", is_zombie=False)
WORKER = ProcessInfo(session=100, started="6000", is_zombie=False)
STRANGER = ProcessInfo(session=7, started="100", is_zombie=False)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param({100: LEADER, 101: WORKER, 8: STRANGER}, [100, 101], id="leader and worker"),
        pytest.param({101: WORKER, 8: STRANGER}, [101], id="orphans of a leader that is gone"),
        pytest.param({100: LEADER._replace(is_zombie=True), 101: WORKER}, [101], id="a zombie leader is gone too"),
        pytest.param(
            {100: LEADER._replace(started="9000"), 101: WORKER}, [], id="the pid was given to another process"
        ),
        pytest.param({100: LEADER._replace(session=7, started="9000")}, [], id="the pid is in another session now"),
        pytest.param({}, [], id="nothing lives"),
    ],
)
def test_only_processes_of_the_recorded_session_count(table: dict[int, ProcessInfo], expected: list[int]) -> None:
    assert members([RECORD], table, "this boot") == expected


def test_after_a_reboot_nothing_recorded_before_counts() -> None:
    assert members([RECORD], {100: LEADER, 101: WORKER}, "another boot") == []


def test_stat_line_with_blanks_and_parentheses_in_the_command() -> None:
    stat = "42 (a (b) c) S 1 42 40 0 -1 4194560 1 0 0 0 10 3 0 0 20 0 1 0 778899 4096 500 18446744073709551615 1 1"
    assert parse_stat(stat) == ProcessInfo(session=40, started="778899", is_zombie=False)


def test_stat_line_of_a_zombie() -> None:
    stat = "42 (python) Z 1 42 40 0 -1 4194560 1 0 0 0 10 3 0 0 20 0 1 0 778899 0 0"
    assert parse_stat(stat).is_zombie


def test_ps_lines_are_read_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getsid", lambda pid: pid // 10)
    output = "  420 Ss   Mon Nov 16 09:30:00 2026\n  421 Z    Mon Nov 16 09:30:01 2026\n"
    assert dict(parse_ps(output)) == {
        420: ProcessInfo(session=42, started="Mon Nov 16 09:30:00 2026", is_zombie=False),
        421: ProcessInfo(session=42, started="Mon Nov 16 09:30:01 2026", is_zombie=True),
    }


def test_tail_keeps_the_last_lines_and_says_when_there_are_none(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == "(no log)"
    log.write_text("")
    assert tail(log) == "(empty log)"
    log.write_text("\n".join(map(str, range(100))))
    assert tail(log, 2) == "98\n99"
