"""A folder of an SFTP server (ADR-0013). The server's key is the one that is configured, or nothing is said to it at all."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from posixpath import join
from stat import S_ISREG
from typing import Any, BinaryIO, Final, TypeVar, cast

import asyncssh

from connectors.feed.places import Entry, Session
from connectors.feed.settings import FeedSettings
from connectors.roles import NotWhole
from core.errors import ConfigurationProblem, OrderwireError, RetryLater

AHEAD: Final = 2 * 1024 * 1024
"""Bytes that are asked for at once, in many requests: one answer at a time would make a far server slow."""
_RSA: Final = ["rsa-sha2-512", "rsa-sha2-256"]
T = TypeVar("T")


class Sftp:
    """A place; each session is a connection of its own, which lives in the thread that opened it."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings

    @contextmanager
    def session(self) -> Iterator[Session]:
        with asyncio.Runner() as runner:
            connection: asyncssh.SSHClientConnection | None = None
            try:
                connection = runner.run(self._connect())
                yield _SftpSession(runner, self._settings, connection)
            except (OrderwireError, NotWhole):
                raise
            except (asyncssh.Error, OSError) as error:
                raise self._told(error) from None
            finally:
                if connection is not None:
                    connection.abort()
                    with suppress(asyncssh.Error, OSError):
                        runner.run(asyncio.wait_for(connection.wait_closed(), self._settings.read_timeout))

    async def _connect(self) -> asyncssh.SSHClientConnection:
        settings = self._settings
        kind = settings.host_key.partition(" ")[0]
        options: dict[str, Any] = {
            "known_hosts": ([asyncssh.import_public_key(settings.host_key)], [], []),
            # The server is asked for the kind of key that is pinned: it may have several.
            "server_host_key_algs": _RSA if kind == "ssh-rsa" else [kind],
            "username": settings.username,
            "client_keys": [self._key()] if settings.private_key is not None else [],
            "password": settings.password.get() if settings.password is not None else None,
            "preferred_auth": "publickey" if settings.private_key is not None else "password",
            "connect_timeout": settings.connect_timeout,
            "login_timeout": settings.read_timeout,
            # Nothing of the machine's own user: no agent, no configuration, no keys that lie about.
            "agent_path": None,
            "config": None,
            "gss_host": None,
        }
        return await asyncssh.connect(settings.host, settings.port, **options)

    def _key(self) -> asyncssh.SSHKey:
        settings = self._settings
        text = settings.private_key.get() if settings.private_key else ""
        passphrase = settings.passphrase.get() if settings.passphrase else None
        try:
            return asyncssh.import_private_key(text + "\n", passphrase)
        except (asyncssh.KeyImportError, ValueError):
            raise ConfigurationProblem(
                f"The private key of {settings.name} cannot be read. What to do: give an Ed25519, ECDSA or RSA key in OpenSSH's "
                "form, and its passphrase if it has one."
            ) from None

    def _told(self, error: Exception) -> RetryLater:
        for kind, (what, advice, cause) in _FAULTS.items():
            if isinstance(error, kind):
                return self._later(what, advice, cause=cause)
        return self._later("does not answer", "nothing, it is asked again", detail=type(error).__name__)

    def _later(self, what: str, advice: str, *, cause: str = "timeout/transient", detail: str = "") -> RetryLater:
        settings = self._settings
        return RetryLater(
            f"The SFTP server of {settings.name} {what}. What to do: {advice}.",
            seconds=60,
            scope="connection",
            connection=settings.name,
            cause=cause,
            detail=detail,
        )


_FAULTS: Final[Mapping[type[Exception], tuple[str, str, str]]] = {
    asyncssh.HostKeyNotVerifiable: (
        "shows another key than the one that is pinned; nothing was sent to it",
        "ask who runs the server whether its key was changed; only then write the new one into host_key",
        "auth",
    ),
    asyncssh.KeyExchangeFailed: (
        "has no key of the kind that is pinned, or speaks no common language",
        "ask who runs the server for its host keys; only then write another one into host_key",
        "auth",
    ),
    asyncssh.PermissionDenied: (
        "refuses our login",
        "check username and password or private_key of this connection",
        "auth",
    ),
    asyncssh.SFTPPermissionDenied: ("does not let our user read there", "ask for the right to read the folder", "auth"),
    asyncssh.SFTPNoSuchFile: ("has no such folder", "check `folder` of this connection", "configuration"),
    asyncssh.SFTPNoSuchPath: ("has no such folder", "check `folder` of this connection", "configuration"),
}


class _SftpSession:
    """What is asked runs to its end in our thread; every answer has its time."""

    def __init__(
        self, runner: asyncio.Runner, settings: FeedSettings, connection: asyncssh.SSHClientConnection
    ) -> None:
        self._runner = runner
        self._folder = settings.folder
        self._timeout = settings.read_timeout
        self._client = self.run(connection.start_sftp_client())

    def run(self, asked: Awaitable[T]) -> T:
        """The answer. Raises TimeoutError where none comes in time."""
        return self._runner.run(self._in_time(asked))

    def _in_time(self, asked: Awaitable[T]) -> Coroutine[Any, Any, T]:
        return asyncio.wait_for(asked, self._timeout)

    def list(self) -> Sequence[Entry]:
        found = self.run(self._client.readdir(self._folder))
        entries = (_entry(str(one.filename), one.attrs) for one in found)
        return [entry for entry in entries if entry is not None]

    def entry(self, name: str) -> Entry | None:
        try:
            return _entry(name, self.run(self._client.lstat(join(self._folder, name))))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        path = join(self._folder, name)
        try:
            size = self.run(self._client.stat(path)).size or 0
            file = self.run(self._client.open(path, "rb", encoding=None))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            raise NotWhole("It was taken away.") from None
        yield cast("BinaryIO", io.BufferedReader(_Ahead(self, file, size), AHEAD))


def _entry(name: str, found: asyncssh.SFTPAttrs) -> Entry | None:
    if found.permissions is None or not S_ISREG(found.permissions):
        return None
    return Entry(name, found.size or 0, datetime.fromtimestamp(found.mtime or 0, UTC))


class _Ahead(io.RawIOBase):
    """A remote file read in large parts, and never more than one of them in memory."""

    def __init__(self, session: _SftpSession, file: asyncssh.SFTPClientFile, size: int) -> None:
        self._session = session
        self._file = file
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        data = cast("bytes", self._session.run(self._file.read(wanted, self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
