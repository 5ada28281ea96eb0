"""On which line of a TOML file a key stands: what the standard library's parser does not tell.

A tolerant scanner, not a parser: the text has been read by `tomllib` before, so what it does not understand
it passes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

Path = tuple[str | int, ...]
"""`("connection", 0, "url")`: keys, and places in arrays of tables."""

_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY: Final = re.compile(rf"^\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=(.*)$")
_PART: Final = re.compile(_NAME)
_TOKEN: Final = re.compile(r"""\"""|'''|"(?:[^"\\]|\\.)*"|'[^']*'|#|[\[\]{}]""")


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


@dataclass
class _Scan:
    lines: dict[Path, int] = field(default_factory=dict)
    values: set[Path] = field(default_factory=set)
    """Keys that are followed by a value, inline tables among them."""
    counts: dict[Path, int] = field(default_factory=dict)
    table: Path = ()
    quote: str = ""
    """The quotes that end the text over several lines in which we are."""
    depth: int = 0
    """Open brackets of a value over several lines."""

    def line(self, number: int, text: str) -> None:
        if self.quote or self.depth:
            self._skip(text)
        elif header := _HEADER.match(text):
            self._header(number, header.group(1) == "[[", _parts(header.group(2)))
        elif key := _KEY.match(text):
            path = self.table + _parts(key.group(1))
            for end in range(len(self.table) + 1, len(path) + 1):
                self.lines.setdefault(path[:end], number)
            self.values.add(path)
            self._skip(key.group(2))

    def _header(self, number: int, array: bool, parts: tuple[str, ...]) -> None:
        path: Path = ()
        for part in parts[:-1]:
            path = self._into((*path, part))
        path = (*path, parts[-1]) if parts else path
        self.lines.setdefault(path, number)
        if array:
            index = self.counts.get(path, 0)
            self.counts[path] = index + 1
            path = (*path, index)
            self.lines[path] = number
        else:
            path = self._into(path)
        self.table = path

    def _into(self, path: Path) -> Path:
        """A table below an array of tables belongs to the array's last one."""
        return (*path, self.counts[path] - 1) if path in self.counts else path

    def _skip(self, text: str) -> None:
        """Find out whether the value goes on in the next line."""
        place = 0
        while place < len(text):
            if self.quote:
                end = text.find(self.quote, place)
                if end < 0:
                    return
                place, self.quote = end + 3, ""
                continue
            token = _TOKEN.search(text, place)
            if token is None or token.group() == "#":
                return
            place = token.end()
            if token.group() in {'"""', "'''"}:
                self.quote = token.group()
            elif token.group() in "[{":
                self.depth += 1
            elif token.group() in "]}":
                self.depth -= 1


class Lines:
    """Where the keys of one TOML text stand."""

    def __init__(self, text: str) -> None:
        scan = _Scan()
        for number, line in enumerate(text.splitlines(), start=1):
            scan.line(number, line)
        self._lines = scan.lines
        self._values = scan.values

    def of(self, path: Path) -> int:
        """The line of this key; of the nearest table around it where the key itself is not found; 0: nowhere."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return 0

    def written(self, path: Path) -> int:
        """The line where this key is given a value, itself or within an inline table; 0: nowhere in the file."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._values:
                return self._lines[path[:end]]
        return 0
