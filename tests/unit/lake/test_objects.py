"""A bucket lets one of two writers through, and what a lost answer left open is settled by reading back."""

from collections.abc import Callable
from pathlib import PurePosixPath

import pytest
from aiohttp import ClientPayloadError

from bellwether.errors import LakeError
from bellwether.lake.objects import ObjectStorage
from bellwether.lake.storage import VersionReplaced
from bellwether.logging import redact
from tests.bucket import Bucket, Fault, answer_lost, refused

KEY, KEPT = PurePosixPath("a/b.bin"), PurePosixPath("kept/b.bin")


@pytest.fixture
def storage(bucket: Bucket) -> ObjectStorage:
    return ObjectStorage("bucket", "some/lake", {})


def version(storage: ObjectStorage) -> str:
    stored = storage.read(KEY)
    assert stored is not None
    return stored.version


def content(storage: ObjectStorage) -> bytes:
    stored = storage.read(KEY)
    assert stored is not None
    return stored.content


def test_a_swap_replaces_only_the_version_it_expects_and_keeps_it(storage: ObjectStorage) -> None:
    assert storage.swap(KEY, b"one", expected=None)
    assert not storage.swap(KEY, b"other", expected=None)
    first = version(storage)
    assert storage.swap(KEY, b"two", expected=first, keep_as=KEPT)
    assert not storage.swap(KEY, b"three", expected=first, keep_as=KEPT)
    assert not storage.swap(KEY, b"three", expected=first)
    assert content(storage) == b"two"
    assert storage.read(KEPT).content == b"one"


@pytest.mark.parametrize("fault", [refused(409, "ConditionalRequestConflict"), refused(412, "PreconditionFailed")])
def test_a_refusal_by_condition_is_a_lost_race(storage: ObjectStorage, bucket: Bucket, fault: Fault) -> None:
    storage.swap(KEY, b"one", expected=None)
    bucket.faults["put_object"] = fault
    assert not storage.swap(KEY, b"two", expected=version(storage))
    assert content(storage) == b"one"


def test_what_was_withdrawn_meanwhile_is_a_lost_race(storage: ObjectStorage) -> None:
    storage.swap(KEY, b"one", expected=None)
    first = version(storage)
    storage.delete(KEY)
    assert not storage.swap(KEY, b"two", expected=first)
    assert not storage.swap(KEY, b"two", expected=first, keep_as=KEPT)


def test_a_revision_once_kept_is_never_overwritten(storage: ObjectStorage, bucket: Bucket) -> None:
    storage.swap(KEY, b"one", expected=None)
    first = version(storage)
    storage.write(KEPT, b"one, kept by a publisher that died then")
    assert storage.swap(KEY, b"two", expected=first, keep_as=KEPT)
    assert storage.read(KEPT).content == b"one, kept by a publisher that died then"
    assert not storage.swap(KEY, b"three", expected=first, keep_as=PurePosixPath("kept/late.bin"))
    assert storage.read(PurePosixPath("kept/late.bin")) is None


@pytest.mark.parametrize(("status", "code"), [(409, "ConditionalRequestConflict"), (403, "AccessDenied")])
def test_what_cannot_be_kept_is_not_replaced(storage: ObjectStorage, bucket: Bucket, status: int, code: str) -> None:
    storage.swap(KEY, b"one", expected=None)
    first = version(storage)
    bucket.faults["put_object"] = refused(status, code)
    if status == 409:
        assert not storage.swap(KEY, b"two", expected=first, keep_as=KEPT)
    else:
        with pytest.raises(LakeError, match="the store refuses access"):
            storage.swap(KEY, b"two", expected=first, keep_as=KEPT)
    assert content(storage) == b"one"


