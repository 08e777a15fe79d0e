"""The one room that builds keys in the lake: paths relative to its root.

    <zone>/<dataset>/session=YYYY-MM-DD/...

A session folder in `clean`, `gold` and `ops`, and one of the `*_live` in `live`, holds exactly one file and nothing
else, so that a plain read of the folder by pandas, Polars or DuckDB sees the published rows and only those.
"""

from datetime import date
from pathlib import PurePosixPath

from bellwether.lake.manifest import Manifest
from bellwether.schemas import GOLD, LIVE, OPERATIONAL

_ZONES = dict.fromkeys(GOLD, "gold") | dict.fromkeys(OPERATIONAL, "ops") | dict.fromkeys(LIVE, "live")
"""Of datasets that are not captured."""

MARKER = PurePosixPath("lake.json")
"""The file that says what kind of lake this is."""

INCOMING = PurePosixPath("stage/incoming")
"""Where files on a local disk are written before they are renamed to their place."""

PROBES = PurePosixPath("stage/probes")
"""Where the doctor tries whether a lake can be written."""

_STATE = PurePosixPath("state")


def session_folder(session: date) -> str:
    """Return the Hive-style folder name of a session."""
    return f"session={session.isoformat()}"


def dataset_folder(dataset: str) -> PurePosixPath:
    """Return the folder of a published dataset."""
    return PurePosixPath(_ZONES.get(dataset, "clean")) / dataset


def partition(dataset: str, session: date) -> PurePosixPath:
    """Return the published file of one session."""
    return dataset_folder(dataset) / session_folder(session) / f"{dataset}.parquet"


