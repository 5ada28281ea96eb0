"""Configured custom fields: from a place in the raw record, through a few named steps, to a field of the target.

    [connection.fields]
    cf_901 = { path = "meta_data[?key=='cost_centre'].value | [0]", via = ["strip", "upper"], default = "NONE" }

`path` is JMESPath over the record exactly as the source sent it. `via` are steps from `STEPS`, in order. An empty
result takes `default`; if there is none and the field is `required`, the order is held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

import jmespath
import phonenumbers
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult
from pydantic import AfterValidator, Field

from core.clock import parse_utc
from core.errors import ConfigurationProblem, Held
from core.settings import Section
from mapping.reading import clean


def _e164(value: str, region: str) -> str:
    try:
        number = phonenumbers.parse(value, region or None)
    except phonenumbers.NumberParseException:
        return value
    if not phonenumbers.is_valid_number(number):
        return value
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _date(value: str, _region: str) -> str:
    return parse_utc(value).date().isoformat() if value else ""


STEPS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "strip": lambda value, _: value.strip(),
    "upper": lambda value, _: value.upper(),
    "lower": lambda value, _: value.lower(),
    "digits": lambda value, _: re.sub(r"\D", "", value),
    "one_line": lambda value, _: " ".join(value.split()),
    "e164": _e164,
    "date": _date,
}
"""Step by name: (text, ISO country for phone numbers without one) -> text. A number that is none stays as it is; what
is no date is a fault."""


def _known_step(name: str) -> str:
    if name not in STEPS:
        raise ValueError(f"unknown step {name!r}; there are: {', '.join(sorted(STEPS))}")
    return name


def valid_path(path: str) -> str:
    """For settings: the path itself, or a ValueError that says what is wrong with it."""
    try:
        jmespath.compile(path)
    except JMESPathError as error:
        raise ValueError(f"not a JMESPath expression: {str(error).splitlines()[0]}") from None
    return path


class FieldRule(Section):
    """One custom field: where its value comes from."""

    path: Annotated[str, AfterValidator(valid_path)]
    via: tuple[Annotated[str, AfterValidator(_known_step)], ...] = ()
    default: str = ""
    required: bool = False
    max_length: int = Field(default=5000, ge=1)


def compile_path(path: str, where: str) -> ParsedResult:
    """A JMESPath expression ready to search; raises ConfigurationProblem that names it."""
    try:
        return jmespath.compile(path)
    except JMESPathError as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationProblem(
            f"{where}: {path!r} is not a JMESPath expression ({reason}). What to do: correct it; see jmespath.org."
        ) from None


@dataclass(frozen=True, slots=True)
class Mapped:
    """A custom field's value and how it came about."""

    target: str
    text: str
    path: str
    rule: str
    """The steps in order (`strip > upper`), or `default`."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    target: str
    rule: FieldRule
    expression: ParsedResult


class CustomFields:
    """All custom fields of a connection, compiled once. Safe to share between threads."""

    def __init__(self, rules: Mapping[str, FieldRule], *, region: str = "") -> None:
        self._region = region
        self._fields = tuple(
            _Compiled(target, rule, compile_path(rule.path, f"fields.{target}")) for target, rule in rules.items()
        )

    def __bool__(self) -> bool:
        return bool(self._fields)

    def pairs(self, raw: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """(target field, text) for every field that has a value."""
        return tuple((mapped.target, mapped.text) for mapped in self.explained(raw))

    def explained(self, raw: Mapping[str, Any]) -> tuple[Mapped, ...]:
        """The same with path and rule. Raises `Held` naming a required field that has no value, or one that cannot be
        read.
        """
        found = (self._map(field, raw) for field in self._fields)
        return tuple(mapped for mapped in found if mapped is not None)

    def _map(self, field: _Compiled, raw: Mapping[str, Any]) -> Mapped | None:
        rule = field.rule
        value = self._apply(field, self._read(field, raw))
        if value:
            return Mapped(field.target, value[: rule.max_length], rule.path, " > ".join(rule.via))
        if rule.default:
            return Mapped(field.target, rule.default, rule.path, "default")
        if rule.required:
            raise Held(
                f"The custom field {field.target} is required, but the order has nothing at {rule.path}. "
                "What to do: fill it in in the store, or give the field a default in the configuration.",
                field=field.target,
                error_class="mapping",
            )
        return None

    def _read(self, field: _Compiled, raw: Mapping[str, Any]) -> str:
        try:
            value = field.expression.search(raw)
        except JMESPathError as error:
            raise self._unreadable(field, type(error).__name__) from None
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return clean(value)
        if isinstance(value, int | float | Decimal):
            return str(value)
        raise self._unreadable(field, "a list or object")

    def _apply(self, field: _Compiled, value: str) -> str:
        for step in field.rule.via:
            try:
                value = STEPS[step](value, self._region)
            except (ValueError, OverflowError):
                raise self._unreadable(field, f"not fit for the step {step}") from None
        return value

    def _unreadable(self, field: _Compiled, what: str) -> Held:
        return Held(
            f"The custom field {field.target} cannot be filled: what stands at {field.rule.path} is {what}. "
            "What to do: correct the path of this field in the configuration, or the order in the store.",
            field=field.target,
            error_class="mapping",
        )