class TestAnAnswerThatNeverCame:
    def test_of_a_write_carried_out_is_a_success(self, storage: ObjectStorage, bucket: Bucket) -> None:
        bucket.faults["put_object"] = answer_lost(carried_out=True)
        assert storage.swap(KEY, b"one", expected=None)
        assert bucket.calls.count("put_object") == 1

    def test_of_a_write_not_carried_out_is_an_error_and_nothing_is_written_again(
        self, storage: ObjectStorage, bucket: Bucket
    ) -> None:
        storage.swap(KEY, b"one", expected=None)
        bucket.faults["put_object"] = answer_lost(carried_out=False)
        with pytest.raises(LakeError, match="run this again"):
            storage.swap(KEY, b"two", expected=version(storage))
        assert content(storage) == b"one"
        assert bucket.calls.count("put_object") == 2

    def test_and_another_writer_since_is_a_lost_race(self, storage: ObjectStorage, bucket: Bucket) -> None:
        storage.swap(KEY, b"one", expected=None)
        first = version(storage)
        lost = answer_lost(carried_out=True)

        def overtaken(do: object) -> object:
            try:
                return lost(do)
            finally:
                bucket.put("some/lake/a/b.bin", b"three, merged from two")

        bucket.faults["put_object"] = overtaken
        assert not storage.swap(KEY, b"two", expected=first)

    def test_and_was_asked_for_again_by_the_client_is_a_success(self, storage: ObjectStorage, bucket: Bucket) -> None:
        def repeated(do: object) -> object:
            do()
            return do()  # the second is refused by condition, since the first was carried out

        bucket.faults["put_object"] = repeated
        assert storage.swap(KEY, b"one", expected=None)

    @pytest.mark.parametrize("status", [500, 503])
    def test_counts_like_a_failure_of_the_store(self, storage: ObjectStorage, bucket: Bucket, status: int) -> None:
        bucket.faults["put_object"] = refused(status, "InternalError")
        with pytest.raises(LakeError, match="run this again"):
            storage.swap(KEY, b"one", expected=None)


@pytest.mark.parametrize(
    ("method", "status", "code", "words"),
    [
        ("put_object", 403, "AccessDenied", "AccessDenied: no; the store refuses access: check login, password"),
        ("put_object", 404, "NoSuchBucket", "there is no such bucket: create it"),
        ("put_object", 404, "404", "this is no word of an S3 store: check the lake's endpoint"),
        ("put_object", 404, "", "this is no word of an S3 store: check the lake's endpoint"),
        ("put_object", 507, "XMinioStorageFull", "the store is full: free some room"),
        ("put_object", 501, "NotImplemented", "lacks what a lake needs"),
        ("get_object", 404, "NoSuchBucket", "there is no such bucket"),
        ("get_object", 403, "AccessDenied", "the store refuses access"),
        ("list_objects_v2", 404, "NoSuchBucket", "there is no such bucket"),
    ],
)
def test_what_a_store_refuses_is_never_taken_for_absence_or_a_lost_race(
    storage: ObjectStorage, bucket: Bucket, method: str, status: int, code: str, words: str
) -> None:
    storage.swap(KEY, b"one", expected=None)
    first = version(storage)
    bucket.faults[method] = refused(status, code)
    with pytest.raises(LakeError, match=words) as caught:
        {
            "put_object": lambda: storage.swap(KEY, b"two", expected=first),
            "get_object": lambda: storage.read(KEY),
            "list_objects_v2": lambda: list(storage.list(PurePosixPath("a"))),
        }[method]()
    assert str(caught.value).startswith("s3://bucket/some/lake")
    assert content(storage) == b"one"


@pytest.mark.parametrize("code", ["404", "Not Found", "", "NoSuchBucket"])
@pytest.mark.parametrize("open_", [ObjectStorage.read, ObjectStorage.open])
def test_only_the_stores_own_word_is_absence_a_proxys_404_is_an_error(
    storage: ObjectStorage, bucket: Bucket, open_: Callable[[ObjectStorage, PurePosixPath], object], code: str
) -> None:
    assert open_(storage, KEY) is None
    storage.write(KEY, b"one")
    bucket.faults["get_object"] = refused(404, code)
    with pytest.raises(LakeError, match=r"s3://bucket/some/lake/a/b\.bin: "):
        open_(storage, KEY)


def test_a_first_write_cannot_miss_an_object(storage: ObjectStorage, bucket: Bucket) -> None:
    bucket.faults["put_object"] = refused(404, "NoSuchKey")
    with pytest.raises(LakeError, match="NoSuchKey"):
        storage.swap(KEY, b"one", expected=None)


