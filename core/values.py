"""Every setting with its value and where it came from, for `config show` and the page of settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from core.config import Kind, Reading, read
from core.redaction import where_to
from core.secrets import SecretRef
from core.tomllines import Path as KeyPath


@dataclass(frozen=True, slots=True)
class Value:
    """One setting for `config show`: where it came from is `file:12`, `env:NAME` or `default`."""

    path: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class InForce:
    """What a process was started with. Secrets are references alone."""

    file: Path
    values: Sequence[Value]
    digest: str

    @classmethod
    def of(cls, file: str | Path, kinds: Mapping[str, Kind]) -> Self:
        """As the file is now."""
        return cls(Path(file), tuple(values(read(file, kinds, with_secrets=False))), _digest(Path(file)))

    def changed(self) -> bool:
        """The file says something else by now, and only a restart makes it so."""
        return _digest(self.file) != self.digest


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def values(reading: Reading) -> list[Value]:
    """Every setting with its value and where it came from, for `config show`. Secrets are shown as references, addresses without
    user and query.
    """
    return [value for path, section in reading.parts.items() for value in _values(section, path, reading)]


def _values(item: Any, path: KeyPath, reading: Reading) -> Iterator[Value]:
    if isinstance(item, BaseModel):
        for name in type(item).model_fields:
            yield from _values(getattr(item, name), (*path, name), reading)
    elif isinstance(item, Mapping) and item:
        for key, below in item.items():
            yield from _values(below, (*path, str(key)), reading)
    else:
        yield Value(reading.shown(path), _text(item), reading.origin(path))


def _text(item: Any) -> str:
    if isinstance(item, SecretRef):
        return item.reference
    if item is None:
        return ""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, list | tuple):
        return ", ".join(_text(below) for below in item)
    return "{}" if isinstance(item, Mapping) else where_to(str(item))
