"""The one room that builds paths in the lake.

    <root>/<zone>/<dataset>/session=YYYY-MM-DD/...

A session folder in `clean` and `gold` holds exactly one file and nothing else, so that a plain read of
the folder by pandas, Polars or DuckDB sees the published rows and only those.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

GOLD_DATASETS = frozenset({"minutes", "chain"})


def session_folder(session: date) -> str:
    """Return the Hive-style folder name of a session."""
    return f"session={session.isoformat()}"


@dataclass(frozen=True)
class LakePaths:
    """Where everything of one lake stands.

    Attributes
    ----------
    root
        The lake's folder.
    """

    root: Path

    @property
    def marker(self) -> Path:
        """The file that says what kind of lake this is."""
        return self.root / "lake.json"

    def dataset(self, dataset: str) -> Path:
        """Return the folder of a published dataset."""
        return self.root / ("gold" if dataset in GOLD_DATASETS else "clean") / dataset

    def partition(self, dataset: str, session: date) -> Path:
        """Return the published file of one session."""
        return self.dataset(dataset) / session_folder(session) / f"{dataset}.parquet"

    def revision(self, dataset: str, session: date, published_utc: datetime, revision: str) -> Path:
        """Return where a replaced revision is kept; names sort by the time of publication."""
        name = f"{published_utc:%Y%m%dT%H%M%S%f}Z-{revision[:12]}.parquet"
        return self._in_zone("revisions", dataset, session) / name

    def stages(self, dataset: str, session: date) -> Path:
        """Return the folder of all stages of one session."""
        return self._in_zone("stage", dataset, session)

    def stage(self, dataset: str, session: date, stage_id: str) -> Path:
        """Return the folder in which one run stages its batches."""
        return self.stages(dataset, session) / stage_id

    def incoming(self, dataset: str, session: date, publication_id: str) -> Path:
        """Return the file in which a publication is written before its swap."""
        return self.root / "stage" / "incoming" / f"{dataset}-{session.isoformat()}-{publication_id}.parquet"

    def raw(self, dataset: str, session: date, stage_id: str) -> Path:
        """Return the folder of the vendor's verbatim responses to one run."""
        return self._in_zone("raw", dataset, session) / stage_id

    def quarantine(self, dataset: str, session: date, stage_id: str) -> Path:
        """Return the file of the rows one run was refused, with their reasons."""
        return self._in_zone("quarantine", dataset, session) / f"{stage_id}.parquet"

    def quality(self, dataset: str, session: date) -> Path:
        """Return the JSON result of the session's last validation."""
        return self._state("quality", dataset, session)

    def manifest(self, dataset: str, session: date) -> Path:
        """Return the JSON copy of the published manifest: an index, rebuilt from the partitions when lost."""
        return self._state("manifests", dataset, session)

    def failures(self, dataset: str, session: date) -> Path:
        """Return the JSON record of why nothing of a session could be published."""
        return self._state("failures", dataset, session)

    def lock(self, dataset: str, session: date) -> Path:
        """Return the lock file of one partition's swap."""
        return self.root / "state" / "locks" / dataset / f"{session.isoformat()}.lock"

    def _in_zone(self, zone: str, dataset: str, session: date) -> Path:
        return self.root / zone / dataset / session_folder(session)

    def _state(self, kind: str, dataset: str, session: date) -> Path:
        return self.root / "state" / kind / dataset / f"{session.isoformat()}.json"
