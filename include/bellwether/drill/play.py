"""A drill from beginning to end, and the folder it leaves nothing of."""

import fcntl
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from bellwether.calendar import get_calendar
from bellwether.config import Config
from bellwether.drill.children import Child, SimulatorPart
from bellwether.drill.faults import Act, chosen
from bellwether.drill.report import Report
from bellwether.drill.request import TICKERS, Request
from bellwether.drill.stage import PATIENCE_S, Stage
from bellwether.errors import ConfigError, DrillFailed
from bellwether.monitoring.alerts import Delivery, Message

_HELD = "held"
_POLL_S = 0.05
_START_S = 3.0  # of this machine, until a recorder listens


def drill(
    request: Request,
    config: Config,
    *,
    tell: Callable[[Message], Delivery],
    url: str = "",
    on_step: Callable[[str], object] = lambda _: None,
) -> Report:
    """Play a drill.

    Parameters
    ----------
    request
        What to play.
    config
        By which a stream is recorded and repaired.
    tell
        Sends people a message.
    url
        What messages name for a run's page.
    on_step
        Told what goes on.

    Raises
    ------
    ConfigError
        There is no such fault, or not on this machine.
    DrillFailed
        The simulator or the recorder did not start.
    """
    if any(fault.act is Act.FILL_DISK for fault in chosen(request.faults).values()) and sys.platform != "linux":
        msg = "a disk can be made to look full on Linux alone: choose other faults"
        raise ConfigError(msg)
    home = Path(config.settings.limits.folder).parent / "drills"
    hours = get_calendar().hours(request.session)
    at = hours.open - timedelta(seconds=max(60.0, _START_S * request.speed))
    with (
        _folder(home) as folder,
        closing(Child(SimulatorPart(request.session, TICKERS, at, request.speed))) as simulator,
        closing(Stage(request, config, folder, hours, tell, url)) as stage,
    ):
        return stage.play(_url_of(simulator), on_step)


def _url_of(simulator: Child) -> str:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s and simulator.is_alive:
        for said in simulator.heard():
            return said.words
        time.sleep(_POLL_S)
    msg = f"the simulator did not start: {' '.join(simulator.log[-3:])}"
    raise DrillFailed(msg)


@contextmanager
def _folder(home: Path) -> Iterator[Path]:
    """Make a folder that is gone afterwards, and remove those of drills that were killed."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "gate").open("w") as gate:  # between being made and being held, a folder looks like a dead drill's
        fcntl.flock(gate, fcntl.LOCK_EX)
        for left in home.glob("drill-*"):
            _remove_if_dead(left)
        folder = Path(tempfile.mkdtemp(prefix="drill-", dir=home))
        held = (folder / _HELD).open("w")
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        held.close()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    with (folder / _HELD).open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder, ignore_errors=True)
