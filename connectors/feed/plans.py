"""What the files of a connection are called, and what is taken out of their rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Final

from connectors.feed.places import Entry
from connectors.feed.rows import Cells, Plan, split_csv, split_tabs
from connectors.feed.settings import KS_KINDS, FeedSettings, SheetSettings
from connectors.roles import Dropped, ErpKind, Unusable
from core.errors import Held
from mapping.kommerce import LAYOUTS, FileName, Layout, cells_raw, fields_from_kommerce, stored_cells
from mapping.sheet import REQUIRED, Fields, Words, fields_from_columns, key_of, stored_columns
from mapping.sheet.fields import gone
from mapping.sheet.rows import columns_raw

_RANKS: Final[Mapping[ErpKind, int]] = {"region": 1, "product": 2, "customer": 2}
LAST: Final = 3
"""What refers to others comes after them."""


def words_of(settings: FeedSettings) -> Words:
    """How this source writes."""
    return Words(
        separator=settings.separator,
        agencies={**dict.fromkeys(settings.own, ""), **{number: number for number in settings.agencies}},
        deleted=frozenset(word.upper() for word in settings.deleted),
        inactive=frozenset(word.upper() for word in settings.inactive),
        decimal=settings.decimal,
        dates=settings.dates,
        warehouse=settings.warehouse,
    )


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of file of a connection."""

    name: str
    kind: ErpKind | None
    sheet: SheetSettings | None = None
    layout: Layout | None = None


