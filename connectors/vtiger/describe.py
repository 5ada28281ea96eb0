"""What `describe` tells about modules, kept for a while: no order pays for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from connectors.vtiger.client import Client, Record
from core.clock import Clock
from core.errors import Held, RetryLater

KEEP: Final = 900.0
"""Seconds a description is good for."""
ASK_AGAIN: Final = 30.0
"""Seconds after which a word or field that is missing is looked up again: an administrator may just have added it."""


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field: its label, and the words of its picklist (None: not a picklist)."""

    label: str
    words: frozenset[str] | None
    mandatory: bool
    unique: bool = False


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """One module as the API user may use it."""

    name: str
    prefix: str
    createable: bool
    updateable: bool
    fields: dict[str, FieldInfo]
    refuses_duplicates: bool = False
    """Duplicates are not allowed (vtiger 7.2 and later; older ones say nothing about it)."""

    def refuses_equal(self, field: str) -> bool:
        """Whether a second record with this value is refused.

        vtiger compares *all* unique fields at once: with another one beside it, equal values in one alone are accepted
        (its handler of `vtiger.entity.beforesave`, vtiger 7.2 to 8.2).
        """
        unique = [name for name, info in self.fields.items() if info.unique]
        return self.refuses_duplicates and unique == [field]


def module_info(raw: Record) -> ModuleInfo:
    """The answer of `describe`, reduced to what is used."""
    fields = raw.get("fields")
    return ModuleInfo(
        name=str(raw.get("name", "")),
        prefix=str(raw.get("idPrefix", "")),
        createable=raw.get("createable") is True,
        updateable=raw.get("updateable") is True,
        fields={str(f["name"]): _field(f) for f in fields if isinstance(f, dict) and "name" in f}
        if isinstance(fields, list)
        else {},
        refuses_duplicates=raw.get("allowDuplicates") is False,
    )


def _field(raw: dict[str, Any]) -> FieldInfo:
    kind = raw.get("type")
    values = kind.get("picklistValues") if isinstance(kind, dict) and kind.get("name") == "picklist" else None
    words = (
        frozenset(str(v.get("value", "")) for v in values if isinstance(v, dict)) if isinstance(values, list) else None
    )
    # A field that nobody may edit takes no part in the comparison.
    unique = raw.get("isunique") is True and raw.get("editable") is not False
    return FieldInfo(str(raw.get("label", "")), words, raw.get("mandatory") is True, unique)


class Modules:
    """Descriptions of an install's modules; safe to share between threads."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, ModuleInfo]] = {}

    def get(self, module: str, *, no_older_than: float = KEEP) -> ModuleInfo:
        """The module's description; raises RetryLater (connection) where the API user may not see the module."""
        with self._lock:
            known = self._known.get(module)
            if known is not None and self._clock.monotonic() - known[0] <= no_older_than:
                return known[1]
            raw = self._client.describe(module)
            if raw is None:
                name = self._client.settings.name
                raise RetryLater(
                    f"{name} hides its module {module} from the API user. "
                    "What to do: give the user's role the right to view, create and edit it, then `orderwire check`.",
                    seconds=300,
                    scope="connection",
                    connection=name,
                    cause="auth",
                    detail=f"describe {module}",
                )
            info = module_info(raw)
            self._known[module] = (self._clock.monotonic(), info)
            return info

    def present(self, module: str, fields: Iterable[str]) -> tuple[str, ...]:
        """Those of the fields that the module has."""
        have = self.get(module).fields
        return tuple(field for field in fields if field in have)

    def require_fields(self, module: str, fields: Iterable[str]) -> None:
        """Raise before anything is written without a field that vtiger would silently drop."""
        wanted = [field for field in fields if field]
        missing = [field for field in wanted if field not in self.get(module).fields]
        if missing and all(field in self.get(module, no_older_than=ASK_AGAIN).fields for field in missing):
            return
        if missing:
            name = self._client.settings.name
            raise Held(
                f"{name} has no field {missing[0]} on {module}: what is written into it would be lost without a word. "
                f"What to do: `orderwire check {name}` prints the clicks that add the field, then retry.",
                error_class="configuration",
                field=missing[0],
            )

    def knows_word(self, module: str, field: str, word: str) -> bool:
        """Whether the picklist has the word; True for a field that is not a picklist."""
        for age in (KEEP, ASK_AGAIN):
            info = self.get(module, no_older_than=age).fields.get(field)
            if info is None or info.words is None or word in info.words:
                return True
        return False

    def require_word(self, module: str, field: str, word: str, *, table: str) -> None:
        """Raise for a word that is not in the picklist: vtiger would keep it and say success."""
        if not word or self.knows_word(module, field, word):
            return
        name = self._client.settings.name
        words = self.get(module).fields[field].words or frozenset()
        raise Held(
            f'"{word}" is not a word of {field} on {module} in {name} (it has: {", ".join(sorted(words)) or "none"}). '
            f"What to do: add it there in Settings > Picklist Editor, or change {table} in the configuration; retry.",
            error_class="validation/value",
            field=field,
        )
