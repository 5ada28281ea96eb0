"""What a target can do is asked of the target itself: a rehearsal stands before it, and newer Pythons do not see through."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import pipelines
from connectors.roles import Crediting, Invoicing
from pipelines import aftermath, invoices
from pipelines.run import Run

SOURCES = sorted(Path(pipelines.__file__).parent.glob("*.py"))


class Before:
    """As `rehearsal._Recording` looks where protocols are checked without `__getattr__`."""


def playing(role: type) -> object:
    """Something that plays this role."""
    names = [name for name in dir(role) if not name.startswith("_")]
    return type("Target", (), {name: lambda *_given, **_named: None for name in names})()


@pytest.mark.parametrize(("found", "role"), [(invoices.invoicing, Invoicing), (aftermath.crediting, Crediting)])
def test_a_rehearsal_hides_no_role(found: Any, role: type) -> None:
    before = Before()
    able, unable = (
        SimpleNamespace(crm=before, to="crm", context=SimpleNamespace(crms={"crm": target}))
        for target in (playing(role), object())
    )
    assert found(cast("Run", able)) is before
    assert found(cast("Run", unable)) is None


def test_nobody_asks_the_run_for_the_role_of_its_target() -> None:
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                assert ast.unparse(node.args[0]) != "run.crm", f"{file.name}:{node.lineno}"
