"""Files that appear whole or not at all, once each, in a folder that somebody else empties.

A file is written aside under its final name, made durable, and moved into the folder in one step. The move is the evidence:
what is not aside any more was given, also when the portal has taken it since.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from connectors.http import outward
from core.errors import ConfigurationProblem, Held, RetryLater

HIDDEN: Final = ".orderwire"
LAST: Final = "last"
WITHIN: Final = 10.0
"""Seconds that giving a name to a file that is written may take."""
_BLOCK: Final = 1 << 20


class Folder:
    """The portal's folder and the one beside it. `name` is the connection's."""

    def __init__(self, name: str, folder: Path, aside: Path | None = None) -> None:
        self.name = name
        self.folder = folder
        self.aside = aside or folder / HIDDEN

    def write(self, file: str, lines: Iterable[bytes]) -> int:
        """Make the file aside, over an earlier try; how many lines. Durable when this returns."""
        self.require()
        self._sweep(file)
        # A name of its own: a worker that was taken for dead and goes on writes into nobody's file.
        temporary = self.aside / f"{file}.{uuid.uuid4().hex[:8]}.part"
        with self._told("written"):
            count, block, size = 0, list[bytes](), 0
            with temporary.open("wb") as out:
                for line in lines:
                    block.append(line)
                    count, size = count + 1, size + len(line)
                    if size >= _BLOCK:
                        out.write(b"".join(block))
                        block, size = [], 0
                out.write(b"".join(block))
                out.flush()
                os.fsync(out.fileno())
            with outward(self.name, "stage", file, within=WITHIN):
                temporary.replace(self.aside / file)
                _sync(self.aside)
        return count

    def _sweep(self, file: str) -> None:
        """Earlier tries that were not finished."""
        with self._told("removed"):
            for path in self.aside.glob(f"{file}.*.part"):
                path.unlink(missing_ok=True)

    def give(self, file: str) -> bool:
        """Move it to the portal; False where it is aside no more. Never over a file that lies there."""
        self.require()
        with self._told("moved"):
            made, given = self.aside / file, self.folder / file
            if not made.exists():
                return False
            if given.exists():
                raise Held(
                    f"A file {file} that is not ours lies in the folder of {self.name}; it is not overwritten. What to do: see "
                    "who writes there under our `source`; move that file away, then retry.",
                    error_class="duplicate/conflict",
                )
            with outward(self.name, "release", file, within=WITHIN):
                made.rename(given)
                _sync(self.folder)
                _sync(self.aside)
        return True

    def last(self) -> tuple[int, str]:
        """Number and mark of the last file that was made here; (0, "") before the first."""
        with self._told("read"):
            try:
                number, _, mark = (self.aside / LAST).read_text("ascii").strip().partition(" ")
                return int(number), mark
            except FileNotFoundError:
                return 0, ""
            except ValueError:
                raise Held(
                    f"{self.aside / LAST} cannot be read: it tells which number {self.name} was given last. What to do: write "
                    'the number of the newest file into it, a blank, and "-", then retry.',
                    error_class="configuration",
                ) from None

    def note(self, number: int, mark: str) -> None:
        """Write down that this number is used."""
        self.require()
        with self._told("written"):
            temporary = self.aside / f"{LAST}.part"
            with temporary.open("w", encoding="ascii") as out:
                out.write(f"{number} {mark}\n")
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(self.aside / LAST)
            _sync(self.aside)

    def require(self) -> None:
        """The portal's folder is never made by us: where it is missing, a share is not mounted."""
        if not self.folder.is_dir():
            raise RetryLater(
                f"The folder of {self.name} is not there ({self.folder}). What to do: see whether the share is mounted; it is "
                "tried again by itself.",
                seconds=30,
                scope="connection",
                connection=self.name,
                cause="timeout/transient",
            )
        with self._told("made"):
            self.aside.mkdir(mode=0o750, exist_ok=True)
        if self.aside.stat().st_dev != self.folder.stat().st_dev:
            raise ConfigurationProblem(
                f"work_folder of {self.name} is on another file system than its folder: a file could not appear there in one "
                "step. What to do: leave work_folder out, or name a folder beside the portal's."
            )

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """A full or vanished disk is the connection's fault, and passes."""
        try:
            yield
        except OSError as error:
            raise RetryLater(
                f"A file of {self.name} could not be {what} ({error.strerror or type(error).__name__}). What to do: see whether "
                "the disk is full, the share is there and the rights are given; it is tried again by itself.",
                seconds=30,
                scope="connection",
                connection=self.name,
                cause="timeout/transient",
                detail=type(error).__name__,
            ) from None


def _sync(folder: Path) -> None:
    """Make a folder's entries durable."""
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some network shares keep entries without being asked
            raise
    finally:
        os.close(handle)
