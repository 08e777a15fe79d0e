"""The lake: is it there, of the right kind, can it be written, and do publications there exclude each other.

A probe is written beside the data and removed again; nothing published is touched.
"""

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bellwether.doctor.finding import Finding, ok, problem, unknown
from bellwether.errors import LakeError
from bellwether.lake import Lake, paths
from bellwether.lake.local import LocalStorage
from bellwether.lake.location import Location, open_storage
from bellwether.lake.storage import Storage

_MEASURED_SESSIONS = 3


@dataclass(frozen=True)
class LakeFacts:
    """What was seen of the lake.

    Attributes
    ----------
    lake
        The lake, opened for reading; None where there is none yet or it cannot be read.
    free_bytes
        Room on its disk; None where that is not known, as in a bucket.
    """

    lake: Lake | None = None
    free_bytes: int | None = None


def examine(location: Location, *, simulated: bool | None) -> tuple[list[Finding], LakeFacts]:
    """Return the findings and the facts.

    Parameters
    ----------
    location
        Where the lake is.
    simulated
        The kind of data the vendor's environment will bring; None where that is not known.
    """
    try:
        storage = open_storage(location.root, location.options)
        lake = Lake.open(location.root, options=location.options) if storage.read(paths.MARKER) else None
    except LakeError as error:
        return [problem("lake", str(error), "correct lake_default, lake.root or --lake, or make the place readable")], (
            LakeFacts()
        )
    findings = [judge_kind(storage.root, lake, simulated=simulated), try_writing(storage)]
    return findings, LakeFacts(lake, _free_bytes(storage))


def judge_kind(root: str, lake: Lake | None, *, simulated: bool | None) -> Finding:
    """Return whether what the vendor brings may enter the lake."""
    if lake is None:
        return ok("lake", f"there is none at {root} yet; the first run creates it")
    kind = "simulated" if lake.simulated else "production"
    if simulated is not None and simulated != lake.simulated:
        coming = "simulated" if simulated else "production"
        says = f"{root} holds {kind} data, but polygon_default brings {coming} data: every run will be refused"
        return problem("lake", says, f"name another lake for {coming} data, or correct the Connection's environment")
    return ok("lake", f"{root} holds {kind} data")


def try_writing(storage: Storage) -> Finding:
    """Write a probe, replace it on condition, see a wrong condition refused, and remove it."""
    folder = paths.PROBES / uuid.uuid4().hex
    key = folder / "probe"
    try:
        try:
            says = _what_fails(storage, key)
        finally:
            storage.delete_folder(folder)
            storage.delete_folder(paths.lock(key).parent)
    except LakeError as error:
        return problem("lake write", str(error), "until then nothing can be captured")
    if says:
        advice = "keep the lake in a store that honours If-Match and If-None-Match, or in a local folder"
        return problem("lake write", says, advice)
    return ok("lake write", "writing, replacing on condition and removing work")


def _what_fails(storage: Storage, key: PurePosixPath) -> str:
    storage.write(key.with_name("plain"), b"plain")
    created = storage.swap(key, b"first", expected=None)
    found = storage.read(key)
    if not created or found is None or found.content != b"first":
        return "what was written cannot be read back"
    if storage.swap(key, b"second", expected=None) or storage.swap(key, b"third", expected="no such version"):
        return "writes are carried out whatever their condition: one of two publications at once would be lost"
    if not storage.swap(key, b"fourth", expected=found.version):
        return "a write whose condition holds is refused: nothing could be published"
    return ""


def judge_room(free_bytes: int | None, needed_bytes: float) -> Finding:
    """Return whether the estimate of a first backfill fits on the disk."""
    needed = f"a first backfill takes some {human_bytes(needed_bytes)} (an estimate)"
    if free_bytes is None:
        return unknown("disk", f"a bucket tells no limit; {needed}")
    says = f"{human_bytes(free_bytes)} are free; {needed}"
    if free_bytes < needed_bytes:
        return problem("disk", says, "free some room, move the lake, or backfill less")
    return ok("disk", says)


def bytes_per_ticker_session(lake: Lake, dataset: str) -> float | None:
    """Return the bytes that a ticker's session takes, published and raw, over the last sessions; None without any."""
    tickers = size = 0
    for session in lake.sessions(dataset)[-_MEASURED_SESSIONS:]:
        manifest = lake.manifest(dataset, session)
        if manifest is None or not manifest.coverage:
            continue
        tickers += len(manifest.coverage)
        raw = [entry.key for entry in lake.storage.list(paths.raw(dataset, session, manifest.stage_id))]
        size += sum(_size(lake.storage, key) for key in (paths.partition(dataset, session), *raw))
    return size / tickers if tickers else None


def human_bytes(count: float) -> str:
    """Return a size for people: `1.5 GB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def _size(storage: Storage, key: PurePosixPath) -> int:
    handle = storage.open(key)
    if handle is None:
        return 0
    with handle:
        return handle.seek(0, 2)


def _free_bytes(storage: Storage) -> int | None:
    if not isinstance(storage, LocalStorage):
        return None
    folder = Path(storage.root)
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
