"""What must be so at the end, computed from the shop's acknowledgements, the CRM's own state, and the ledger's job table.

Nothing of the product is used here: it must be able to disagree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import sqlalchemy as sa

from tests.chaos.harness.shop import Version, email

_STATE = re.compile(r"state (\d+)\.")
_SUBJECT = re.compile(r"Order (\d+)")
CALM = frozenset({"settled", "skipped"})


@dataclass
class Verdict:
    """The columns of a line. All are 0 where the promise was kept; `why` has examples of what was not."""

    lost: int = 0
    duplicates: int = 0
    stale: int = 0
    cents: int = 0
    ghosts: int = 0
    unsettled: int = 0
    why: list[str] = field(default_factory=list)

    def columns(self) -> dict[str, int]:
        found = asdict(self)
        found.pop("why")
        return found

    @property
    def clean(self) -> bool:
        return not any(self.columns().values())


def verdict(newest: Mapping[tuple[str, int], Version], records: Mapping[str, Sequence[Mapping[str, Any]]]) -> Verdict:
    """Compare what was acknowledged with what the CRM has."""
    found = Verdict()
    rows: dict[int, list[Mapping[str, Any]]] = {}
    for row in records.get("SalesOrder", ()):
        subject = _SUBJECT.fullmatch(str(row["subject"]))
        rows.setdefault(int(subject[1]) if subject else -1, []).append(row)
    for version in newest.values():
        _one_order(found, version, rows.pop(version.id, []))
    found.ghosts = sum(len(group) for group in rows.values())
    found.why += [f"ghost {id}" for id in list(rows)[:5]]
    _customers(found, {version.customer for version in newest.values()}, records)
    return found


def _one_order(found: Verdict, version: Version, rows: Sequence[Mapping[str, Any]]) -> None:
    name = f"{version.shop}/{version.id}"
    if not rows:
        found.lost += 1
        found.why.append(f"lost {name}")
        return
    if len(rows) > 1:
        found.duplicates += len(rows) - 1
        found.why.append(f"{len(rows)} x {name}: {[row['id'] for row in rows]}")
    state = _STATE.search(str(rows[0]["description"]))
    if state is None or int(state[1]) != version.number:
        found.stale += 1
        found.why.append(f"stale {name}: {state and state[1]} instead of {version.number}")
    off = abs(Decimal(str(rows[0]["hdnGrandTotal"])) - version.total)
    if off:
        found.cents += int((off * 100).to_integral_value())
        found.why.append(f"{name}: {rows[0]['hdnGrandTotal']} instead of {version.total}")


def _customers(found: Verdict, customers: set[int], records: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Exactly one account and one contact of each, no lead left over."""
    wanted = {email(customer) for customer in customers}
    for module, column in (("Accounts", "email1"), ("Contacts", "email")):
        there = Counter(str(row[column]) for row in records.get(module, ()))
        for address in wanted:
            if not there[address]:
                found.lost += 1
                found.why.append(f"no {module} of {address}")
            elif there[address] > 1:
                found.duplicates += there[address] - 1
                found.why.append(f"{there[address]} {module} of {address}")
    for row in records.get("Leads", ()):
        if row["email"] in wanted:
            found.duplicates += 1
            found.why.append(f"a lead of {row['email']} is left over")


def crm_state(url: str) -> dict[str, list[dict[str, Any]]]:
    """All living records of the stand-in CRM; converted leads apart."""
    whole = httpx.get(f"{url}/sandbox/state", timeout=60, trust_env=False).json(parse_float=Decimal)
    records: dict[str, list[dict[str, Any]]] = whole["records"]
    converted = set(whole["converted"])
    records["Leads"] = [row for row in records.get("Leads", []) if row["id"] not in converted]
    return records


class Jobs:
    """The ledger's tables as an outsider reads them."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite"):
            url = f"{url.replace('sqlite:///', 'sqlite:///file:')}?mode=ro&uri=true"
        self.engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    def rows(self, query: str, **values: Any) -> list[Any]:
        """Any query's rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(query), values))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self.engine.connect() as connection:
            yield connection

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        return {row[0]: row[1] for row in self.rows("SELECT state, count(*) FROM job GROUP BY state")}

    def open(self) -> int:
        """Jobs that are neither settled nor skipped."""
        return sum(count for state, count in self.counts().items() if state not in CALM)

    def moving(self) -> int:
        """Jobs that will still do something by themselves."""
        return sum(count for state, count in self.counts().items() if state in {"waiting", "running"})

    def examples(self) -> list[str]:
        """Some that are not settled, for people."""
        query = "SELECT record_id, state, error_class, reason, failures, crashes FROM job WHERE state NOT IN ('settled', 'skipped') LIMIT 5"
        return [str(tuple(row)) for row in self.rows(query)]
