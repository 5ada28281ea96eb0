"""What `orderwire init` asks and writes: a new table for the configuration file."""

from __future__ import annotations

import json
import os
import re
import tomllib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from connectors.roles import Finding
from core import config
from core.config import Kind, Reading
from core.errors import ConfigurationProblem, OrderwireError
from core.secrets import SecretRef
from core.settings import ConnectionSettings
from pipelines import wiring

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
# Asked for although they have a default: without them a connection starts, but hardly does what people expect.
_WORTH_ASKING: Final = ("webhook_secrets",)


@dataclass(frozen=True, slots=True)
class Question:
    """One setting to ask for. `several`: a list (one entry is asked for, more are added in the file)."""

    key: str
    secret: bool
    required: bool
    several: bool = False


def questions(kind: Kind) -> list[Question]:
    """What a connection of this kind cannot do without, in the model's order."""
    found = []
    for key, info in kind.model.model_fields.items():
        if key in {"name", "connector"} or not (info.is_required() or key in _WORTH_ASKING):
            continue
        parts = (info.annotation, *typing.get_args(info.annotation))
        found.append(Question(key, SecretRef in parts, info.is_required(), typing.get_origin(info.annotation) is tuple))
    return found


def variable(name: str, key: str) -> str:
    """The environment variable that is proposed for a secret: `SHOP_CONSUMER_KEY`."""
    return f"{name}_{key.removesuffix('s')}".upper().replace("-", "_")


def answer(text: str) -> Any:
    """A value as typed: TOML where it is TOML (`true`, `12`, `["a"]`, `{ anna = "19x5" }`), otherwise text."""
    try:
        return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        return text


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return _text(str(value))


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def table(section: str, values: Mapping[str, Any]) -> str:
    """`[[section]]` with its values, as text for the file."""
    return "\n".join([f"[[{section}]]", *(f"{_key(key)} = {_toml(value)}" for key, value in values.items())]) + "\n"


def added(file: Path, *tables: str) -> tuple[str, Reading]:
    """The file's text with these tables at its end, and how that reads. Writes nothing."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    text = "\n".join(part for part in (before.rstrip("\n") + "\n" if before.strip() else "", *tables) if part)
    return text, config.parse(text, wiring.kinds(), file=file, with_secrets=False)


def flow_for(reading: Reading, name: str) -> dict[str, str] | None:
    """A flow for the connection just added: from the store to the CRM, where there is exactly one of the other role and
    nothing connects them yet. None otherwise.
    """
    settings = reading.settings
    if settings is None:
        return None
    roles = {one.name: wiring.kinds()[one.connector].role for one in settings.connections}
    counterpart = {"store": "crm", "crm": "store"}.get(roles[name])
    others = [other for other, role in roles.items() if role == counterpart]
    if len(others) != 1:
        return None
    source, target = (name, others[0]) if roles[name] == "store" else (others[0], name)
    if any((flow.source, flow.target) == (source, target) for flow in settings.flows):
        return None
    taken = {flow.name for flow in settings.flows}
    return {"name": "orders" if "orders" not in taken else f"orders_{source}", "source": source, "target": target}


def connection(reading: Reading, name: str) -> ConnectionSettings:
    """The settings of one connection of what was read; raises `core.config.ConfigProblems`."""
    return reading.required().connection(name)


def look(settings: ConnectionSettings) -> list[Finding]:
    """Connect and check, writing nothing. Whatever goes wrong is a finding: this never raises our own errors."""
    try:
        for _, reference in config.secrets(settings):
            reference.get()
    except ConfigurationProblem as missing:
        return [_finding("secrets", missing)]
    connector = wiring.connect(settings)
    try:
        return list(connector.check())
    except OrderwireError as error:
        return [_finding("connection", error)]
    finally:
        connector.close()


class Ask(Protocol):
    """Puts one question to a person. Raises where there is nobody to ask."""

    def __call__(self, question: str, default: str | None = None, *, hidden: bool = False) -> str: ...


def fill(kind: Kind, values: dict[str, Any], ask: Ask, *, attended: bool) -> list[str]:
    """Ask for what `values` lacks. The environment variables that are to be set. A secret typed here goes into the
    environment of this process, for the test, and nowhere else.
    """
    name = str(values["name"])
    for question in questions(kind):
        if question.key in values or not (question.required or attended):
            continue
        values[question.key] = _secret(name, question, ask) if question.secret else answer(ask(question.key))
    references = [item for value in values.values() for item in (value if isinstance(value, list) else [value])]
    return [item.removeprefix("env:") for item in references if isinstance(item, str) and item.startswith("env:")]


def _secret(name: str, question: Question, ask: Ask) -> Any:
    set_in = ask(f"{question.key}: name of the environment variable that has it", variable(name, question.key))
    if not os.environ.get(set_in):
        default = None if question.required else ""
        typed = ask(f"{question.key} of {name} (not shown, not written down)", default, hidden=True)
        if not typed:
            return []
        os.environ[set_in] = typed
    return [f"env:{set_in}"] if question.several else f"env:{set_in}"


def _finding(subject: str, error: OrderwireError) -> Finding:
    message, _, advice = error.message.partition(" What to do: ")
    return Finding(subject, "problem", message, advice)
