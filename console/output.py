"""How the command line prints: tables for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from core.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console

    from connectors.roles import Finding


def console(*, errors: bool = False) -> Console:
    """Standard output (or error) as it is now; wide where nobody looks at it on a terminal."""
    from rich.console import Console

    made = Console(stderr=errors, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = 160
    return made


def print_json(value: Any) -> None:
    """One JSON document."""
    sys.stdout.write(visible_json(json.dumps(value, default=str, ensure_ascii=False, indent=2)) + "\n")


def say(text: str = "", *, err: bool = False) -> None:
    """One sentence or more on standard output (or error). What a customer wrote moves no cursor and colours nothing."""
    import typer

    typer.echo(visible(text), err=err)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their titles; text that is too long goes on in the next line. Nobody's text moves the cursor."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(visible, row))
    console().print(table)


def when(moment: datetime) -> str:
    """To the second; the column says that it is UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def print_findings(found: Sequence[tuple[str, Finding]]) -> None:
    """What `check` and `init` found: (connection, finding)."""
    signs = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM"}
    rows = [
        (name, signs[f.level], f.subject, f.message + (f"\nWhat to do: {f.what_to_do}" if f.what_to_do else ""))
        for name, f in found
    ]
    print_table(("connection", "", "what", "finding"), rows)
