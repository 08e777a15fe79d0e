"""A lake in an S3 bucket, or in any store that speaks S3 and honours conditional writes.

An object is written by one PUT: it is there whole or not at all. `swap` is a PUT under a condition
(`If-None-Match: *`, `If-Match: <ETag>`), so of two publishers at once the store lets one through. Whether a PUT
that ended without an answer was carried out is settled by reading back, never by doing it again.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

import s3fs
from aiohttp import ClientError as BodyError
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync

from bellwether.errors import LakeError
from bellwether.lake.ranges import Ranges
from bellwether.lake.storage import Entry, Stored, VersionReplaced, no_steps
from bellwether.logging import redact, register_secret
from bellwether.meter import count, timed

_OPTIONS = ("key", "secret", "token", "endpoint_url", "region")
_CLIENT = {"connect_timeout": 10, "read_timeout": 60, "retries": {"mode": "standard", "max_attempts": 4}}

# A Parquet footer with the manifest of 500 tickers has about 100 kB; what is fetched with it saves a request.
_TAIL_BYTES = 256 * 1024
_MOST_READS = 3
_DELETED_AT_ONCE = 1000

# 409: another conditional write of the object is under way. NoSuchKey, a 404, answers If-Match where there is none.
_LOST_RACE = (409, 412)
_STORES_404 = ("NoSuchBucket", "NoSuchKey")
_WHAT_TO_DO = {
    403: "the store refuses access: check login, password and the bucket's policy",
    404: "there is no such bucket: create it, or correct the lake's URL",
    501: "this store lacks what a lake needs; docs/operations.md says what that is",
    507: "the store is full: free some room or raise its quota, then run this again",
}
_NOT_A_STORE = "this is no word of an S3 store: check the lake's endpoint, and any proxy on the way to it"
_NO_ANSWER = "the store gave no usable answer: check its endpoint, the credentials and the network, then run this again"


class StoreError(LakeError):
    """The store refused a request, or gave no answer.

    Parameters
    ----------
    message
        What happened and what to do.
    status, code
        HTTP status and S3 error code; 0 and "" where no answer came.
    """

    def __init__(self, message: str, status: int, code: str) -> None:
        self.status = status
        self.code = code
        super().__init__(message, status, code)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def is_absence(self) -> bool:
        """Whether the store says that the object is not there: not a bucket that is missing, nor a proxy's own 404."""
        return self.status == 404 and self.code == "NoSuchKey"


