"""Documents in which one place holds something else: what a system may answer on a bad day."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any


def paths_of(value: Any, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a document, first rows of lists only."""
    if here:
        yield here
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths_of(inner, (*here, name))
    elif isinstance(value, list) and value:
        yield from paths_of(value[0], (*here, 0))


def changed_at(document: Mapping[str, Any], path: tuple[str | int, ...], junk: Any) -> dict[str, Any]:
    """The document with something else at that place (`...`: without it)."""
    changed: Any = copy.deepcopy(document)
    target = changed
    for part in path[:-1]:
        target = target[part]
    if junk is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = junk
    return changed  # type: ignore[no-any-return]
