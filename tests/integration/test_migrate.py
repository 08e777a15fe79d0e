"""`bellwether migrate` killed halfway leaves each partition old or new; run again, it completes."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from bellwether.cli.main import main
from bellwether.lake import Lake, paths, read
from bellwether.lake.history import publications

FIXTURE = Path(__file__).parents[1] / "fixtures" / "lake_v1" / "lake"
FIRST, HEALED = date(2025, 7, 1), date(2025, 7, 3)


@pytest.mark.parametrize(("step", "version"), [("publish.kept", 1), ("publish.swapped", 2)])
def test_killed_at_the_second_partition_a_rerun_goes_on_where_it_was(tmp_path: Path, step: str, version: int) -> None:
    shutil.copytree(FIXTURE, tmp_path / "lake")
    lake = Lake.open(tmp_path / "lake")
    before = read("equities", FIRST, HEALED, root=lake.root)
    history = [known for _, known in publications(lake, "equities", HEALED)]
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / f"{step}@{HEALED}").touch()
    command = [sys.executable, "-m", "bellwether.cli.main", "migrate", "--lake", lake.root]
    killed = subprocess.run(command, env=os.environ | {"BELLWETHER_FAULT_DIR": str(faults)}, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert [lake.manifest("equities", session).schema_version for session in (FIRST, HEALED)] == [2, version]
    assert read("equities", FIRST, HEALED, root=lake.root).equals(before)
    assert main(["migrate", "--lake", lake.root]) == 0
    assert [lake.manifest("equities", session).schema_version for session in (FIRST, HEALED)] == [2, 2]
    assert read("equities", FIRST, HEALED, root=lake.root).equals(before)
    assert [known for _, known in publications(lake, "equities", HEALED)][1:] == history
    lake.storage.clean()
    assert list(Path(lake.root, paths.INCOMING).iterdir()) == []
