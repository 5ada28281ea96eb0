"""The rep directory as tables for a spreadsheet, and back: reps, agencies, absences, assignments.

Going out, a rep's row says what counts; coming in, each filled cell is what people say (it wins over the ERP), an empty one
leaves the word to the ERP, and a cell that says what the ERP says is not noted as people's. Lines that are wrong are listed,
the good ones go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal, get_args

from pydantic import ValidationError

from core import cells
from core.errors import ConfigurationProblem
from core.keys import Key
from ledger import Ledger
from ledger.reps import AbsenceRow, AssignmentRow, Entry
from mapping.canonical import Agency, SalesRep
from pipelines.sheets import Line

Table = Literal["reps", "agencies", "absences", "assignments"]
TABLES: Final[tuple[Table, ...]] = get_args(Table)
COLUMNS: Final[Mapping[Table, tuple[str, ...]]] = {
    "reps": (
        "code", "agency", "name", "title", "email", "phone", "mobile", "photo", "languages", "active", "released", "owner",
    ),
    "agencies": ("code", "name", "business", "own"),
    "absences": ("rep", "agency", "first", "last", "deputy"),
    "assignments": ("subject", "subject_id", "rep", "agency", "role", "rank", "first", "last", "instead_of"),
}  # fmt: skip
NEEDED: Final[Mapping[Table, tuple[str, ...]]] = {
    "reps": ("code",), "agencies": ("code",), "absences": ("rep", "first"), "assignments": ("subject", "rep"),
}  # fmt: skip
SUBJECTS: Final = ("ship_to", "customer", "region", "team")
YES: Final = frozenset({"yes", "y", "true", "1", "x", "ja", "sì", "si", "oui"})
NO: Final = frozenset({"no", "n", "false", "0", "nein", "non"})
ORIGIN: Final = "csv"
LONGEST: Final[Mapping[str, int]] = {
    "code": 80, "agency": 80, "rep": 80, "deputy": 80, "instead_of": 80, "role": 40, "owner": 120, "subject_id": 200,
}  # fmt: skip
"""Characters that the ledger has room for."""


@dataclass(slots=True)
class Imported:
    """What became of a table."""

    taken: int = 0
    """Lines that changed something."""
    same: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    """(line, reason)."""


# -- out ---------------------------------------------------------------------------------------------------------------


def export(ledger: Ledger, source: str, table: Table) -> str:
    """Comma-separated, with a header."""
    rows: dict[Table, Callable[[], Iterable[Sequence[str]]]] = {
        "reps": lambda: (_rep_row(entry) for entry in ledger.reps.reps(source)),
        "agencies": lambda: (
            _cells("agencies", {"own": True, **entry.facts, "code": entry.code})
            for entry in ledger.reps.agencies(source)
        ),
        "absences": lambda: (_row("absences", row) for row in ledger.reps.absences(source)),
        "assignments": lambda: (_row("assignments", row) for row in ledger.reps.assignments(source)),
    }
    return cells.table(COLUMNS[table], rows[table]())


def _rep_row(entry: Entry) -> list[str]:
    given = {"active": True, **entry.facts, "code": entry.code, "agency": entry.agency, "owner": entry.owner}
    return _cells("reps", given)


def _row(table: Table, row: AbsenceRow | AssignmentRow) -> list[str]:
    return _cells(table, {name: getattr(row, name) for name in COLUMNS[table]})


def _cells(table: Table, given: Mapping[str, Any]) -> list[str]:
    return [_cell(given.get(name)) for name in COLUMNS[table]]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return str(value)


# -- in ----------------------------------------------------------------------------------------------------------------


def take_in(
    ledger: Ledger, source: str, table: Table, lines: Sequence[Line], *, by: str = "", dry_run: bool = False
) -> Imported:
    """Take a table in; every line that can be read. Raises ConfigurationProblem where a column is missing or unknown."""
    _require_columns(table, lines)
    done = Imported()
    taking: dict[Table, Callable[[Line], Callable[[], bool]]] = {
        "reps": _Reps(ledger, source, by).line,
        "agencies": _Agencies(ledger, source, by).line,
        "absences": _Absences(ledger, source, by).line,
        "assignments": _Assignments(ledger, source, by).line,
    }
    for line in lines:
        try:
            _bounded(line)
            write = taking[table](line)
        except ValueError as error:
            done.bad.append((line.number, str(error)))
            continue
        if dry_run or write():
            done.taken += 1
        else:
            done.same += 1
    return done


def _require_columns(table: Table, lines: Sequence[Line]) -> None:
    have = set(lines[0].cells) if lines else set(NEEDED[table])
    missing = [name for name in NEEDED[table] if name not in have]
    unknown = sorted(have - set(COLUMNS[table]))
    if missing or unknown:
        what = f"no column {', '.join(missing)}" if missing else f"a column {', '.join(unknown)}, which nobody knows"
        raise ConfigurationProblem(
            f"The table of {table} has {what}. What to do: its columns are {', '.join(COLUMNS[table])} "
            f"(`orderwire reps export {table}` writes such a table)."
        )


class _Reps:
    def __init__(self, ledger: Ledger, source: str, by: str) -> None:
        self.ledger, self.source, self.by = ledger, source, by
        self.known = {(entry.agency, entry.code): entry for entry in ledger.reps.reps(source)}

    def line(self, line: Line) -> Callable[[], bool]:
        code = _needed(line, "code")
        agency = line.get("agency") if "agency" in line.cells else self._only_agency(code)
        entry = self.known.get((agency, code)) or Entry(self.source, code, agency)
        said: dict[str, Any] = dict(entry.own)
        for name in ("name", "title", "email", "phone", "mobile", "photo"):
            _say(said, entry, name, line.get(name) or None, told=name in line.cells)
        for name in ("languages", "released"):
            words = line.get(name).replace(",", " ").replace(";", " ").split()
            _say(said, entry, name, sorted(words) if name == "released" else words, told=bool(words))
        if line.get("active"):
            _say(said, entry, "active", _yes_no(line, "active"), told=True, usual=True)
        _valid(
            lambda: SalesRep.model_validate(
                {**entry.erp, **said, "key": Key(self.source, "rep", code), "agency": agency}
            )
        )
        owner = line.get("owner") if "owner" in line.cells else None
        own = said if said or owner or not entry.erp else None
        return lambda: self.ledger.reps.put_rep(self.source, code, own, agency=agency, owner=owner, by=self.by)

    def _only_agency(self, code: str) -> str:
        """A table without that column means the rep who is there, not a namesake of the own company."""
        found = {agency for agency, known in self.known if known == code}
        if len(found) > 1 and "" not in found:
            raise ValueError(f"Several agencies have a rep {code}. What to do: add the column agency.")
        return found.pop() if len(found) == 1 else ""


class _Agencies:
    def __init__(self, ledger: Ledger, source: str, by: str) -> None:
        self.ledger, self.source, self.by = ledger, source, by
        self.known = {entry.code: entry for entry in ledger.reps.agencies(source)}

    def line(self, line: Line) -> Callable[[], bool]:
        code = _needed(line, "code")
        entry = self.known.get(code) or Entry(self.source, code)
        said: dict[str, Any] = dict(entry.own)
        for name in ("name", "business"):
            _say(said, entry, name, line.get(name) or None, told=name in line.cells)
        if line.get("own"):
            _say(said, entry, "own", _yes_no(line, "own"), told=True, usual=True)
        _valid(lambda: Agency.model_validate({**entry.erp, **said, "code": code}))
        own = said if said or not entry.erp else None
        return lambda: self.ledger.reps.put_agency(self.source, code, own, by=self.by)


class _Absences:
    def __init__(self, ledger: Ledger, source: str, by: str) -> None:
        self.ledger, self.source, self.by = ledger, source, by
        self.known = {_plain_absence(row) for row in ledger.reps.absences(source)}

    def line(self, line: Line) -> Callable[[], bool]:
        first = _day(line, "first")
        if first is None:
            raise ValueError("first is missing. What to do: give the first day, like 2026-12-01.")
        row = AbsenceRow(_needed(line, "rep"), first, _day(line, "last"), line.get("deputy"), line.get("agency"))
        if row.last is not None and row.last < row.first:
            raise ValueError(f"{row.last} is before {row.first}. What to do: look at the two days.")
        if row.deputy == row.rep:
            raise ValueError(f"{row.rep} stands in for itself. What to do: name another deputy, or none.")
        return lambda: self._write(row)

    def _write(self, row: AbsenceRow) -> bool:
        if _plain_absence(row) in self.known:
            return False
        self.known.add(_plain_absence(row))
        self.ledger.reps.add_absences(self.source, [row], by=self.by)
        return True


class _Assignments:
    def __init__(self, ledger: Ledger, source: str, by: str) -> None:
        self.ledger, self.source, self.by = ledger, source, by
        self.known = {_plain_assignment(row) for row in ledger.reps.assignments(source)}

    def line(self, line: Line) -> Callable[[], bool]:
        subject, subject_id = _needed(line, "subject"), line.get("subject_id")
        if subject not in SUBJECTS:
            raise ValueError(f"{subject} is no subject. What to do: write one of {', '.join(SUBJECTS)}.")
        if (subject == "team") == bool(subject_id):
            raise ValueError(
                f"subject_id does not fit {subject}. What to do: leave it empty for the team; else give the customer's number, "
                "the region, or customer/ship-to."
            )
        if subject == "ship_to" and not all(subject_id.partition("/")):
            raise ValueError(f"{subject_id} is no ship-to. What to do: write customer/ship-to, like 10017/2.")
        first, last = _day(line, "first"), _day(line, "last")
        if first is not None and last is not None and last < first:
            raise ValueError(f"{last} is before {first}. What to do: look at the two days.")
        rank = line.get("rank") or "0"
        if not rank.removeprefix("-").isdecimal() or len(rank) > 6:
            raise ValueError(f"{rank} is no rank. What to do: write a whole number, 0 for the first.")
        row = AssignmentRow(
            subject,
            subject_id,
            _needed(line, "rep"),
            agency=line.get("agency"),
            role=line.get("role") or "primary",
            rank=int(rank),
            first=first,
            last=last,
            origin=ORIGIN,
            instead_of=line.get("instead_of"),
        )
        return lambda: self._write(row)

    def _write(self, row: AssignmentRow) -> bool:
        if _plain_assignment(row) in self.known:
            return False
        self.known.add(_plain_assignment(row))
        self.ledger.reps.add_assignments(self.source, [row], by=self.by)
        return True


def _plain_absence(row: AbsenceRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in COLUMNS["absences"])


def _plain_assignment(row: AssignmentRow) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in COLUMNS["assignments"])


def _say(said: dict[str, Any], entry: Entry, name: str, value: Any, *, told: bool, usual: Any = None) -> None:
    """What people say, where it is another thing than the ERP says; `usual`: what counts where nobody says anything."""
    if not told:
        return
    if value is None or value == entry.erp.get(name, usual):
        said.pop(name, None)
    else:
        said[name] = value


def _bounded(line: Line) -> None:
    for name, text in line.cells.items():
        if "\x00" in text:
            raise ValueError(f"{name} has a character that no text has. What to do: type the cell again.")
        if len(text.strip()) > LONGEST.get(name, 500):
            raise ValueError(f"{name} has more than {LONGEST.get(name, 500)} characters. What to do: shorten it.")


def _needed(line: Line, name: str) -> str:
    value = line.get(name)
    if not value:
        raise ValueError(f"{name} is missing. What to do: fill the cell.")
    return value


def _yes_no(line: Line, name: str) -> bool:
    word = line.get(name).casefold()
    if word not in YES | NO:
        raise ValueError(f"{name} is {word!r}. What to do: write yes or no.")
    return word in YES


def _day(line: Line, name: str) -> date | None:
    text = line.get(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise ValueError(f"{name} is {text!r}. What to do: write the day like 2026-12-01.") from None


def _valid(make: Callable[[], object]) -> None:
    try:
        make()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise ValueError(f"{where}: {fault['msg']}. What to do: correct the cell.") from None
