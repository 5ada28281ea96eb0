"""Serves the web application in this process until it is asked to stop."""

from __future__ import annotations

import socket
import threading

import uvicorn
from fastapi import FastAPI

from core.errors import ConfigurationProblem
from web.pages import environment, languages

GRACE = 10
"""Seconds that requests under way may take after the process was asked to stop."""
CALM = 2.0
"""Seconds after the start in which nothing but what comes in is worked on."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigurationProblem where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's algorithm off only where it is.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(1024)  # at once: whoever is told the address may call before the server is up
    except OSError as error:
        bound.close()
        raise ConfigurationProblem(
            f"Port {port} on {host} cannot be opened ({error.strerror}). What to do: end what uses it, or choose another in "
            "[web] of the configuration."
        ) from None
    return bound


def address(bound: socket.socket) -> str:
    """`http://127.0.0.1:8700`."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, bound: socket.socket, stop: threading.Event) -> None:
    """Until SIGTERM or SIGINT, also where that came before uvicorn listens to signals: the caller's handler sets `stop`.
    uvicorn raises the signal again at its end.
    """
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=GRACE, lifespan="off"
    )
    server = uvicorn.Server(config)

    def ended() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=ended, name="stop", daemon=True).start()
    threading.Thread(target=_prepare, args=(stop,), name="prepare", daemon=True).start()
    server.run(sockets=[bound])


def _prepare(stop: threading.Event) -> None:
    """Compile the templates, one after the other with rests between them: the first who opens a page waited 0.3 s for it."""
    if stop.wait(CALM):
        return
    for pages in map(environment, languages()):
        for name in pages.list_templates():
            pages.get_template(name)
            if stop.wait(0.05):
                return
