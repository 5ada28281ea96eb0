"""What flows of orders say of the ERP that writes their invoices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from core.tomllines import Path as KeyPath

Tables = Iterable[tuple[KeyPath, Mapping[str, Any]]]
Problem = Callable[[KeyPath, str, str], None]
End = Callable[[KeyPath, str, str, str], None]
ONLY_WITH: Final = ("invoices_poll", "invoices_wait", "invoices_unknown")
"""Keys that say nothing without `invoices_from`."""


def check(flows: Tables, connections: Mapping[str, Mapping[str, Any]], end: End, problem: Problem) -> None:
    """Raw tables: a mistake elsewhere in a section must not hide this. `end` checks that a key names a connection of a role."""
    for path, flow in flows:
        source = flow.get("invoices_from")
        if isinstance(source, str) and source:
            end(path, "invoices_from", source, "erp")
            kinds = connections.get(source, {}).get("kinds")
            if isinstance(kinds, list) and "invoice" not in kinds:
                problem(
                    (*path, "invoices_from"), f"{source!r} is not asked for invoices", 'add "invoice" to its `kinds`'
                )
            continue
        if flow.get("invoices") == "from_erp":
            problem(
                (*path, "invoices"), "`from_erp` needs an ERP that writes the invoices", "name it in `invoices_from`"
            )
        for key in ONLY_WITH:
            if key in flow:
                message = f"`{key}` says nothing without an ERP that writes invoices"
                problem((*path, key), message, "name it in `invoices_from`, or leave this out")
