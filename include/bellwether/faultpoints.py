"""Named steps at which a test may kill the process, so that crash safety is tried and not argued.

A test creates an empty file `<step>@<session>` in the folder named by `BELLWETHER_FAULT_DIR`; the
first process to reach that step removes the file and receives SIGKILL. Without the variable,
`reach` does nothing.
"""

import os
import signal
from datetime import date
from pathlib import Path

PAGE_STAGED = "fetch.page_staged"
"""A page of an answer of several has been kept, and the next one not yet been asked for."""

LATE_KEPT = "publish.late_kept"
"""Rows that came too late are in quarantine, and the manifest that counts them is not yet in force."""

FETCH_STEPS = ("fetch.answered", "fetch.kept", "fetch.staged")
VALIDATE_STEPS = ("validate.judged", "validate.staged")
PUBLISH_STEPS = (
    "publish.begun",
    "publish.merged",
    "publish.written",
    "publish.synced",
    "publish.locked",
    "publish.kept",
    "publish.swapped",
    "publish.indexed",
    "publish.returned",
)

RELEASE_STEPS = ("release.judged", "release.decided", "release.composed", "release.published", "release.told")


def reach(step: str, session: date) -> None:
    """Die here by SIGKILL if a test asked for it.

    Parameters
    ----------
    step
        The step's name, one of those above.
    session
        The session at work.
    """
    folder = os.environ.get("BELLWETHER_FAULT_DIR")
    if not folder:
        return
    try:
        (Path(folder) / f"{step}@{session.isoformat()}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
