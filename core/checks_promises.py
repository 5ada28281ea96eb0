"""What `[flow.promise]` says of the connection that carries its messages, and of the ERP that tells promised days."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from core.problems import did_you_mean
from core.tomllines import Path as KeyPath


def check(
    flows: Iterable[tuple[KeyPath, Mapping[str, Any]]],
    letters: Mapping[str, str | None],
    connections: Mapping[str, Mapping[str, Any]],
    problem: Callable[[KeyPath, str, str], None],
) -> None:
    """Read from the raw tables: a mistake elsewhere in a flow must not hide this. `letters`: by name of the connection, what it
    carries (mail, chat, "" for nothing; None where that cannot be told, its connector being wrong).
    """
    for path, flow in flows:
        promise = flow.get("promise")
        via = promise.get("via") if isinstance(promise, Mapping) else None
        if not isinstance(promise, Mapping) or not isinstance(via, str) or not via:
            continue
        at, fitting = (*path, "promise", "via"), tuple(name for name, what in letters.items() if what)
        there_are = f"there are: {', '.join(fitting)}" if fitting else 'configure one first: connector = "smtp"'
        if via not in letters:
            problem(at, f"there is no connection named {via!r}", did_you_mean(via, fitting) or there_are)
        elif letters[via] == "":
            problem(at, f"{via!r} carries no messages", there_are)
        elif letters[via] == "mail" and not promise.get("tell") and not connections[via].get("recipients"):
            message = "nobody would be told where the rep's address is not known"
            problem(at, message, f"write tell = [...] beside it, or give {via!r} `recipients`")


def check_erp(
    flows: Iterable[tuple[KeyPath, Mapping[str, Any]]],
    telling: Mapping[str, bool],
    connections: Mapping[str, Mapping[str, Any]],
    end: Callable[[KeyPath, str, str, str], None],
    problem: Callable[[KeyPath, str, str], None],
) -> None:
    """The ERP whose sales tell promised days. `telling`: by name of an ERP, whether such a system can; `end` checks that a key
    names a connection of a role.
    """
    for path, flow in flows:
        promise = flow.get("promise")
        if not isinstance(promise, Mapping):
            continue
        at, source = (*path, "promise"), promise.get("erp")
        if not isinstance(source, str) or not source:
            if "erp_poll" in promise:
                message = "`erp_poll` says nothing without an ERP that promises days"
                problem((*at, "erp_poll"), message, "name it in `erp`, or leave this out")
            continue
        end(at, "erp", source, "erp")
        kinds = connections.get(source, {}).get("kinds")
        if telling.get(source) is False:
            able = ", ".join(name for name, can in telling.items() if can)
            hint = f"name one of {able}, or leave this out" if able else "leave this out"
            problem((*at, "erp"), f"{source!r} does not tell which days were promised", hint)
        elif telling.get(source) and (not isinstance(kinds, list) or "sale" not in kinds):
            problem((*at, "erp"), f"{source!r} is not asked for sales", 'write `kinds` there, with "sale" in it')