class Files:
    """The kinds of files, by their names."""

    def __init__(self, settings: FeedSettings) -> None:
        self._settings = settings
        self._words = words_of(settings)
        self._sheets = [(_compiled(one.name), Series(one.name, one.kind, sheet=one)) for one in settings.files]
        self._kommerce = {
            api: Series(api, kind, layout=LAYOUTS[api].with_columns(settings.columns.get(api, {})))
            for api, kind in KS_KINDS.items()
            if self._reads(api, kind)
        }

    def _reads(self, api: str, kind: ErpKind) -> bool:
        """Whether enough is known of this kind of KS_ file. Contacts of a business that sells are reps, others are none."""
        if self._settings.files and api not in self._settings.columns:
            return False
        if kind == "rep":
            return bool(self._words.agencies)
        return REQUIRED[kind] <= set(LAYOUTS[api].columns) | set(self._settings.columns.get(api, {}))

    @property
    def kinds(self) -> frozenset[ErpKind]:
        """What these files tell."""
        series = [*self._kommerce.values(), *(one for _, one in self._sheets)]
        return frozenset(one.kind for one in series if one.kind is not None)

    def dropped(self, entry: Entry) -> Dropped | None:
        """What this file is; None: nothing that concerns us."""
        for pattern, series in self._sheets:
            if (found := pattern.fullmatch(entry.name)) is not None:
                return self._sheet(entry, series, found.groupdict())
        name = FileName.parse(entry.name)
        if name is None or (self._settings.source and name.source != self._settings.source):
            return None
        series = self._kommerce.get(name.api, Series(name.api, None))
        return Dropped(
            name=entry.name,
            source=name.source,
            sequence=name.sequence,
            series=name.api,
            kind=series.kind,
            mode=name.mode,
            size=entry.size,
            modified=entry.modified,
            rank=name.precedence,
        )

    @staticmethod
    def _sheet(entry: Entry, series: Series, parts: Mapping[str, str]) -> Dropped:
        mode = series.sheet.mode if series.sheet else "FULL"
        said = parts.get("mode", "").upper()
        return Dropped(
            name=entry.name,
            source="",
            sequence=int(parts["sequence"]) if "sequence" in parts else None,
            series=series.name[:80],
            kind=series.kind,
            mode="NET" if said == "NET" else "FULL" if said else mode,
            size=entry.size,
            modified=entry.modified,
            rank=_RANKS.get(series.kind, LAST) if series.kind else LAST,
        )

    def series_of(self, file: Dropped) -> Series:
        """The kind of file that this is."""
        known = {one.name[:80]: one for _, one in self._sheets}
        return known[file.series] if file.series in known else self._kommerce[file.series]

    # -- rows ----------------------------------------------------------------------------------------------------------

    def plan(self, series: Series, heading: Sequence[str]) -> Plan:
        """What is taken out of the rows of a file with this heading. Raises `Unusable` where a column is missing in it."""
        if series.layout is not None:
            return self._kommerce_plan(series, series.layout)
        if series.sheet is None:
            raise Unusable("This kind of file is not read here.")
        return self._sheet_plan(series.sheet, heading)

    def _kommerce_plan(self, series: Series, layout: Layout) -> Plan:
        kind, words = str(series.kind), self._words
        own = self._settings.columns.get(series.name, {})
        fields = partial(_fields_at, {name: place - 1 for name, place in layout.columns.items()})
        contacts = kind == "rep"
        return Plan(
            key=_key(kind, fields, words, {name: place - 1 for name, place in layout.columns.items()}),
            needed=max([*own.values(), *(layout.columns.get(name, 0) for name in layout.key)], default=1),
            split=split_tabs,
            width=self._settings.width.get(series.name, 0),
            ours=(lambda cells: layout.cell(cells, "company") in words.agencies) if contacts else None,
            gone=(lambda cells: gone({"deleted": layout.cell(cells, "deleted")}, words)) if "deleted" in own else None,
        )

    def _sheet_plan(self, sheet: SheetSettings, heading: Sequence[str]) -> Plan:
        words = self._words
        places: dict[str, int] = {}
        for name, column in sheet.columns.items():
            if isinstance(column, int):
                places[name] = column - 1
            elif column in heading:
                places[name] = heading.index(column)
            else:
                raise Unusable(f"The file has no column {column!r} (for {name}); it has {', '.join(heading)[:300]}.")
        fields = partial(_fields_at, places)
        return Plan(
            key=_key(sheet.kind, fields, words, places),
            needed=max(places.values(), default=0) + 1,
            split=split_csv(sheet.delimiter),
            width=len(heading),
            gone=(lambda cells: gone(fields(cells), words)) if "deleted" in places else None,
            mixed_in=blake2b("\x1f".join(heading).encode("utf-8", "replace"), digest_size=16).digest()
            if heading
            else b"",
        )

    @staticmethod
    def raw(series: Series, heading: Sequence[str], cells: Cells) -> bytes:
        """What is stored of a row."""
        if series.layout is not None:
            return cells_raw(list(cells))
        return columns_raw(heading or [str(place) for place in range(1, len(cells) + 1)], cells)

    @staticmethod
    def fields_of(series: Series, heading: Sequence[str], cells: Cells) -> Fields:
        """A row's fields by our names, as it is read: the same that `raw` and then `fields` give."""
        if series.layout is not None:
            return fields_from_kommerce(cells, series.layout)
        columns = heading or [str(place) for place in range(1, len(cells) + 1)]
        return fields_from_columns(dict(zip(columns, cells, strict=True)), series.sheet.columns if series.sheet else {})

    def fields(self, kind: ErpKind, raw: bytes) -> Fields:
        """A stored row's fields by our names. Raises `Held`."""
        if b'"columns"' in raw[:20]:
            columns = stored_columns(raw)
            for _, series in self._sheets:
                names = series.sheet.columns if series.sheet else {}
                if series.kind == kind and all(str(names[one]) in columns for one in REQUIRED[kind]):
                    return fields_from_columns(columns, names)
            raise Held(
                f"The columns of this row are not those of any file that is configured for {kind}. What to do: look at `files` "
                "of this connection, or have the file dropped again.",
                error_class="mapping",
            )
        cells = stored_cells(raw)
        layout = next((one.layout for one in self._kommerce.values() if one.kind == kind and one.layout), None)
        if layout is None:
            raise Held(
                f"KS_ files that tell {kind} are not read here any more. What to do: look at `columns` of this connection.",
                error_class="configuration",
            )
        return fields_from_kommerce(cells, layout)


def unique(heading: Sequence[str]) -> list[str]:
    """Names of columns; one that stands there twice gets its place."""
    names = [name.strip().lstrip("\ufeff") for name in heading]
    return [name if names.count(name) == 1 and name else f"{name}#{place}" for place, name in enumerate(names, 1)]


def _compiled(name: str) -> re.Pattern[str]:
    text = re.escape(name)
    text = text.replace(re.escape("{sequence}"), "(?P<sequence>[0-9]{1,12})")
    return re.compile(text.replace(re.escape("{mode}"), "(?P<mode>(?i:full|net))"))


def _fields_at(places: Mapping[str, int], cells: Cells) -> Fields:
    return {name: cells[place] for name, place in places.items() if place < len(cells)}


def _key(kind: str, fields: partial[Fields], words: Words, places: Mapping[str, int]):  # type: ignore[no-untyped-def]
    """How the record's id is found; straight from its cell where that is all."""
    straight = {"customer": "number", "region": "id", "product": "sku", "invoice": "id"}.get(kind)
    if kind == "rep":
        straight = "number" if "code" not in places else "code" if "number" not in places else None
    if straight is None or straight not in places:
        return lambda cells: key_of(kind, fields(cells), words)
    place = places[straight]
    return lambda cells: cells[place].strip() if place < len(cells) else ""
