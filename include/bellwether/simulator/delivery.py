"""Bytes on the wire: compression, and every way an answer can break on its way.

It takes a finished answer and sends it, whole or as the fault says. It knows nothing of markets.
"""

import asyncio
import zlib
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from bellwether.simulator.answers import REFUSALS
from bellwether.simulator.faults import Fault

_HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>"
_INSTEAD = {"html": (200, _HTML), "bad_gateway": (502, _HTML), "rate_limited_empty": (429, b"")}
_LARGE_BODY = 200_000  # bytes from which compression is worth another thread
_DRIP_PIECES = 10


@dataclass(slots=True)
class Answer:
    """What is to be sent: body as yet uncompressed, HTTP status, content type, further headers."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


def answer_instead(fault: Fault, request_id: str) -> Answer | None:
    """Return the answer a fault gives in place of the right one, or None where the fault leaves that be."""
    if fault.kind in _INSTEAD:
        status, body = _INSTEAD[fault.kind]
        return Answer(body, status, content_type="text/html")
    if fault.kind not in REFUSALS:
        return None
    refusal = REFUSALS[fault.kind]
    answer = Answer(refusal.body(request_id), refusal.http_status)
    if fault.kind == "server_error":
        answer.status = fault.status
    if fault.kind == "rate_limited" and fault.retry_after_s is not None:
        answer.headers[hdrs.RETRY_AFTER] = str(fault.retry_after_s)
    return answer


async def deliver(request: web.Request, answer: Answer, fault: Fault | None) -> web.StreamResponse:
    """Return the response to send, compressed where the client takes gzip; broken as the fault says."""
    kind = fault.kind if fault is not None else ""
    body = answer.body
    if kind == "cut_json":
        body = body[: len(body) // 2]
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        body = await asyncio.to_thread(_gzip, body) if len(body) >= _LARGE_BODY else _gzip(body)
        answer.headers[hdrs.CONTENT_ENCODING] = "gzip"
    if kind == "cut_gzip":
        body = body[: len(body) // 2]
    if fault is None or kind not in {"drip", "cut_body", "reset"}:
        return web.Response(body=body, status=answer.status, content_type=answer.content_type, headers=answer.headers)
    return await _send_in_pieces(request, answer, body, fault)


async def _send_in_pieces(request: web.Request, answer: Answer, body: bytes, fault: Fault) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    response.content_length = len(body)
    if fault.kind == "reset":
        _disconnect(request)
        return response
    await response.prepare(request)
    if fault.kind == "cut_body":
        await response.write(body[: len(body) // 2])
        _disconnect(request)
        return response
    step = -(-len(body) // _DRIP_PIECES)
    for start in range(0, len(body), step):
        await asyncio.sleep(fault.pause_s)
        await response.write(body[start : start + step])
    return response


def _disconnect(request: web.Request) -> None:
    if request.transport is not None:  # else the client was quicker
        request.transport.close()


def _gzip(body: bytes) -> bytes:
    # Level 1: loopback has room, and compressing must not cost more than the client's decoding.
    return zlib.compress(body, level=1, wbits=31)
