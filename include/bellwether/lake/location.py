"""From what people write to the storage of a lake: a folder, a URL, or a Connection `lake_default`.

Plain values in, a `Storage` out; what a bucket needs is loaded only for a bucket.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bellwether.config import Config
from bellwether.connections import ConnectionFields, from_environment
from bellwether.errors import ConfigError, LakeError
from bellwether.lake.local import LocalStorage
from bellwether.lake.storage import Storage

# Fields of an Airflow Connection of type Amazon Web Services, and what they are to `open_storage`.
_OPTION_OF_EXTRA = {
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
    "endpoint_url": "endpoint_url",
    "region_name": "region",
}


@dataclass(frozen=True)
class Location:
    """Where a lake is.

    Attributes
    ----------
    root
        Folder or URL.
    options
        How to reach it: arguments of `open_storage`.
    """

    root: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)  # it holds the secret


def location_of(connection: ConnectionFields) -> Location:
    """Return where a Connection `lake_default` says the lake is.

    Parameters
    ----------
    connection
        Type File with a path, or Amazon Web Services or Generic with `path` (else the host) an `s3://` URL.

    Raises
    ------
    ConfigError
        It names no place, or has an extra that would be ignored.
    """
    extra = dict(connection.extra)
    root = str(extra.pop("path", "") or connection.host)
    if not root:
        msg = "connection lake_default names no folder and no bucket: enter it as path"
        raise ConfigError(msg)
    if not root.startswith("s3://"):
        return Location(root)
    unknown = sorted(extra.keys() - _OPTION_OF_EXTRA)
    if unknown:
        msg = (
            f"connection lake_default: extra {', '.join(unknown)} is not supported for a lake; "
            f"known are path, {', '.join(_OPTION_OF_EXTRA)}"
        )
        raise ConfigError(msg)
    options = {"key": connection.login, "secret": connection.password}
    options |= {option: str(extra[name]) for name, option in _OPTION_OF_EXTRA.items() if extra.get(name)}
    return Location(root, {name: value for name, value in options.items() if value})


def default_location(config: Config, env: Mapping[str, str] = os.environ) -> Location:
    """Return where the lake is outside of Airflow: as `AIRFLOW_CONN_LAKE_DEFAULT` says, else `lake.root`."""
    connection = from_environment("lake_default", env)
    return location_of(connection) if connection else Location(config.settings.lake.root)


def open_storage(root: str | Path, options: Mapping[str, str]) -> Storage:
    """Return the storage at a place.

    Parameters
    ----------
    root
        Folder, `file://` URL, or `s3://bucket/prefix`.
    options
        For a bucket: `key`, `secret`, `token`, `endpoint_url`, `region`; what is not given is looked for where every
        AWS client looks: environment, profile, machine role.

    Raises
    ------
    LakeError
        The URL is malformed or of a storage that is not supported.
    """
    url = urlsplit(str(root))
    if url.scheme == "":
        return LocalStorage(Path(root).absolute())
    if url.username or url.password:
        msg = f"the lake's URL {url.scheme}://... holds credentials: move them to the connection lake_default"
        raise LakeError(msg)
    if url.scheme == "file":
        if url.netloc not in ("", "localhost"):
            msg = f"{root} names a host; a folder's URL has three slashes: file:///data/lake"
            raise LakeError(msg)
        return LocalStorage(Path(unquote(url.path)))
    if url.scheme != "s3" or not url.netloc:
        msg = f"{root}: a lake is a folder, a file:// URL or s3://bucket/prefix"
        raise LakeError(msg)
    from bellwether.lake.objects import ObjectStorage  # noqa: PLC0415 - loads the S3 client

    return ObjectStorage(url.netloc, url.path.strip("/"), options)
