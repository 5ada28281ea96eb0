"""Where files lie: a folder of this machine, or of an SFTP server. Both are only ever read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, Protocol

from connectors.roles import NotWhole
from core.errors import RetryLater


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file."""

    name: str
    size: int
    modified: datetime


class Session(Protocol):
    """A place that is open."""

    def list(self) -> Sequence[Entry]:
        """The files that lie there, in no order."""
        ...

    def entry(self, name: str) -> Entry | None:
        """One file; None: it is not there."""
        ...

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """For reading; can seek."""
        ...


class Place(Protocol):
    """A place that can be opened."""

    def session(self) -> AbstractContextManager[Session]:
        """Raises `RetryLater` where it cannot be reached."""
        ...


class Folder:
    """A folder of this machine (or one that is mounted there)."""

    def __init__(self, connection: str, path: str) -> None:
        self._connection = connection
        self._path = Path(path)

    @contextmanager
    def session(self) -> Iterator[Session]:
        try:
            yield self
        except OSError as error:
            raise RetryLater(
                f"The folder of {self._connection} cannot be read ({error.strerror}). What to do: see that it is there "
                "(mounted), and that the user who runs Orderwire may read it.",
                seconds=60,
                scope="connection",
                connection=self._connection,
                cause="auth" if isinstance(error, PermissionError) else "timeout/transient",
                detail=type(error).__name__,
            ) from None

    def list(self) -> Sequence[Entry]:
        found = []
        with os.scandir(self._path) as entries:
            for entry in entries:
                try:
                    if entry.is_file(follow_symlinks=False):
                        found.append(_entry(entry.name, entry.stat(follow_symlinks=False)))
                except FileNotFoundError:  # it was taken away while we looked
                    continue
        return found

    def entry(self, name: str) -> Entry | None:
        try:
            stat = (self._path / name).lstat()
        except FileNotFoundError:
            return None
        return _entry(name, stat) if S_ISREG(stat.st_mode) else None

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        try:
            return (self._path / name).open("rb", buffering=1024 * 1024)
        except FileNotFoundError:
            raise NotWhole("It was taken away.") from None


def _entry(name: str, stat: os.stat_result) -> Entry:
    seconds, rest = divmod(stat.st_mtime_ns, 1_000_000_000)
    return Entry(name, stat.st_size, datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000))
