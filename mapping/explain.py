"""Where each mapped field came from, found out by the mapping itself: one place of the source is changed at a time, everything
is mapped anew, and what comes out differently came from there. Nobody has to keep a second list beside the mapping, and so
none can be wrong: a field that is mapped another way tomorrow is explained another way tomorrow.

Pure: `build` is any function from inputs (nested dicts and lists; `raw` is the record as the store sent it) to named values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from core.errors import Held
from mapping.canonical.order import OrderStatus, PaymentStatus
from mapping.explain_rules import MOMENT, NUMBER, Rule, alike, number_of, rule_of, text_of

__all__ = [
    "Built",
    "Explained",
    "Rule",
    "Source",
    "Trace",
    "alike",
    "empty",
    "gathered",
    "leaves",
    "pattern",
    "rule_of",
    "trace",
    "trimmed",
]

ROWS: Final = 3
"""So many rows of each list are looked at; the others are made by the same rules."""
NAMED: Final = 200
"""The same of rows that are names and values."""
WORDS: Final = (
    "USD",
    "EUR",
    "XPF",
    *(word.value for word in OrderStatus),
    *(word.value for word in PaymentStatus),
    "placed",
)
"""Tried in the place of a word that a mapping takes only from a list of its own."""

_DIGITS: Final = re.compile(r"\D")
_WORD: Final = re.compile("[a-z][a-z_-]{1,19}")
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Built:
    """What comes of the inputs: values by name. `fault`: the field at which the second half (what is sent) ended, "" if it did
    not; its values are missing then.
    """

    values: Mapping[str, object]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A place of the inputs, and what stands there."""

    path: str
    value: object


