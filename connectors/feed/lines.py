"""The lines of a file, whatever it is written in: found by what it begins with, decoded a line at a time.

What cannot be decoded becomes a lone surrogate, which no text has: such a line is bad, and the next ones go on.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

HEAD: Final = 4096
LONGEST: Final = 256 * 1024
"""Bytes (or characters) of a line."""
TOO_LONG: Final = "\udcfe"
"""What stands for a line that is longer."""
_ODD: Final = "orderwire.feed"
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_END_OF_DOS: Final = "\x1a"
"""Some programs write it at the end of a file."""


def _odd(error: UnicodeError) -> tuple[str, int]:
    end = getattr(error, "end", 0)
    return "\udcff", int(end)


codecs.register_error(_ODD, _odd)


@dataclass(frozen=True, slots=True)
class Written:
    """What a file is written in. `begin`: bytes before the text."""

    encoding: Literal["mixed"] | str  # noqa: PYI051 - the one word that is no codec
    begin: int = 0

    @property
    def wide(self) -> bool:
        """Two bytes a character."""
        return self.encoding.startswith("utf-16")


def written_in(head: bytes, wanted: str) -> Written:
    """From the first bytes of a file (at most `HEAD` of them) and what the connection says."""
    asked = "mixed" if wanted == "auto" else codecs.lookup(wanted).name
    for mark, encoding in _MARKS:
        if head.startswith(mark) and asked in {"mixed", "utf-16", encoding}:
            return Written(encoding, len(mark))
    if asked not in {"mixed", "utf-16"}:
        return Written(asked)
    # Without a mark: the letters, digits, tabs and line ends of the Latin script have a zero byte on one side.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if first + second > len(head) // 20:
        return Written("utf-16-be" if first > second else "utf-16-le")
    return Written("utf-16-le" if asked == "utf-16" else "mixed")


def ends_with_line(tail: bytes, size: int, written: Written) -> bool:
    """Whether a file's last line has its line ending. `tail`: its last bytes, an even number of them if there are two."""
    if not written.wide:
        return tail.rstrip(b"\x1a").endswith(b"\n")
    return (size - written.begin) % 2 == 0 and tail.endswith("\n".encode(written.encoding))


def lines(stream: BinaryIO, written: Written) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of every line that is not empty, without its line ending. The stream stands at its beginning."""
    stream.seek(written.begin)
    found = _mixed(stream) if written.encoding == "mixed" else _decoded(stream, written.encoding)
    for number, text in enumerate(found, 1):
        line = text.rstrip("\r\n")
        if line and line != _END_OF_DOS:
            yield number, line


def _mixed(stream: BinaryIO) -> Iterator[str]:
    while data := stream.readline(LONGEST):
        if len(data) >= LONGEST and not data.endswith(b"\n"):
            while (more := stream.readline(LONGEST)) and not more.endswith(b"\n"):
                pass
            yield TOO_LONG
            continue
        try:
            yield data.decode()
        except UnicodeDecodeError:
            yield data.decode("cp1252", _ODD)


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    text = io.TextIOWrapper(stream, encoding, errors=_ODD, newline="\n")
    try:
        while line := text.readline(LONGEST):
            if len(line) >= LONGEST and not line.endswith("\n"):
                while (more := text.readline(LONGEST)) and not more.endswith("\n"):
                    pass
                yield TOO_LONG
                continue
            yield line
    finally:
        text.detach()
