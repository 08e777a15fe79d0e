import gzip

import pytest

from bellwether.errors import BadResponse, Truncated
from bellwether.sources.body import MAX_BODY_BYTES, gunzip

URL = "https://api.polygon.io/x"
CONTENT = b'{"status":"OK"}'


def test_a_body_that_unpacks_to_more_than_any_page_is_refused_before_it_takes_the_memory() -> None:
    bomb = gzip.compress(bytes(MAX_BODY_BYTES + 1), compresslevel=1)
    with pytest.raises(BadResponse, match="holds more than"):
        gunzip(bomb, url=URL)


def test_gzip_body_is_decompressed_or_refused() -> None:
    packed = gzip.compress(CONTENT)
    assert gunzip(packed, url=URL) == CONTENT
    wrong_checksum = packed[:-8] + b"\0" * 4 + packed[-4:]
    for content, cls in [(packed[:-12], Truncated), (wrong_checksum, BadResponse), (b"<html>", BadResponse)]:
        with pytest.raises(BadResponse) as caught:
            gunzip(content, url=URL, request_id="r1")
        assert type(caught.value) is cls
        assert caught.value.request_id == "r1"
