"""The few ASGI pieces the stand-ins share: read a body, answer, and hang up without answering."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MAX_BODY = 8 * 1024 * 1024


async def read_body(receive: Receive) -> bytes:
    """The whole request body; empty beyond MAX_BODY."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY:
            chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if size <= MAX_BODY else b""


async def respond(send: Send, status: int, content_type: bytes, body: bytes, extra: Headers | None = None) -> None:
    """A whole answer at once."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hang_up(receive: Receive, send: Send) -> None:
    """Close the connection without an answer. Works under uvicorn, whose `send` knows its transport;
    elsewhere the server notices that no answer came and says so itself.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        return
    transport.abort()
    message = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()


async def lifespan(receive: Receive, send: Send) -> None:
    """Answer the server's start and stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
