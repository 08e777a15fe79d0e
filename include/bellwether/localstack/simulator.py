"""The market-data simulator as a child process of a local stack."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from bellwether.errors import BellwetherError
from bellwether.localstack.environment import Vendor, project_root
from bellwether.localstack.processes import ProcessRecord, is_running, spawn, tail

_READY_TIMEOUT_S = 60.0
_POLL_S = 0.05


class SimulatorProcess:
    """A simulator started by `bellwether simulate` in its own process.

    Parameters
    ----------
    program
        The `bellwether` command.
    arguments
        Arguments of `bellwether simulate`.
    log
        File for its output.
    """

    def __init__(self, program: str, arguments: Sequence[str], log: Path) -> None:
        self._log = log
        log.unlink(missing_ok=True)
        command = [program, "simulate", *arguments]
        self.record: ProcessRecord = spawn("simulator", command, env=os.environ, cwd=project_root(), log=log)

    def wait(self) -> Vendor:
        """Wait until it serves.

        Returns
        -------
        Vendor
            Its address and key.

        Raises
        ------
        BellwetherError
            It ended or did not get ready; the message ends with its log.
        """
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if announced := _announcement(self._log):
                return announced
            if not is_running(self.record):
                break
            time.sleep(_POLL_S)
        message = f"the simulator did not start; its log {self._log} ends with:\n{tail(self._log)}"
        raise BellwetherError(message)


def _announcement(log: Path) -> Vendor | None:
    """Return what the one JSON line of the simulator says, once it is complete."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n") and '"rest_url"' in line:
            content = json.loads(line)
            return Vendor(url=content["rest_url"], key=content["api_key"])
    return None
