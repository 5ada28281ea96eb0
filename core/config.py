"""Reading `orderwire.toml`: everything that is wrong with it at once, each with its line and in plain words.

Values come from, strongest first: an environment variable (`core.environment`), the file, the default. The models of
the connectors are handed in, so that this module knows none of them.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from core import checks_invoices, checks_promises
from core.checks_letters import LetterCheck
from core.checks_masters import Masters
from core.checks_stock import StockCheck
from core.environment import PREFIX, overrides, parsed
from core.errors import ConfigurationProblem
from core.problems import Problem, describe, did_you_mean
from core.secrets import SecretRef
from core.settings import (
    SHORTEST_PORTAL_SECRET,
    AlertSettings,
    BuyerSettings,
    ConnectionSettings,
    FlowSettings,
    KeepSettings,
    LedgerSettings,
    PortalSettings,
    RepFlowSettings,
    Section,
    SellerSettings,
    Settings,
    StockSettings,
    WebSettings,
    WorkerSettings,
)
from core.tomllines import Lines
from core.tomllines import Path as KeyPath

DEFAULT_FILE: Final = "orderwire.toml"
_SECTIONS: Final[dict[str, type[Section]]] = {
    "ledger": LedgerSettings,
    "worker": WorkerSettings,
    "web": WebSettings,
    "alerts": AlertSettings,
    "seller": SellerSettings,
    "keep": KeepSettings,
}
_MODELS: Final[dict[str, type[Section]]] = {
    "flow": FlowSettings,
    "portal": PortalSettings,
    "reps": RepFlowSettings,
    "stock": StockSettings,
    "buyer": BuyerSettings,
}
_ARRAYS: Final = ("connection", *_MODELS)


@dataclass(frozen=True, slots=True)
class Kind:
    """A connector as the configuration sees it: the word in `connector = "..."`, its role and its model."""

    name: str
    role: Literal["store", "erp", "crm", "portal", "notifier"]
    model: type[ConnectionSettings]


class ConfigProblems(ConfigurationProblem):
    """The configuration cannot be used. `problems` has all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(
            f"The configuration has {count}:\n{listed}\n"
            "What to do: mend these places, then see `orderwire config validate`."
        )


@dataclass
class Reading:
    """What was read: settings (None where they cannot be built), every problem, and where values came from."""

    file: Path
    settings: Settings | None = None
    problems: list[Problem] = field(default_factory=list)
    lines: Lines = field(default_factory=lambda: Lines(""))
    variables: dict[KeyPath, str] = field(default_factory=dict)
    """Which environment variable set which key."""
    parts: dict[KeyPath, Section] = field(default_factory=dict)
    """Every section that could be built, by its place."""
    names: dict[KeyPath, str] = field(default_factory=dict)
    """The names of connections and flows by their place."""

    def required(self) -> Settings:
        """The settings; raises `ConfigProblems` with everything that is wrong."""
        if self.problems or self.settings is None:
            raise ConfigProblems(self.problems)
        return self.settings

    def problem(self, path: KeyPath, message: str, hint: str = "", *, missing_secret: bool = False) -> None:
        """Note a problem at this key."""
        variable = self.variables.get(path, "")
        line = 0 if variable else self.lines.of(path)
        self.problems.append(Problem(str(self.file), line, self.shown(path), message, hint, variable, missing_secret))

    def shown(self, path: KeyPath) -> str:
        """`connection.shop.url`: entries of arrays by their name, where they have one."""
        words = [
            (self.names.get(path[: place + 1], "") or f"#{part + 1}") if isinstance(part, int) else part
            for place, part in enumerate(path)
        ]
        return ".".join(words)

    def origin(self, path: KeyPath) -> str:
        """Where the value of this key came from."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.variables:
                return f"env:{self.variables[path[:end]]}"
        line = self.lines.written(path)
        return f"file:{line}" if line else "default"


# -- the environment ---------------------------------------------------------------------------------------------------


def _apply_environment(document: dict[str, Any], reading: Reading) -> None:
    for section, values in overrides().items():
        if section in _SECTIONS:
            table = document.setdefault(section, {})
            if isinstance(table, dict):
                _override(table, values, (section,), f"{PREFIX}{section.upper()}", reading)
            continue
        entries = document.get(section)
        for name, own in values.items():
            variable = f"{PREFIX}{section.upper()}__{name.upper()}"
            found = _entry(entries, name)
            if found is None:
                reading.problems.append(
                    Problem(str(reading.file), 0, section, f"there is no {section} named {name}", "", variable)
                )
            else:
                _override(found[1], own, (section, found[0]), variable, reading)
    for variable in sorted(os.environ):
        section, nested, _ = variable.removeprefix(PREFIX).partition("__")
        if variable.startswith(PREFIX) and nested and section.lower() not in {*_SECTIONS, *_ARRAYS}:
            hint = did_you_mean(section.lower(), (*_SECTIONS, *_ARRAYS))
            reading.problems.append(
                Problem(str(reading.file), 0, section.lower(), f"there is no section {section.lower()}", hint, variable)
            )


def _entry(entries: Any, name: str) -> tuple[int, dict[str, Any]] | None:
    """The table of this name in an array of tables; a `-` in a name is `_` in a variable's."""
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and str(entry.get("name", "")).replace("-", "_").lower() == name:
            return place, entry
    return None


