"""Run an ASGI application in a thread on a free loopback port, for tests, benchmarks and the demo process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

_START_SECONDS = 10
_END_SECONDS = 1.0


def listening_socket(port: int = 0) -> socket.socket:
    """A bound loopback socket; port 0 takes a free one."""
    # The protocol is named because asyncio switches Nagle off only where it is; without it every call takes 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(1024)  # At once: whoever is told the address may call before the server is up.
    return bound


@contextlib.contextmanager
def running(app: Any, *, port: int = 0) -> Iterator[str]:
    """Serve `app` until the block ends; yields its base URL, such as http://127.0.0.1:40123.

    Raises RuntimeError where the server does not come up within ten seconds.
    """
    bound = listening_socket(port)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}"
    started = threading.Event()
    server = _Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1), started)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name=f"serve {address}", daemon=True)
    thread.start()
    try:
        if not started.wait(_START_SECONDS):
            raise RuntimeError(f"The stand-in at {address} did not start. What to do: look at the output above.")
        yield address
    finally:
        server.stop()
        thread.join(_START_SECONDS)
        bound.close()


class _Server(uvicorn.Server):
    """Tells when it listens, stops at once when told, and leaves signals to the process it runs in."""

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._listening = started
        self._told: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def stop(self) -> None:
        """To be called from another thread."""
        self.should_exit = True
        if self._told:
            loop, told = self._told
            with contextlib.suppress(RuntimeError):  # The loop has ended already.
                loop.call_soon_threadsafe(told.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._told = (asyncio.get_running_loop(), asyncio.Event())
        await super().startup(sockets=sockets)
        self._listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, without its pause of a tenth of a second: a stand-in ends with every test."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        ends = asyncio.get_running_loop().time() + _END_SECONDS
        while self._busy and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - uvicorn tells nobody of an end
            await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    @property
    def _busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    async def main_loop(self) -> None:
        told = self._told[1] if self._told else asyncio.Event()
        ticks = 0
        while not self.should_exit:
            await self.on_tick(ticks)
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), 0.1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