@dataclass(frozen=True, slots=True)
class Explained:
    """One mapped field. `sources` are the places that it follows; where there are none, `rule` is `default` (`sources` then
    name the empty places that would fill it) or `fixed`.
    """

    name: str
    value: object
    rule: Rule
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that came out, explained. `unused`: filled places of the inputs that nothing follows. `needed`: places
    whose every other value is refused.
    """

    fields: Sequence[Explained]
    unused: Sequence[Source]
    needed: Sequence[str] = ()
    by_name: Mapping[str, Explained] = field(default_factory=dict, compare=False)


Build = Callable[[Mapping[str, Any]], Built]


def trace(inputs: Mapping[str, Any], build: Build) -> Trace:
    """Explain every value that `build` makes of these inputs. Raises what `build` raises for the inputs as they are."""
    base = build(inputs)
    ways = {path_of(way): way for way, _ in _walk(inputs, ())}
    places = dict(leaves(inputs))
    read = _read(inputs, ways, places, base, build)
    found: dict[str, list[str]] = {name: [] for name in base.values}
    unused, needed = [Source(path, places[path]) for path in ways if path not in read and not empty(places[path])], []
    for path in read:
        if empty(places[path]):
            continue
        changed, refused = _influence(inputs, ways[path], places[path], base, build)
        for name in changed:
            found[name].append(path)
        if not changed:
            (needed.append(path) if refused else unused.append(Source(path, places[path])))
    _coarsely(inputs, {path: ways[path] for path in read}, places, base, build, found)
    gaps = _gaps(inputs, {path: ways[path] for path in read if empty(places[path])}, base, build, found)
    fields = [_explained(name, base.values[name], found[name], gaps.get(name, []), places) for name in base.values]
    return Trace(fields, unused, needed, {one.name: one for one in fields})


def _read(
    inputs: Mapping[str, Any], ways: Mapping[str, Way], places: Mapping[str, object], base: Built, build: Build
) -> list[str]:
    """The places that the mapping looks at, seen while it does. Whether it was seen in all it does is tried: everything else
    is changed at once, and if anything comes of it, every place counts.
    """
    log: set[Way] = set()
    build(_seen(inputs, (), log))
    others = [path for path, way in ways.items() if way not in log]
    changed = inputs
    for path in others:
        other = next(_others(places[path]), "x7") if not empty(places[path]) else "x7"
        changed = _replaced(changed, ways[path], other)
    try:
        told = not _different(base, build(changed))
    except Held:
        told = False
    return [path for path in ways if path not in set(others)] if told else list(ways)


class _Seen(dict[str, Any]):
    """A dict that notes which of its values are asked for."""

    way: Way
    log: set[Way]

    def _note(self, name: object) -> None:
        self.log.add((*self.way, str(name)))

    def get(self, name: Any, default: Any = None) -> Any:
        self._note(name)
        return super().get(name, default)

    def __getitem__(self, name: Any) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def items(self) -> Any:
        for name in self:
            self._note(name)
        return super().items()

    def values(self) -> Any:
        for name in self:
            self._note(name)
        return super().values()


def _seen(value: Any, way: Way, log: set[Way]) -> Any:
    if isinstance(value, Mapping):
        made = _Seen({name: _seen(item, (*way, str(name)), log) for name, item in value.items()})
        made.way, made.log = way, log
        return made
    return [_seen(item, (*way, at), log) for at, item in enumerate(value)] if isinstance(value, list) else value


def _explained(name: str, value: object, paths: list[str], gaps: list[str], places: Mapping[str, object]) -> Explained:
    sources = tuple(Source(path, places[path]) for path in paths if not _names(path, places))
    if sources:
        return Explained(name, value, rule_of(value, [source.value for source in sources]), sources)
    rule: Rule = "default" if gaps or empty(value) else "fixed"
    return Explained(name, value, rule, tuple(Source(path, places[path]) for path in gaps))


def _influence(inputs: Mapping[str, Any], way: Way, value: object, base: Built, build: Build) -> tuple[set[str], bool]:
    """The values that follow this place, and whether another value there is refused altogether."""
    changed: set[str] = set()
    refused = False
    for other in _others(value):
        try:
            made = build(_replaced(inputs, way, other))
        except Held:
            refused = True
            continue
        changed |= _different(base, made)
        refused = refused or bool(made.fault) or _became_unknown(base, made)
        if changed and not made.fault:
            break
    # A word out of a list: what is none of it may be refused, or may be taken for what stands there already.
    lost = OrderStatus.UNKNOWN in base.values.values() and _WORD.fullmatch(str(value))
    for word in WORDS if (refused or lost) and isinstance(value, str) and len(value) <= 20 else ():
        try:
            changed |= _different(base, build(_replaced(inputs, way, word)))
        except Held:
            continue
    return changed, refused


def _became_unknown(base: Built, made: Built) -> bool:
    unknown = OrderStatus.UNKNOWN
    return any(value == unknown and base.values.get(name) != unknown for name, value in made.values.items())


def _different(base: Built, made: Built) -> set[str]:
    """The names whose values differ. Where the second half ended, its fault names the one field that did it."""
    missing = object()
    known = base.values.items()
    if made.fault:
        changed = {name for name, value in known if name in made.values and made.values[name] != value}
        return changed | {name for name in base.values if name == made.fault or name.endswith(f".{made.fault}")}
    return {name for name, value in known if made.values.get(name, missing) != value}


def _coarsely(
    inputs: Mapping[str, Any],
    ways: Mapping[str, Way],
    places: Mapping[str, object],
    base: Built,
    build: Build,
    found: dict[str, list[str]],
) -> None:
    """For values that follow nothing yet. Several places may tell the same number (a rate and its tax), and a little more at
    one of them is taken for rounding: each is made quite another one. And of a text only the digits may count.
    """
    wanted = {name for name, paths in found.items() if not paths and _has_number(base.values[name])}
    digits = any(len(_DIGITS.sub("", text_of(base.values[name]))) > 3 for name in wanted)
    for path, way in ways.items() if wanted else ():
        value = places[path]
        number = None if isinstance(value, bool) else number_of(value)
        if number is None and not (digits and isinstance(value, str) and value):
            continue
        try:
            made = build(_replaced(inputs, way, f"{value}7" if number is None else _like(value, number * 2 + 1)))
        except Held:
            continue
        for name in wanted & (set() if made.fault else _different(base, made)):
            found[name].append(path)


def _has_number(value: object) -> bool:
    number = number_of(value)
    return bool(number) if number is not None else isinstance(value, str) and any(map(str.isdecimal, value))


def _like(value: object, number: Decimal) -> object:
    """The number as the record writes its numbers."""
    return str(number) if isinstance(value, str) else int(number) if isinstance(value, int) else number


def _gaps(
    inputs: Mapping[str, Any], unfilled: Mapping[str, Way], base: Built, build: Build, found: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """For values that follow nothing that is there: the empty places that would fill them."""
    open_names = {name for name, paths in found.items() if not paths}
    gaps: dict[str, list[str]] = {}
    for path, way in unfilled.items() if open_names else ():
        for other in ("x7", "2026-01-02T03:04:05", "1.23", 7, True):
            try:
                made = build(_replaced(inputs, way, other))
            except Held:
                continue
            for name in _different(base, made) & open_names:
                gaps.setdefault(name, []).append(path)
            break
    return gaps


def empty(value: object) -> bool:
    """Nothing stands there."""
    return value is None or value == ""


Way = tuple[str | int, ...]


def leaves(value: object) -> Iterator[tuple[str, object]]:
    """Every scalar of nested dicts and lists with its path (`line_items[0].total`), of long lists the first rows."""
    found: list[tuple[str, object]] = []
    _flatten(value, "", found)
    return iter(found)


def _flatten(value: object, path: str, found: list[tuple[str, object]]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _flatten(item, f"{path}.{name}" if path else str(name), found)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value[: _most(value)]):
            _flatten(item, f"{path}[{at}]", found)
    else:
        found.append((path, value))


def path_of(way: Way) -> str:
    """("a", "b", 0, "c") -> `a.b[0].c`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).removeprefix(".")


