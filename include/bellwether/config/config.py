"""The whole configuration: a folder of YAML files as one value."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self, cast

from pydantic import Field, ValidationError

from bellwether.config.alerts import Alerts
from bellwether.config.contracts import Contract
from bellwether.config.files import explain, override, read, read_folder, resolve
from bellwether.config.model import Model
from bellwether.config.retry_policy import RetryPolicies
from bellwether.config.settings import LakeSettings, LimitSettings, Settings
from bellwether.config.sinks import Sinks
from bellwether.config.sources import ENTRIES, AnySource, ReferenceSettings, Sources
from bellwether.errors import ConfigError
from bellwether.universe.spec import UniverseSpec, WholeFeed

_PROJECT = Path(__file__).parents[3]


class Config(Model):
    """The whole configuration."""

    settings: Settings = Settings()
    sources: Sources = Sources()
    sinks: Sinks = Sinks()
    retry_policy: RetryPolicies = RetryPolicies()
    alerts: Alerts = Alerts()
    contracts: dict[str, Contract] = Field(default_factory=dict)

    def source(self, dataset: str) -> AnySource:
        """Return what is captured of one dataset."""
        return cast("AnySource", getattr(self.sources, ENTRIES.get(dataset, dataset)))

    def universe(self, dataset: str) -> UniverseSpec | WholeFeed:
        """Return of whom a dataset is captured: reference data of the equities' tickers."""
        source = self.source(dataset)
        return self.sources.equities.universe if isinstance(source, ReferenceSettings) else source.universe

    @property
    def hash(self) -> str:
        """SHA-256 of all that shapes data, to tell under which configuration a partition was made."""
        shaping = self.model_dump(
            mode="json",
            exclude={
                "settings": {"lake": {"root"}, "limits": True, "logging": True, "restatement": True},
                "alerts": True,
                "contracts": True,  # they say what is refused; which version read an answer stands in the lake
            },
        )
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    @classmethod
    def load(cls, folder: Path | None = None, env: Mapping[str, str] = os.environ) -> Self:
        """Read the configuration.

        Parameters
        ----------
        folder
            Folder of the YAML files; default is `BELLWETHER_CONFIG_DIR`, else the project's `config`. A missing file
            means defaults. A relative `lake.root` or `limits.folder` is relative to the folder's parent, whatever the
            working directory.
        env
            Environment whose `BELLWETHER__SECTION__KEY` (settings.yaml) and `BELLWETHER__SOURCES__...`,
            `BELLWETHER__SINKS__...`, `BELLWETHER__RETRY_POLICY__...`, `BELLWETHER__ALERTS__...` override keys; values
            are YAML.

        Raises
        ------
        ConfigError
            Names the file, the key and the value that is wrong.
        """
        folder = folder or Path(env.get("BELLWETHER_CONFIG_DIR") or _PROJECT / "config")
        content = {name: read(folder / f"{name}.yaml") for name in cls.model_fields if name != "contracts"}
        content["contracts"] = read_folder(folder / "contracts")
        override(content, env)
        resolve(content["settings"], "lake", "root", LakeSettings().root, folder)
        resolve(content["settings"], "limits", "folder", LimitSettings().folder, folder)
        try:
            return cls.model_validate(content, context={"folder": folder})
        except ValidationError as error:
            raise ConfigError(explain(error, folder)) from None