class ObjectStorage:
    """A bucket, or the part of it below a prefix.

    Parameters
    ----------
    bucket, prefix
        Where.
    options
        `key`, `secret`, `token`, `endpoint_url`, `region`, each optional.

    Raises
    ------
    LakeError
        An option is unknown.
    """

    def __init__(self, bucket: str, prefix: str, options: Mapping[str, str]) -> None:
        unknown = sorted(options.keys() - set(_OPTIONS))
        if unknown:
            msg = f"unknown options of an S3 lake: {', '.join(unknown)}; there are {', '.join(_OPTIONS)}"
            raise LakeError(msg)
        for name in ("secret", "token"):
            register_secret(options.get(name, ""))
        self._bucket = bucket
        self._prefix = prefix
        self._s3 = s3fs.S3FileSystem(
            **{name: options.get(name) for name in ("key", "secret", "token", "endpoint_url")},
            client_kwargs={"region_name": options["region"]} if "region" in options else {},
            config_kwargs=_CLIENT,
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        self._s3.retries = 1  # botocore's own retries are enough

    @property
    def root(self) -> str:
        """The URL."""
        return f"s3://{PurePosixPath(self._bucket, self._prefix)}"

    def url(self, key: PurePosixPath) -> str:
        """Return the URL of an object."""
        return f"{self.root}/{key}"

    @timed("read_s")
    def read(self, key: PurePosixPath) -> Stored | None:
        """Return an object whole; its version is its ETag."""
        try:
            content, answer = self._get(key)
        except StoreError as error:
            if error.is_absence:
                return None
            raise
        return Stored(content, answer["ETag"])

    def open(self, key: PurePosixPath) -> IO[bytes] | None:
        """Open an object; every read of the handle is conditional on the ETag it was opened with."""
        try:
            tail, answer = self._get(key, Range=f"bytes=-{_TAIL_BYTES}")
        except StoreError as error:
            if error.is_absence:
                return None
            raise

        def fetch(start: int, end: int) -> bytes:
            try:
                return self._get(key, Range=f"bytes={start}-{end - 1}", IfMatch=answer["ETag"])[0]
            except StoreError as error:
                if error.status == 412 or error.is_absence:
                    msg = f"{self.url(key)} was replaced while being read"
                    raise VersionReplaced(msg) from error
                raise

        size = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else len(tail)
        return cast("IO[bytes]", Ranges(size, tail, fetch))

    @timed("write_s")
    def write(self, key: PurePosixPath, content: bytes) -> None:
        """Write an object."""
        count("bytes_written", len(content))
        self._call("put_object", key, Body=content)

    @timed("write_s")
    def swap(
        self,
        key: PurePosixPath,
        content: bytes,
        *,
        expected: str | None,
        keep_as: PurePosixPath | None = None,
        reached: Callable[[str], None] = no_steps,
    ) -> bool:
        """Write the version to keep under its other name, then PUT on condition that it is still in force."""
        count("bytes_written", len(content))
        if keep_as is not None and not self._keep(key, expected, keep_as):
            return False
        reached("kept")
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        try:
            self._call("put_object", key, Body=content, **condition)
        except StoreError as error:
            if not self._was_written(key, content, expected, error):
                return False
        reached("swapped")
        return True

    def list(self, folder: PurePosixPath) -> Iterator[Entry]:
        """Yield all objects below a folder."""
        prefix = f"{self._key(folder)}/".removeprefix("./")  # the whole of a bucket has no prefix
        page: dict[str, Any] = {}
        while not page or page["IsTruncated"]:
            going_on = {"ContinuationToken": page["NextContinuationToken"]} if page else {}
            page = self._call("list_objects_v2", None, Prefix=prefix, **going_on)
            for found in page.get("Contents", ()):
                if not found["Key"].endswith("/"):  # such are the "folders" that consoles create
                    key = PurePosixPath(found["Key"]).relative_to(self._prefix)
                    yield Entry(key, found["LastModified"], found["Size"])

    def delete(self, key: PurePosixPath) -> None:
        """Delete an object if it is there."""
        self._call("delete_object", key)

    def delete_folder(self, folder: PurePosixPath) -> None:
        """Delete all objects below a folder."""
        keys = [{"Key": self._key(entry.key)} for entry in self.list(folder)]
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = keys[start : start + _DELETED_AT_ONCE]
            answer = self._call("delete_objects", None, Delete={"Objects": batch, "Quiet": True})
            if answer.get("Errors"):
                first = answer["Errors"][0]
                why = f"{first.get('Code')} {first.get('Message')}"
                msg = f"s3://{self._bucket}/{first['Key']}: could not be deleted: {why}"
                raise LakeError(msg)

    def clean(self) -> None:
        """Do nothing: a PUT that was cut off leaves no object."""

    @contextmanager
    def locked(self, key: PurePosixPath) -> Iterator[None]:
        """Hold a lock among the processes of this user on this machine; the kernel releases it."""
        folder = Path(tempfile.gettempdir(), f"bellwether-locks-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / hashlib.sha256(self.url(key).encode()).hexdigest()).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def verify(self, key: PurePosixPath) -> None:
        """Try to write an object's own content over it under conditions that do not hold."""
        stored = self.read(key)
        if stored is None:
            msg = f"{self.url(key)} is gone: somebody deletes this lake"
            raise LakeError(msg)
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"00000000000000000000000000000000"'}):
            try:
                self._call("put_object", key, Body=stored.content, **condition)
            except StoreError as error:
                if error.status in (409, 412):
                    continue
                raise
            msg = (
                f"the store of {self.root} ignores the condition {next(iter(condition))} of a write: of two "
                "publications at once one would be lost. docs/operations.md says what a store must honour"
            )
            raise LakeError(msg)

    def _keep(self, key: PurePosixPath, expected: str | None, keep_as: PurePosixPath) -> bool:
        # Not by a copy within the store: some ignore its condition, and would keep another version under the name.
        current = self.read(key)
        if current is None or current.version != expected:
            return False
        try:
            self._call("put_object", keep_as, Body=current.content, IfNoneMatch="*")
        except StoreError as error:
            if error.status == 409:
                return False
            if error.status != 412:  # whoever kept it before kept the same
                raise
        return True

    def _was_written(self, key: PurePosixPath, content: bytes, expected: str | None, error: StoreError) -> bool:
        """Return whether a PUT that ended in an error was carried out; raise the error if that is open.

        Also a refusal by condition may follow upon success: the client asks again by itself when an answer was lost.
        """
        is_refusal = error.status in _LOST_RACE or (error.is_absence and expected is not None)
        if 400 <= error.status < 500 and not is_refusal:
            raise error
        current = self.read(key)
        if current is not None and current.content == content:
            return True
        if is_refusal or (current and current.version) != expected:
            return False
        raise error

    def _get(self, key: PurePosixPath, **conditions: str) -> tuple[bytes, dict[str, Any]]:
        for tried in range(1, _MOST_READS + 1):
            answer = self._call("get_object", key, **conditions)
            try:
                return sync(self._s3.loop, answer["Body"].read), answer
            except (OSError, BodyError, BotoCoreError) as error:
                if tried == _MOST_READS:
                    raise self._explained(error, key) from error
        raise AssertionError  # the last try returns or raises

    def _call(self, method: str, key: PurePosixPath | None, **arguments: object) -> dict[str, Any]:
        if key is not None:
            arguments["Key"] = self._key(key)
        try:
            answer: dict[str, Any] = self._s3.call_s3(method, Bucket=self._bucket, **arguments)
        except (OSError, BodyError, BotoCoreError, ClientError) as error:
            raise self._explained(error, key) from error
        return answer

    def _key(self, key: PurePosixPath) -> str:
        return str(PurePosixPath(self._prefix, key))

    def _explained(self, error: BaseException, key: PurePosixPath | None) -> StoreError:
        answer = getattr(error if isinstance(error, ClientError) else error.__cause__, "response", None) or {}
        code = str(answer.get("Error", {}).get("Code", ""))
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        place = self.root if key is None else self.url(key)
        what_to_do = _WHAT_TO_DO.get(status, _NO_ANSWER)
        if status == 404 and code not in _STORES_404:
            what_to_do = _NOT_A_STORE
        what = f"{code}: {error}" if code else str(error)
        return StoreError(redact(f"{place}: {what}; {what_to_do}"), status, code)
