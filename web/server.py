"""Running the web application, alone or with the engine in one process (`orderwire up`)."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import structlog
import uvicorn
from fastapi import FastAPI

from core.errors import ConfigurationProblem
from pipelines.application import Application
from pipelines.engine import Engine
from web.app import create_app
from web.state import WebState

log = structlog.get_logger(__name__)


def web_app(application: Application, nudge: Callable[[], object], trouble: Callable[[], str] = lambda: "") -> FastAPI:
    """The routes over this process's equipment."""
    return create_app(
        WebState(
            context=application.context,
            metrics=application.metrics,
            nudge=nudge,
            max_body=application.settings.web.max_body,
            trouble=trouble,
        )
    )


def serve(
    app: FastAPI, host: str, port: int, stop: threading.Event, *, started: Callable[[str], None] | None = None
) -> None:
    """Serve until `stop` is set. `started` gets the address once it listens (port 0: whichever was free)."""
    bound = _bind(host, port)
    address = f"http://{host}:{bound.getsockname()[1]}"
    server = _Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10, server_header=False)
    )
    threading.Thread(target=_watch, args=(stop, server), name="web-stop", daemon=True).start()
    if started is not None:
        started(address)
    server.run(sockets=[bound])
    bound.close()


def up(application: Application, stop: threading.Event, *, started: Callable[[str], None] | None = None) -> bool:
    """Web, worker threads and ticker in this process. True when everything ended in time."""
    settings = application.settings
    engine = Engine(application.context, threads=settings.worker.threads, tick=settings.worker.tick)
    engine.start()
    try:
        serve(
            web_app(application, engine.nudge, engine.trouble),
            settings.web.host,
            settings.web.port,
            stop,
            started=started,
        )
    finally:
        ended = engine.stop()
    return ended


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """Leaves signals to the process that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _watch(stop: threading.Event, server: uvicorn.Server) -> None:
    stop.wait()
    server.should_exit = True


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle off only where it is; without it every answer waits 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigurationProblem(
            f"The address {host}:{port} cannot be used ({error.strerror}). "
            "What to do: end the other program that uses it, or set another port under [web]."
        ) from None
    return bound
