"""What sections say of connections that carry letters, and of papers that are to be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.problems import did_you_mean
from core.tomllines import Path as KeyPath

Tables = Iterable[tuple[KeyPath, Mapping[str, Any]]]
Problem = Callable[[KeyPath, str, str], None]
Letters = Literal["", "mail", "chat"]


@dataclass(frozen=True, slots=True)
class LetterCheck:
    """`letters`: by name of the connection, what it carries; None where that cannot be told, its connector being wrong."""

    letters: Mapping[str, Letters | None]
    connections: Mapping[str, Mapping[str, Any]]
    seller: bool
    problem: Problem

    def alerts(self, wanted: object) -> None:
        """Raw tables, here and below: a mistake elsewhere in a section must not hide this."""
        for name in wanted if isinstance(wanted, list) else ():
            if (
                isinstance(name, str)
                and self.letters.get(name) == "mail"
                and not self.connections[name].get("recipients")
            ):
                message = f"{name!r} has no recipients: nobody would be told"
                self.problem(("alerts", "to"), message, "give that connection `recipients`")

    def stock(self, tables: Tables) -> None:
        """`via` of [[stock]] and [[buyer]]. That a connection is there at all is checked with the rest of them."""
        for path, table in tables:
            wanted = table.get("via")
            for name in wanted if isinstance(wanted, list) else ():
                if isinstance(name, str) and self.letters.get(name) == "":
                    self.problem((*path, "via"), f"{name!r} carries no letters", self._fitting({"mail", "chat"}))

    def papers(self, flows: Tables) -> None:
        """`[flow.papers]`."""
        for path, flow in flows:
            papers = flow.get("papers")
            via = papers.get("via") if isinstance(papers, Mapping) else None
            if isinstance(papers, Mapping) and isinstance(via, str) and via:
                self._papers((*path, "papers"), via, papers, str(flow.get("invoices", "never")))

    def _papers(self, path: KeyPath, via: str, papers: Mapping[str, Any], policy: str) -> None:
        if via not in self.letters:
            mails = tuple(name for name, what in self.letters.items() if what == "mail")
            hint = did_you_mean(via, mails) or self._fitting({"mail"})
            self.problem((*path, "via"), f"there is no connection named {via!r}", hint)
        elif self.letters[via] not in {"mail", None}:
            self.problem((*path, "via"), f"papers go by mail, and {via!r} sends none", self._fitting({"mail"}))
        if not self.seller:
            self.problem((*path, "via"), "papers name who sells", "write [seller] with a `name`")
        ours = policy not in {"never", "from_erp"}
        if papers.get("invoice") is True and not ours:
            message = f"there are no invoices of ours to send: the flow has invoices = {policy!r}"
            self.problem((*path, "invoice"), message, "leave this out, or let the flow make invoices")
        elif not papers.get("order") and not (ours and papers.get("invoice", True)):
            self.problem((*path, "via"), "nothing would ever be sent", "write order = true, or leave `via` out")

    def _fitting(self, kinds: set[str]) -> str:
        fitting = [name for name, what in self.letters.items() if what in kinds]
        return f"there are: {', '.join(fitting)}" if fitting else 'configure one first: connector = "smtp"'
