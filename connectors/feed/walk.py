"""How far the files of a place have been read, as a cursor."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.roles import Dropped
from core.clock import to_micros
from core.errors import ConfigurationProblem

VERSION: Final = 1
DONE: Final = -1
_KEYS: Final = {"v", "number", "rank", "here", "loose"}
Marks = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class From:
    """`number`, `rank`: everything before is passed. `here`: of the files at that place up to which line each was read (`DONE`:
    to its end), with its time; `loose`: the same of files without a number.
    """

    number: int = DONE
    rank: int = 0
    here: Marks = field(default_factory=dict)
    loose: Marks = field(default_factory=dict)

    def passed(self, file: Dropped) -> bool:
        """Whether there is nothing more to read in it."""
        known = self._known(file)
        if known is not None:
            return known == DONE
        return file.sequence is not None and (file.sequence, file.rank) < (self.number, self.rank)

    def line_of(self, file: Dropped) -> int:
        """The last line that was read of it."""
        return max(self._known(file) or 0, 0)

    def _known(self, file: Dropped) -> int | None:
        found = (self.loose if file.sequence is None else self.here).get(file.name)
        return found[1] if found is not None and found[0] == to_micros(file.modified) else None

    def at(self, file: Dropped, line: int) -> From:
        """It was read up to this line."""
        mark = {file.name: (to_micros(file.modified), line)}
        if file.sequence is None:
            return replace(self, loose={**self.loose, **mark})
        same = (self.number, self.rank) == (file.sequence, file.rank)
        return replace(self, number=file.sequence, rank=file.rank, here={**(self.here if same else {}), **mark})

    def after(self, file: Dropped) -> From:
        """It was read to its end."""
        return self.at(file, DONE)


def start(files: Sequence[Dropped]) -> From:
    """Where to begin who has read nothing: at the newest FULL."""
    full = next((one for one in reversed(files) if one.mode == "FULL" and one.sequence is not None), None)
    return From(full.sequence, full.rank) if full is not None and full.sequence is not None else From()


def to_text(place: From) -> str:
    """The cursor."""
    said = {"v": VERSION, "number": place.number, "rank": place.rank, "here": place.here, "loose": place.loose}
    return json.dumps(said, separators=(",", ":"))


def from_text(text: str, name: str) -> From:
    """The inverse. Raises ConfigurationProblem where it is none of ours."""
    try:
        said = json.loads(text)
        if not isinstance(said, dict) or set(said) != _KEYS or said["v"] != VERSION:
            raise ValueError(text)
        return From(int(said["number"]), int(said["rank"]), _marks(said["here"]), _marks(said["loose"]))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise ConfigurationProblem(
            f"The place up to which {name} was read is not readable. What to do: reset its cursor; everything is read again then."
        ) from None


def _marks(said: Mapping[str, Sequence[int]]) -> Marks:
    return {str(name): (int(time), int(line)) for name, (time, line) in said.items()}
