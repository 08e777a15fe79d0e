"""A strict S3 store in memory, standing where `s3fs.S3FileSystem` does: conditions hold, and faults can be ordered.

It answers the few calls the lake makes, with the errors in which s3fs wraps those of botocore.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from fsspec.asyn import get_loop
from s3fs.errors import translate_boto_error

from bellwether.lake import objects

ROOT = "s3://bucket/some/lake"

Answer = dict[str, Any]
Fault = Callable[[Callable[[], Answer]], Answer]


class Body:
    """The stream of an answer."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def read(self) -> bytes:
        return self.content


class Bucket:
    """The store.

    Attributes
    ----------
    objects
        Content by key, with the time of its last change.
    calls
        Names of the calls made.
    ignores
        Names of conditions that are not honoured, as on a store that does not know them.
    faults
        What happens, once, to the next call of a method: it is given the call and may do it or not.
    """

    def __init__(self) -> None:
        self.loop = get_loop()
        self.retries = 1
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.calls: list[str] = []
        self.ignores: set[str] = set()
        self.faults: dict[str, Fault] = {}
        self.page_keys = 3

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every lake in a bucket opened from now on be kept here."""
        monkeypatch.setattr(objects.s3fs, "S3FileSystem", lambda **_: self)

    def call_s3(self, method: str, Bucket: str, **arguments: Any) -> Answer:  # noqa: N803 - botocore's name
        assert Bucket == "bucket"
        self.calls.append(method)
        honoured = {name: value for name, value in arguments.items() if name not in self.ignores}
        do = lambda: getattr(self, f"_{method}")(**honoured)  # noqa: E731 - what a fault may or may not do
        return self.faults.pop(method)(do) if method in self.faults else do()

    def keys(self) -> list[str]:
        """Return all keys relative to the lake, sorted."""
        return sorted(key.removeprefix("some/lake/") for key in self.objects)

    def put(self, key: str, content: bytes, modified_utc: datetime | None = None) -> None:
        self.objects[key] = (content, modified_utc or datetime.now(UTC))

    def _put_object(self, Key: str, Body: bytes, IfNoneMatch: str = "", IfMatch: str = "") -> Answer:  # noqa: N803
        if IfNoneMatch == "*" and Key in self.objects:
            raise refusal(412, "PreconditionFailed")
        if IfMatch and Key not in self.objects:
            raise refusal(404, "NoSuchKey")
        self._check(Key, IfMatch)
        self.put(Key, bytes(Body))
        return {}

    def _get_object(self, Key: str, Range: str = "", IfMatch: str = "") -> Answer:  # noqa: N803
        content = self._content(Key)
        self._check(Key, IfMatch)
        answer = {"ETag": etag(content), "Body": Body(content)}
        if Range:
            first, _, last = Range.removeprefix("bytes=").partition("-")
            start = int(first) if first else max(len(content) - int(last), 0)
            end = int(last) + 1 if first else len(content)
            answer |= {"Body": Body(content[start:end]), "ContentRange": f"bytes {start}-{end - 1}/{len(content)}"}
        return answer

    def _list_objects_v2(self, Prefix: str, ContinuationToken: str = "") -> Answer:  # noqa: N803
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > ContinuationToken)
        page = keys[: self.page_keys]
        contents = [
            {"Key": key, "LastModified": self.objects[key][1], "Size": len(self.objects[key][0])} for key in page
        ]
        return {
            "Contents": contents,
            "IsTruncated": len(keys) > len(page),
            "NextContinuationToken": page[-1:] and page[-1],
        }

    def _delete_object(self, Key: str) -> Answer:  # noqa: N803
        self.objects.pop(Key, None)
        return {}

    def _delete_objects(self, Delete: dict[str, Any]) -> Answer:  # noqa: N803
        for entry in Delete["Objects"]:
            del self.objects[entry["Key"]]
        return {}

    def _content(self, key: str) -> bytes:
        if key not in self.objects:
            raise refusal(404, "NoSuchKey")
        return self.objects[key][0]

    def _check(self, key: str, wanted: str) -> None:
        if wanted and etag(self._content(key)) != wanted:
            raise refusal(412, "PreconditionFailed")


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - what S3 uses


def refusal(status: int, code: str) -> BaseException:
    """Return the error s3fs raises for an answer of the store."""
    answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate_boto_error(ClientError(answer, "Call"))


def refused(status: int, code: str) -> Fault:
    """Answer with an error; the call is not carried out."""

    def fault(_do: Callable[[], Answer]) -> Answer:
        raise refusal(status, code)

    return fault


def answer_lost(*, carried_out: bool) -> Fault:
    """Give no answer, whether or not the call is carried out."""

    def fault(do: Callable[[], Answer]) -> Answer:
        if carried_out:
            do()
        raise ReadTimeoutError(endpoint_url="http://store")

    return fault
