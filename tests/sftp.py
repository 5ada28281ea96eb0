"""A real SFTP server over a folder, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

USER, PASSWORD = "orderwire", "a password of tests"


@dataclass
class Sftp:
    """The server. `asked`: what was done there; `keys`: public keys of the user."""

    folder: Path
    kinds: tuple[str, ...] = ("ssh-ed25519",)
    port: int = 0
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    host_keys: list[Any] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop | None = None

    def hang_up(self) -> None:
        """End every connection without a word."""
        assert self.loop is not None
        for call in self.calls:
            self.loop.call_soon_threadsafe(call.abort)

    def host_key(self, kind: str = "ssh-ed25519") -> str:
        """As in known_hosts, without the name."""
        found = next(key for key in self.host_keys if key.get_algorithm() == kind)
        return " ".join(found.export_public_key().decode().split()[:2])


@contextmanager
def serving(folder: Path, kinds: tuple[str, ...] = ("ssh-ed25519",)) -> Iterator[Sftp]:
    """A server that only ever lets files be read, on a free port of 127.0.0.1."""
    server = Sftp(folder, kinds)
    server.host_keys = [asyncssh.generate_private_key(kind) for kind in kinds]
    loop = server.loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listener = asyncio.run_coroutine_threadsafe(_listen(server), loop).result(30)
    server.port = listener.get_port()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(listener), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


async def _listen(server: Sftp) -> Any:
    return await asyncssh.create_server(
        lambda: _Login(server),
        "127.0.0.1",
        0,
        server_host_keys=server.host_keys,
        sftp_factory=lambda channel: _Reading(server, channel),
    )


async def _end(listener: Any) -> None:
    listener.close()
    await listener.wait_closed()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: Sftp) -> None:
        self.server = server

    def connection_made(self, conn: Any) -> None:
        self.server.calls.append(conn)

    def begin_auth(self, username: str) -> bool:
        self.server.logins.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: Any) -> bool:
        return username == USER and key in self.server.keys


class _Reading(asyncssh.SFTPServer):
    """What a client may do: look and read."""

    def __init__(self, server: Sftp, channel: Any) -> None:
        super().__init__(channel, chroot=str(server.folder).encode())
        self.server = server

    def open(self, path: bytes, pflags: int, attrs: Any) -> object:
        self.server.asked.append(f"open {path.decode()}")
        if pflags & ~asyncssh.FXF_READ:
            raise asyncssh.SFTPPermissionDenied("Nobody writes here.")
        return super().open(path, pflags, attrs)

    def remove(self, path: bytes) -> None:
        self.server.asked.append(f"remove {path.decode()}")
        raise asyncssh.SFTPPermissionDenied("Nobody removes here.")

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        self.server.asked.append(f"rename {oldpath.decode()}")
        raise asyncssh.SFTPPermissionDenied("Nobody renames here.")
