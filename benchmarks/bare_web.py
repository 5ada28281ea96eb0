"""The yardstick of intake: an ASGI application that reads the body and answers 200, behind the server that the product uses.

`python benchmarks/bare_web.py`: prints its address, ends by SIGTERM.
"""

from __future__ import annotations

import socket
from typing import Any

import uvicorn

HEAD = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
BODY = {"type": "http.response.body", "body": b"ok"}


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Keeps nothing, checks nothing."""
    while (await receive()).get("more_body"):
        pass
    await send(HEAD)
    await send(BODY)


def main() -> None:
    """Until SIGTERM."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen(1024)
        print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
        config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
