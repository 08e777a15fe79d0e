"""The state file of a local stack: what runs, where, and how to log in.

It is rewritten before and after every start of a process, so that `make down` in another shell, or the next
`make up` after a crash, finds everything there is to end.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bellwether.errors import BellwetherError
from bellwether.localstack.processes import ProcessRecord, is_running, living


class StackState(msgspec.Struct, frozen=True):
    """What is known of a stack that was started.

    Attributes
    ----------
    url
        Address of the UI and the REST API.
    username, password
        Login of the only user, an administrator.
    lake
        Root of the lake the DAGs write to, or None where the configuration decides.
    simulator_url
        Base URL of the simulator started beside Airflow, if any.
    processes
        All processes started, whether they still live or not.
    is_ending
        Whether a command has begun to end them.
    """

    url: str
    username: str
    password: str
    lake: str | None = None
    simulator_url: str | None = None
    processes: tuple[ProcessRecord, ...] = ()
    is_ending: bool = False

    def is_up(self) -> bool:
        """Return whether every process of the stack lives."""
        return bool(self.processes) and all(is_running(record) for record in self.processes)

    def remains(self) -> bool:
        """Return whether any process of the stack, or one that it started, lives."""
        return bool(living(self.processes))


class StackStateFile:
    """The state file in a stack's home folder.

    Parameters
    ----------
    home
        The stack's folder (AIRFLOW_HOME).
    """

    def __init__(self, home: Path) -> None:
        self.path = home / "stack.json"

    def read(self) -> StackState | None:
        """Return the recorded state, or None where nothing was started.

        Raises
        ------
        BellwetherError
            The file is damaged: what it recorded cannot be ended, and saying so beats forgetting it.
        """
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=StackState)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            message = f"{self.path} is damaged ({error}); end the processes it recorded by hand, then delete it"
            raise BellwetherError(message) from error

    def write(self, state: StackState) -> None:
        """Replace the recorded state; only its owner may read it, as it holds the password."""
        temporary = self.path.with_suffix(".tmp")
        write_private(temporary, msgspec.json.encode(state))
        temporary.replace(self.path)

    def clear(self) -> None:
        """Forget the recorded state."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the stack against a second start or stop in another process.

        Raises
        ------
        BellwetherError
            Another process holds it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w", encoding="ascii") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another command is starting or stopping the stack in {self.path.parent}; wait for it"
                raise BellwetherError(message) from None
            yield


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:  # noqa: PTH123 - mode
        handle.write(content)
