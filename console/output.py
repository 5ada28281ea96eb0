"""How the command line prints: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from connectors.roles import Finding


def console(*, errors: bool = False) -> Console:
    console = Console(stderr=errors, highlight=False, markup=False, emoji=False)
    return (
        console
        if console.is_terminal
        else Console(stderr=errors, highlight=False, markup=False, emoji=False, width=160)
    )


def print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=str, ensure_ascii=False, indent=2) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def when(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def print_findings(found: Sequence[tuple[str, Finding]]) -> None:
    signs = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}
    rows = [
        (name, signs[f.level], f.subject, f.message + (f"\nWhat to do: {f.what_to_do}" if f.what_to_do else ""))
        for name, f in found
    ]
    print_table(("connection", "", "what", "finding"), rows)