def _walk(value: object, way: Way) -> Iterator[tuple[Way, object]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _walk(item, (*way, str(name)))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value[: _most(value)]):
            yield from _walk(item, (*way, at))
    else:
        yield way, value


def _most(rows: Sequence[Any]) -> int:
    """Rows of names and values are all different; of any others the first ones tell."""
    return NAMED if rows and isinstance(rows[0], Mapping) and {"key", "value"} <= rows[0].keys() else ROWS


def _replaced(value: Any, way: Sequence[str | int], other: object) -> Any:
    """The same with something else at the end of this way; only what lies on it is copied."""
    if not way:
        return other
    first, rest = way[0], way[1:]
    if isinstance(first, int):
        return [*value[:first], _replaced(value[first], rest, other), *value[first + 1 :]]
    return {**value, first: _replaced(value[first], rest, other)}


def trimmed(value: Any) -> Any:
    """A record with the first rows of each of its lists: what costs time is the number of lines, and all are made alike."""
    if isinstance(value, Mapping):
        return {name: trimmed(item) for name, item in value.items()}
    return [trimmed(item) for item in value[: _most(value)]] if isinstance(value, list) else value


def _others(value: object) -> Iterator[object]:
    """Other values of the same kind, the likeliest to be taken first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, Decimal):
        yield value + Decimal("0.01")
    elif isinstance(value, str):
        yield from _other_texts(value)


def _other_texts(value: str) -> Iterator[str]:
    if NUMBER.fullmatch(value):
        number = Decimal(value)
        yield str(number + Decimal(1).scaleb(min(int(number.as_tuple().exponent), 0)))
    moment = MOMENT.fullmatch(value)
    if moment:
        yield f"{moment[1]}{'02' if moment[2] == '01' else '01'}{moment[3] or ''}"
    yield f"x{value}"
    yield f"{value}7"
    yield f"7{value}"


def _names(path: str, places: Mapping[str, object]) -> bool:
    """A row's name, by which its value is found or left out (`meta_data[3].key`), is no source of its own."""
    return path.endswith((".key", ".display_key")) and f"{path.rpartition('.')[0]}.value" in places


def pattern(path: str) -> str:
    """The path with any row for a certain one: `line_items[*].total`."""
    return _INDEX.sub("[*]", path)


def gathered(sources: Sequence[Source], most: int = 4) -> list[tuple[str, list[Source]]]:
    """Sources by place, rows of one list together where there would be too many."""
    if len(sources) <= most:
        return [(source.path, [source]) for source in sources]
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(pattern(source.path), []).append(source)
    return list(found.items())