def _override(table: dict[str, Any], values: Mapping[str, Any], path: KeyPath, variable: str, reading: Reading) -> None:
    for key, value in values.items():
        name, place = f"{variable}__{key.upper()}", (*path, key)
        if isinstance(value, dict) and name not in os.environ:
            below = table.setdefault(key, {})
            if isinstance(below, dict):
                _override(below, value, place, name, reading)
            continue
        reading.variables[place] = name
        table[key] = parsed(value)


# -- the sections ------------------------------------------------------------------------------------------------------


def _build(model: type[Section], table: Any, path: KeyPath, reading: Reading) -> Section | None:
    if not isinstance(table, dict):
        reading.problem(path, f"`{path[-1]}` must be a table: [{path[-1]}]")
        return None
    try:
        section = model.model_validate(table)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        for fault in faults:
            if fault["type"] == "too_short" and any(one["loc"][:-1] == fault["loc"] for one in faults):
                continue  # what stands in the list is wrong: that it is too short is only what follows
            where, message, hint = describe(model, fault)
            reading.problem((*path, *where), message, hint)
        return None
    reading.parts[path] = section
    return section


def _check_addresses(reading: Reading) -> None:
    """A password in an address would be shown by `config show` and kept in every copy of the file."""
    for (section, key), other in _BESIDE.items():
        address = str(getattr(reading.parts.get((section,)), key, ""))
        if "@" in address and ":" in address.partition("://")[2].rpartition("@")[0]:
            reading.problem((section, key), f"`{key}` carries no password: give it by reference in `{other}`")
    for path, part in reading.parts.items():
        for place, text in _texts(part, path):
            names = [name for name, _ in parse_qsl(text.partition("?")[2], keep_blank_values=True)]
            if "://" in text and any(_PASSWORD.fullmatch(name.strip()) for name in names):
                _refuse_password(place, reading)


_BESIDE: Final = {("ledger", "url"): "password", ("worker", "broker"): "broker_password"}
"""Where the password of an address belongs."""
_PASSWORD: Final = re.compile(r"(?:\w*[_-])?(?:ssl)?(?:pass(?:wor[dt]|wd|file|phrase|code)?|pwd)", re.IGNORECASE)