def revisions(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of the replaced revisions of one session."""
    return _in_zone("revisions", dataset, session)


def revision(manifest: Manifest) -> PurePosixPath:
    """Return where a publication is kept once it is replaced; names sort by time, and no two publications share one."""
    name = f"{manifest.published_utc:%Y%m%dT%H%M%S%f}Z-{manifest.revision[:12]}-{manifest.publication_id[:8]}.parquet"
    return revisions(manifest.dataset, manifest.session) / name


def stages(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of all stages of one session."""
    return _in_zone("stage", dataset, session)


def stage(dataset: str, session: date, stage_id: str) -> PurePosixPath:
    """Return the folder in which one run stages its batches."""
    return stages(dataset, session) / stage_id


def raws(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of the vendor's verbatim responses of one session; names in it are `stage_id/file`."""
    return _in_zone("raw", dataset, session)


def raw(dataset: str, session: date, stage_id: str) -> PurePosixPath:
    """Return the folder of the vendor's verbatim responses to one run."""
    return raws(dataset, session) / stage_id


def quarantine(dataset: str, session: date, stage_id: str) -> PurePosixPath:
    """Return the file of the rows one run was refused, with their reasons."""
    return _in_zone("quarantine", dataset, session) / f"{stage_id}.parquet"


def late(dataset: str, session: date, name: str) -> PurePosixPath:
    """Return a file of rows that came too late to revise what was published."""
    return quarantine(dataset, session, f"{name}~late")


def quarantines(dataset: str) -> PurePosixPath:
    """Return the folder of all rows of a dataset that were refused."""
    return PurePosixPath("quarantine") / dataset


def decisions(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of what people decided about a session's refused rows: no partition tells it again."""
    return _in_zone("decisions", dataset, session)


def decision(dataset: str, session: date, number: int) -> PurePosixPath:
    """Return one of these decisions; they are numbered from 1 on, and none is ever replaced."""
    return decisions(dataset, session) / f"{number:04d}.parquet"


def live(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of what was streamed of one session, as it came."""
    return _in_zone("live", dataset, session)


def gaps(dataset: str, session: date) -> PurePosixPath:
    """Return the folder of the events of a streamed session's gaps."""
    return _in_zone("live", "gaps", session) / dataset


def asked(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of whom the recorder of a streamed session asked for last."""
    return _in_zone("live", "asked", session) / f"{dataset}.json"


def heartbeats(session: date) -> PurePosixPath:
    """Return the folder of the heartbeats that the streams of one session told, a folder for each dataset."""
    return _in_zone("live", "heartbeats", session)


def leases() -> PurePosixPath:
    """Return the folder of all records of who writes a streamed session."""
    return _STATE / "streams"


def workers() -> PurePosixPath:
    """Return the folder of the JSON records of backfills that run."""
    return _STATE / "workers"


def worker(name: str) -> PurePosixPath:
    """Return the JSON record of one backfill."""
    return workers() / f"{name}.json"


def lease(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of which recorder writes a streamed session."""
    return _in_state("streams", dataset, session)


def rounds(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of the last rounds, all of which failed, of building provisional gold."""
    return _in_state("rounds", dataset, session)


def quality(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON result of the session's last validation."""
    return _in_state("quality", dataset, session)


def manifest(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON copy of the published manifest: an index, rebuilt from the partitions when lost."""
    return _in_state("manifests", dataset, session)


def manifests(dataset: str) -> PurePosixPath:
    """Return the folder of a dataset's index."""
    return _STATE / "manifests" / dataset


def pruned(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of when replaced revisions of a session were last deleted."""
    return _in_state("pruned", dataset, session)


def failures(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of why nothing of a session could be published."""
    return _in_state("failures", dataset, session)


def universe(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON record of which tickers the session is to capture."""
    return _in_state("universe", dataset, session)


def statistics(dataset: str, session: date) -> PurePosixPath:
    """Return the JSON summary of a published session's values: made anew from the partition when lost."""
    return _in_state("statistics", dataset, session)


DRIFT = PurePosixPath("drift")
"""What differed from contracts, and what people decided: outside `state/`, since no partition tells it again."""


def contract(dataset: str, version: int) -> PurePosixPath:
    """Return the JSON of a version of a contract that was approved."""
    return DRIFT / "contracts" / dataset / f"v{version:04d}.json"


def change(dataset: str, change_id: str) -> PurePosixPath:
    """Return the folder of a change: of each session that shows it a file, and the decision."""
    return DRIFT / "changes" / dataset / change_id


INCIDENTS = PurePosixPath("incidents")
"""What people were told of, and have been promised to hear of again: outside `state/`, since nothing tells it again."""


def incidents_at_work() -> PurePosixPath:
    """Return the folder of the JSON records of incidents that are open, or whose end is still to be told."""
    return INCIDENTS / "active"


def incidents_closed(session: date) -> PurePosixPath:
    """Return the folder of the JSON records of a session's incidents that are over; none of them ever changes."""
    return INCIDENTS / "closed" / session_folder(session)


def snoozes() -> PurePosixPath:
    """Return the folder of the JSON records of which incidents people want to hear nothing of."""
    return INCIDENTS / "snoozes"


def outbox() -> PurePosixPath:
    """Return the folder of the messages that a sink did not take, and is to be tried with again."""
    return INCIDENTS / "outbox"


INCIDENT_BOARD = INCIDENTS / "board.json"
"""The JSON record of who is telling of which incident, and of what was told lately."""
PERFORMANCE = PurePosixPath("performance")
"""What tasks told of themselves and is not published yet: outside `state/`, since no partition tells it again."""


def performance(session: date) -> PurePosixPath:
    """Return the folder of what the tasks of a session told of themselves, a JSON file for each try."""
    return PERFORMANCE / session_folder(session)


def lock(key: PurePosixPath) -> PurePosixPath:
    """Return the lock file of whatever `key` names: outside `state/`, which may be deleted at any time."""
    return PurePosixPath("locks") / key.with_name(f"{key.name}.lock")


def _in_zone(zone: str, dataset: str, session: date) -> PurePosixPath:
    return PurePosixPath(zone) / dataset / session_folder(session)


def _in_state(kind: str, dataset: str, session: date) -> PurePosixPath:
    return _STATE / kind / dataset / f"{session.isoformat()}.json"
