"""The kernel itself refuses: a lake without the right to write, and files that may not grow as large as needed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bellwether.config import SinkSettings
from bellwether.lake import Lake, paths
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import SESSION, bars, submission

# A process without a superuser's rights, in which no file may grow beyond 8 kB where that is asked for.
REFUSED = """
import os, resource, sys
from bellwether.config import SinkSettings
from bellwether.errors import LakeError
from bellwether.lake import Lake
from bellwether.lake.layout import FileLayout
from bellwether.lake.publish import publish
from tests.builders import bars, submission
root, how = sys.argv[1:]
lake = Lake.open(root, simulated=True)
if how == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
elif os.geteuid() == 0:
    os.setuid(65534)
try:
    publish(lake, submission(bars("SPY", minutes=390, seed=1), stage_id="s2"), FileLayout(SinkSettings(), "snappy"))
except LakeError as error:
    print(error)
"""


def make_read_only(folder: Path) -> Callable[[], None]:
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    return lambda: [path.chmod(0o755) for path in folders]


@pytest.mark.parametrize(("how", "words"), [("limit", "raise the limit"), ("rights", "this user lacks the right")])
def test_a_real_refusal_of_the_kernel_leaves_the_old_revision_readable(tmp_path: Path, how: str, words: str) -> None:
    for path in (tmp_path, *list(tmp_path.parents)[:2]):
        path.chmod(0o755)
    lake = Lake.open(tmp_path / "lake", simulated=True)
    old = publish(lake, submission(bars("SPY")), FileLayout(SinkSettings(), "snappy")).manifest
    restore = make_read_only(Path(lake.root)) if how == "rights" else lambda: None
    try:
        command = [sys.executable, "-c", REFUSED, lake.root, how]
        done = subprocess.run(
            command, check=False, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60
        )
    finally:
        restore()
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert lake.root in done.stdout
    assert lake.manifest("equities", SESSION) == old
    assert list(lake.storage.list(paths.INCOMING)) == []