def _refuse_password(path: KeyPath, reading: Reading) -> None:
    other = _BESIDE.get((str(path[0]), str(path[-1])))
    hint = f"give it by reference in `{other}`" if other else "use an address that needs none, or a setting for secrets"
    reading.problem(path, f"`{path[-1]}` carries no password, behind the `?` neither", hint)


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text inside a section, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _texts(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _texts(item, (*path, place))


def _connections(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    for path, table in _tables(document, "connection", reading):
        connector = table.get("connector")
        if connector is None:
            known = ", ".join(sorted(kinds))
            reading.problem(path, f"`connector` is missing: what kind of system it is, one of {known}")
        elif not isinstance(connector, str) or connector not in kinds:
            hint = did_you_mean(str(connector), tuple(kinds)) or f"one of {', '.join(sorted(kinds))}"
            reading.problem((*path, "connector"), f"there is no connector {connector!r}", hint)
        else:
            _build(kinds[connector].model, table, path, reading)


def _tables(document: Mapping[str, Any], name: str, reading: Reading) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    entries = document.get(name, [])
    if not isinstance(entries, list):
        reading.problem((name,), f"`{name}` is written in double brackets, once for each: [[{name}]]")
        return
    for place, table in enumerate(entries):
        if isinstance(table, dict):
            yield (name, place), table
        else:
            reading.problem((name, place), f"`{name}` must be a table: [[{name}]]")


def _check_names(document: Mapping[str, Any], reading: Reading) -> None:
    for section in _ARRAYS:
        seen: dict[str, int] = {}
        for path, table in _tables(document, section, Reading(reading.file)):
            name = table.get("name")
            if isinstance(name, str) and name in seen:
                reading.problem((*path, "name"), f"the name {name!r} is taken by the {section} on line {seen[name]}")
            elif isinstance(name, str):
                seen[name] = reading.lines.of((*path, "name"))


def _check_flows(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    """What flows say of connections, read from the raw tables: a mistake elsewhere in a section must not hide this."""
    connections: dict[str, Mapping[str, Any]] = {}
    for _, table in _tables(document, "connection", Reading(reading.file)):
        connections.setdefault(str(table.get("name")), table)
    roles = {name: kind.role if (kind := kinds.get(str(c.get("connector")))) else "" for name, c in connections.items()}
    ways: dict[tuple[str, str, str], str] = {}
    for path, flow in _tables(document, "flow", Reading(reading.file)):
        source, target, owner = (flow.get(key) for key in ("source", "target", "owner"))
        if isinstance(source, str):
            _check_end(path, "source", source, "store", roles, reading)
        if not isinstance(target, str):
            continue
        _check_end(path, "target", target, "crm", roles, reading)
        way = (str(flow.get("pipeline", "orders")), str(source), target)
        if way in ways:
            reading.problem(path, f"the flow {ways[way]!r} goes from {source} to {target} already")
        ways.setdefault(way, reading.names[path])
        kind = kinds.get(str(connections[target].get("connector"))) if target in connections else None
        if isinstance(owner, str) and kind is not None and "owners" in kind.model.model_fields:
            _check_owner(path, owner, target, connections[target].get("owners", {}), reading)
    checks_invoices.check(
        _tables(document, "flow", Reading(reading.file)),
        connections,
        lambda path, key, name, role: _check_end(path, key, name, role, roles, reading),
        reading.problem,
    )
    checks_promises.check_erp(
        _tables(document, "flow", Reading(reading.file)),
        {
            name: kind.model.tells_promises
            for name, c in connections.items()
            if (kind := kinds.get(str(c.get("connector")))) is not None and kind.role == "erp"
        },
        connections,
        lambda path, key, name, role: _check_end(path, key, name, role, roles, reading),
        reading.problem,
    )


def _check_alerts(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    """Whom alerts go to must be configured, and be a notifier."""
    table = document.get("alerts")
    wanted = table.get("to") if isinstance(table, Mapping) else None
    if not isinstance(wanted, list):
        return
    tables = [entry for _, entry in _tables(document, "connection", Reading(reading.file))]
    roles = {str(c.get("name")): kind.role if (kind := kinds.get(str(c.get("connector")))) else "" for c in tables}
    for name in wanted:
        if isinstance(name, str):
            _check_end(("alerts",), "to", name, "notifier", roles, reading)


def _check_letters(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    def tables(name: str) -> list[tuple[KeyPath, dict[str, Any]]]:
        return list(_tables(document, name, Reading(reading.file)))

    connections = {str(table.get("name")): table for _, table in tables("connection")}
    letters = {
        name: kind.model.letters if (kind := kinds.get(str(c.get("connector")))) else None
        for name, c in connections.items()
    }
    seller, alerts = document.get("seller"), document.get("alerts")
    check = LetterCheck(letters, connections, isinstance(seller, Mapping) and bool(seller.get("name")), reading.problem)
    check.alerts(alerts.get("to") if isinstance(alerts, Mapping) else None)
    check.stock([*tables("stock"), *tables("buyer")])
    check.papers(tables("flow"))
    checks_promises.check(tables("flow"), letters, connections, reading.problem)


def _check_portals(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    """Whose customers and whose users a portal's tokens name."""
    tables = [entry for _, entry in _tables(document, "connection", Reading(reading.file))]
    roles = {str(c.get("name")): kind.role if (kind := kinds.get(str(c.get("connector")))) else "" for c in tables}
    for path, table in _tables(document, "portal", Reading(reading.file)):
        for end, role in (("source", "erp"), ("store", "store")):
            name = table.get(end)
            if isinstance(name, str) and name:
                _check_end(path, end, name, role, roles, reading)


def _check_reps(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    """What flows of sales reps say of connections and of each other."""
    connections = {str(table.get("name")): table for _, table in _tables(document, "connection", Reading(reading.file))}
    roles = {name: kind.role if (kind := kinds.get(str(c.get("connector")))) else "" for name, c in connections.items()}
    names = {table.get("name") for _, table in _tables(document, "flow", Reading(reading.file))}
    zones: dict[str, object] = {}
    told: dict[str, str] = {}
    ways: dict[tuple[str, str], str] = {}
    for path, flow in _tables(document, "reps", Reading(reading.file)):
        source, target = (str(flow.get(key) or "") for key in ("source", "target"))
        if source:
            _check_end(path, "source", source, "erp", roles, reading)
        if target:
            _check_end(path, "target", target, "crm", roles, reading)
            _check_rep_owners(path, flow, target, connections, kinds, reading)
        _check_told(path, flow, told, roles, reading)
        if flow.get("name") in names:
            reading.problem((*path, "name"), f"the name {flow['name']!r} is taken by a flow")
        if (source, target) in ways:
            where = f"to {target}" if target else "to no CRM"
            reading.problem(path, f"the flow {ways[(source, target)]!r} goes from {source} {where} already")
        ways.setdefault((source, target), reading.names.get(path, ""))
        if zones.setdefault(source, flow.get("zone", "UTC")) != flow.get("zone", "UTC"):
            reading.problem((*path, "zone"), f"flows from {source} share its customers' cards: give them one zone")


def _check_stock(document: Mapping[str, Any], kinds: Mapping[str, Kind], reading: Reading) -> None:
    def tables(name: str) -> list[tuple[KeyPath, dict[str, Any]]]:
        return list(_tables(document, name, Reading(reading.file)))

    connections = {str(table.get("name")): table for _, table in tables("connection")}
    roles = {name: kind.role if (kind := kinds.get(str(c.get("connector")))) else "" for name, c in connections.items()}
    taken = frozenset(str(table.get("name")) for name in ("flow", "reps") for _, table in tables(name))
    models = {name: k.model for name, c in connections.items() if (k := kinds.get(str(c.get("connector"))))}
    shops = frozenset(name for name, model in models.items() if model.sells_by_quantity)
    check = StockCheck(connections, roles, taken, reading.problem, shops)
    check.run(tables("stock"), tables("buyer"), tables("flow"))
    movers = {name for name, model in models.items() if model.moves_stock_on_invoice}
    Masters(roles, frozenset(movers), reading.problem).check(tables("stock"), tables("flow"))


def _check_told(
    path: KeyPath, flow: Mapping[str, Any], told: dict[str, str], roles: Mapping[str, str], reading: Reading
) -> None:
    """Portals that are told cards, each by one flow: two would tell it of different customers under the same numbers."""
    wanted = flow.get("portals")
    for name in wanted if isinstance(wanted, list) else ():
        if not isinstance(name, str):
            continue
        _check_end(path, "portals", name, "portal", roles, reading)
        if name in told:
            reading.problem((*path, "portals"), f"the flow {told[name]!r} tells {name!r} already")
        told.setdefault(name, reading.names.get(path, ""))


def _check_rep_owners(
    path: KeyPath,
    flow: Mapping[str, Any],
    target: str,
    connections: Mapping[str, Mapping[str, Any]],
    kinds: Mapping[str, Kind],
    reading: Reading,
) -> None:
    kind = kinds.get(str(connections[target].get("connector"))) if target in connections else None
    if kind is None or "owners" not in kind.model.model_fields:
        return
    owners = connections[target].get("owners", {})
    nobody = flow.get("nobody")
    named = [("owner", flow.get("owner")), *(("nobody", one) for one in (nobody if isinstance(nobody, list) else ()))]
    for key, owner in named:
        if isinstance(owner, str):
            _check_owner(path, owner, target, owners, reading, key=key)


def _check_end(path: KeyPath, end: str, name: str, role: str, roles: Mapping[str, str], reading: Reading) -> None:
    what = {"store": "a store", "crm": "a CRM", "erp": "an ERP", "portal": "a portal", "notifier": "a notifier"}[role]
    fitting = tuple(other for other, its_role in roles.items() if its_role == role)
    if name not in roles:
        hint = did_you_mean(name, fitting) or (f"{what} configured here is: {', '.join(fitting)}" if fitting else "")
        reading.problem((*path, end), f"there is no connection named {name!r}", hint)
    elif roles[name] not in {role, ""}:
        hint = f"{what} configured here is: {', '.join(fitting)}" if fitting else f"configure {what} first"
        whose = "a flow" if path[0] == "flow" else f"[{path[0]}]"
        reading.problem((*path, end), f"the {end} of {whose} must be {what}, and {name!r} is not", hint)


def _check_owner(
    path: KeyPath, owner: str, target: str, owners: object, reading: Reading, *, key: str = "owner"
) -> None:
    if owner and isinstance(owners, Mapping) and owner not in owners:
        known = tuple(str(name) for name in owners)
        hint = did_you_mean(owner, known) or (f"it knows: {', '.join(known)}" if known else "add it there")
        reading.problem((*path, key), f"the owners table of {target!r} has no {owner!r}", hint)


def secrets(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, SecretRef]]:
    """Every reference to a secret inside a section, with its place."""
    if isinstance(value, SecretRef):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from secrets(item, (*path, place))


_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


def _raw_secrets(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, SecretRef]]:
    """What looks like a reference in a section that could not be built: its secrets are told missing all the same."""
    if isinstance(value, str) and _REFERENCE.fullmatch(value):
        yield path, SecretRef(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _raw_secrets(item, (*path, str(key)))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _raw_secrets(item, (*path, place))


def _check_secrets(document: Mapping[str, Any], reading: Reading) -> None:
    found = [(path + below, ref) for path, section in reading.parts.items() for below, ref in secrets(section)]
    built = reading.parts.keys()
    found += [
        (path, ref) for path, ref in _raw_secrets(document, ()) if path[:1] not in built and path[:2] not in built
    ]
    for path, reference in found:
        try:
            value = reference.get()
        except ConfigurationProblem as missing:
            message, _, advice = missing.message.partition(" What to do: ")
            reading.problem(path, message.rstrip("."), advice, missing_secret=True)
            continue
        if path[0] == "portal" and len(value) < SHORTEST_PORTAL_SECRET:
            message = f"a secret shorter than {SHORTEST_PORTAL_SECRET} characters can be guessed from a token"
            reading.problem(path, message, "make one by `openssl rand -base64 48`", missing_secret=True)


# -- the whole ---------------------------------------------------------------------------------------------------------

_AT_LINE: Final = re.compile(r"\s*\(at line (\d+), column \d+\)|\s*\(at end of document\)")


def _parse(text: str, reading: Reading) -> dict[str, Any] | None:
    reading.lines = Lines(text)
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = int(at.group(1)) if at and at.group(1) else text.count("\n") + 1
        message = f"this is not TOML: {_AT_LINE.sub('', str(error)).lower()}"
        reading.problems.append(Problem(str(reading.file), line, "", message, "text stands in quotes, one key a line"))
        return None


def parse(
    text: str, kinds: Mapping[str, Kind], *, file: str | Path = DEFAULT_FILE, with_secrets: bool = True
) -> Reading:
    """Read TOML text. Never raises for what is wrong with it: see `problems`. `with_secrets`: also look whether every
    secret that is referred to can be read.
    """
    reading = Reading(Path(file))
    document = _parse(text, reading)
    if document is None:
        return reading
    for section in _ARRAYS:
        for path, table in _tables(document, section, Reading(reading.file)):
            reading.names[path] = str(table.get("name", ""))
    _apply_environment(document, reading)
    for key in document:
        if key not in {*_SECTIONS, *_ARRAYS}:
            reading.problem((key,), f"there is no section `{key}`", did_you_mean(key, (*_SECTIONS, *_ARRAYS)))
    for name, model in _SECTIONS.items():
        _build(model, document.get(name, {}), (name,), reading)
    _connections(document, kinds, reading)
    for name, model in _MODELS.items():
        for path, table in _tables(document, name, reading):
            _build(model, table, path, reading)
    _check_addresses(reading)
    _check_names(document, reading)
    _check_flows(document, kinds, reading)
    _check_alerts(document, kinds, reading)
    _check_portals(document, kinds, reading)
    _check_reps(document, kinds, reading)
    _check_stock(document, kinds, reading)
    _check_letters(document, kinds, reading)
    if with_secrets:
        _check_secrets(document, reading)
    reading.problems.sort(key=lambda problem: (problem.line == 0, problem.line, problem.path))
    if all(problem.missing_secret for problem in reading.problems):
        reading.settings = _settings(reading)
    return reading


def _settings(reading: Reading) -> Settings:
    parts = reading.parts
    return Settings.model_validate(
        {name: parts[(name,)] for name in _SECTIONS}
        | {
            "connections": tuple(part for part in parts.values() if isinstance(part, ConnectionSettings)),
            "flows": tuple(part for part in parts.values() if isinstance(part, FlowSettings)),
            "portals": tuple(part for part in parts.values() if isinstance(part, PortalSettings)),
            "reps": tuple(part for part in parts.values() if isinstance(part, RepFlowSettings)),
            "stocks": tuple(part for part in parts.values() if isinstance(part, StockSettings)),
            "buyers": tuple(part for part in parts.values() if isinstance(part, BuyerSettings)),
        }
    )


def read(file: str | Path, kinds: Mapping[str, Kind], *, with_secrets: bool = True) -> Reading:
    """Read the file. A file that is not there is a problem like others."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reading = Reading(Path(file))
        why = getattr(error, "strerror", "") or "it is not UTF-8 text"
        hint = "`orderwire init` writes one, or name another with --config"
        reading.problems.append(Problem(str(file), 0, "", f"the file cannot be read ({why})", hint))
        return reading
    return parse(text, kinds, file=file, with_secrets=with_secrets)


def load(file: str | Path, kinds: Mapping[str, Kind], *, with_secrets: bool = True) -> Settings:
    """The settings; raises `ConfigProblems` with everything that is wrong."""
    return read(file, kinds, with_secrets=with_secrets).required()