class TestRandomAccess:
    CONTENT = bytes(range(256)) * 4096  # 1 MiB: larger than what is fetched at once

    @pytest.fixture
    def handle(self, storage: ObjectStorage) -> object:
        storage.write(KEY, self.CONTENT)
        return storage.open(KEY)

    @pytest.mark.parametrize(
        ("start", "size"), [(0, 10), (500_000, 400_000), (786_000, 1000), (1_048_570, 100), (2_000_000, 5), (0, -1)]
    )
    def test_any_range_is_read(self, handle: object, start: int, size: int) -> None:
        handle.seek(start)
        assert handle.read(size) == self.CONTENT[start:][: size if size >= 0 else None]
        assert handle.tell() == max(start, min(start + size if size >= 0 else 2**20, 2**20))

    def test_the_end_costs_no_request_of_its_own(self, handle: object, bucket: Bucket) -> None:
        asked = bucket.calls.count("get_object")
        assert handle.seek(-100_000, 2) == 2**20 - 100_000
        assert handle.read() == self.CONTENT[-100_000:]
        assert bucket.calls.count("get_object") == asked

    @pytest.mark.parametrize("replaced", [True, False])
    def test_two_versions_are_never_mixed(self, handle: object, storage: ObjectStorage, replaced: bool) -> None:
        storage.write(KEY, self.CONTENT[::-1]) if replaced else storage.delete(KEY)
        handle.seek(0)
        with pytest.raises(VersionReplaced, match="was replaced while being read"):
            handle.read(10)

    def test_a_proxys_404_in_mid_read_is_not_taken_for_a_replacement(self, handle: object, bucket: Bucket) -> None:
        bucket.faults["get_object"] = refused(404, "404")
        handle.seek(0)
        with pytest.raises(LakeError) as caught:
            handle.read(10)
        assert not isinstance(caught.value, VersionReplaced)

    def test_a_body_cut_off_is_fetched_again_but_not_for_ever(self, storage: ObjectStorage, bucket: Bucket) -> None:
        storage.write(KEY, b"one")

        class Cut:
            async def read(self) -> bytes:
                msg = "cut"
                raise ClientPayloadError(msg)

        def cut(do: object) -> object:
            return do() | {"Body": Cut()}

        bucket.faults["get_object"] = cut
        assert content(storage) == b"one"

        def always_cut(do: object) -> object:
            bucket.faults["get_object"] = always_cut
            return cut(do)

        bucket.faults["get_object"] = always_cut
        with pytest.raises(LakeError, match="no usable answer"):
            storage.read(KEY)


def test_listings_go_over_pages_and_leave_other_prefixes_and_folder_markers_out(
    storage: ObjectStorage, bucket: Bucket
) -> None:
    for number in range(8):
        storage.write(PurePosixPath(f"a/deep/{number}.bin"), b"x")
    for stranger in ("some/lake/ab/1.bin", "some/lake/a/", "other/a/1.bin"):
        bucket.put(stranger, b"x")
    assert sorted(str(entry.key) for entry in storage.list(PurePosixPath("a"))) == [f"a/deep/{n}.bin" for n in range(8)]
    storage.delete_folder(PurePosixPath("a/deep"))
    assert bucket.keys() == ["a/", "ab/1.bin", "other/a/1.bin"]


def test_what_could_not_be_deleted_is_an_error(
    storage: ObjectStorage, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write(KEY, b"x")
    errors = [{"Key": "some/lake/a/b.bin", "Code": "AccessDenied", "Message": "no"}]
    monkeypatch.setattr(bucket, "_delete_objects", lambda Delete: {"Errors": errors})  # noqa: N803
    with pytest.raises(LakeError, match=r"s3://bucket/some/lake/a/b\.bin: could not be deleted: AccessDenied"):
        storage.delete_folder(KEY.parent)


def test_a_lake_may_be_a_whole_bucket(bucket: Bucket) -> None:
    storage = ObjectStorage("bucket", "", {})
    storage.write(KEY, b"x")
    assert (storage.root, storage.url(KEY)) == ("s3://bucket", "s3://bucket/a/b.bin")
    assert [entry.key for folder in (KEY.parent, PurePosixPath()) for entry in storage.list(folder)] == [KEY, KEY]
    assert list(bucket.objects) == ["a/b.bin"]


def test_secrets_are_never_logged_and_unknown_options_are_refused(bucket: Bucket) -> None:
    ObjectStorage("bucket", "", {"key": "AK", "secret": "very-secret-1", "token": "very-secret-2"})
    assert redact("very-secret-1 very-secret-2") == "*** ***"
    with pytest.raises(LakeError, match="unknown options of an S3 lake: sekret; there are key, secret"):
        ObjectStorage("bucket", "", {"sekret": "x"})
