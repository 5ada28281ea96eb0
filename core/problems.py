"""What is wrong with a configuration, in plain words: from a model's complaint to a sentence with "did you mean"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from core.redaction import redact

Where = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `orderwire.toml:12: worker.thraeds: there is no key ... (did you mean "threads"?)`."""

    file: str
    line: int
    """0: nowhere in the file."""
    path: str
    message: str
    hint: str = ""
    variable: str = ""
    """The environment variable that set the value, where one did."""
    missing_secret: bool = False
    """The settings are right, but a secret that they refer to cannot be read here and now."""

    @property
    def where(self) -> str:
        """`orderwire.toml:12`, or the environment variable."""
        if self.variable:
            return f"environment variable {self.variable}"
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        parts = [self.where, *([self.path] if self.path else []), self.message]
        return ": ".join(parts) + (f" ({self.hint.rstrip('.')})" if self.hint else "")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`did you mean "threads"?`, or "" where nothing is near."""
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return f'did you mean "{folded[near[0]]}"?' if near else ""


# What pydantic calls an error -> what we say. {key}: the key, {value}: what stands there, the rest: pydantic's context.
_WORDS: Final[dict[str, str]] = {
    "missing": "`{key}` is missing",
    "extra_forbidden": "there is no key `{key}` here",
    "int_type": "`{key}` must be a whole number, not {value}",
    "int_parsing": "`{key}` must be a whole number, not {value}",
    "int_from_float": "`{key}` must be a whole number, not {value}",
    "float_type": "`{key}` must be a number, not {value}",
    "float_parsing": "`{key}` must be a number, not {value}",
    "decimal_type": "`{key}` must be a number, not {value}",
    "decimal_parsing": "`{key}` must be a number, not {value}",
    "bool_type": "`{key}` must be true or false, not {value}",
    "bool_parsing": "`{key}` must be true or false, not {value}",
    "string_type": "`{key}` must be text in quotes, not {value}",
    "string_too_short": "`{key}` is too short: at least {min_length} characters",
    "string_too_long": "`{key}` is too long: at most {max_length} characters",
    "greater_than": "`{key}` must be more than {gt}, not {value}",
    "greater_than_equal": "`{key}` must be at least {ge}, not {value}",
    "less_than": "`{key}` must be less than {lt}, not {value}",
    "less_than_equal": "`{key}` must be at most {le}, not {value}",
    "finite_number": "`{key}` must be a finite number",
    "literal_error": "`{key}` cannot be {value}: it is one of {expected}",
    "enum": "`{key}` cannot be {value}: it is one of {expected}",
    "dict_type": "`{key}` must be a table: {{ name = value, ... }}",
    "model_type": "`{key}` must be a table: {{ name = value, ... }}",
    "model_attributes_type": "`{key}` must be a table: {{ name = value, ... }}",
    "tuple_type": "`{key}` must be a list: [ ... ]",
    "list_type": "`{key}` must be a list: [ ... ]",
    "set_type": "`{key}` must be a list: [ ... ]",
    "frozen_set_type": "`{key}` must be a list: [ ... ]",
    "value_error": "`{key}`: {error}",
    "too_short": "`{key}` needs at least {min_length} in its list: [ ... ]",
    "time_type": '`{key}` must be a time of day like "14:00", not {value}',
    "time_parsing": '`{key}` must be a time of day like "14:00", not {value}',
    "date_type": "`{key}` must be a day like 2026-12-24, not {value}",
    "date_parsing": "`{key}` must be a day like 2026-12-24, not {value}",
    "date_from_datetime_parsing": "`{key}` must be a day like 2026-12-24, not {value}",
    "string_pattern_mismatch": "`{key}` cannot be {value}: it must look like {pattern}",
}
_PATTERNS: Final[dict[str, str]] = {
    r"^([A-Z]{2})?$": "a country's two capital letters (ISO 3166), as DE",
    r"^[a-z][a-z0-9_-]{0,31}$": "a short name in lower case: a letter, then letters, digits, _ or - (32 at most)",
}
_SENSITIVE_KEY: Final = re.compile(r"secret|password|access_key|token|api_key", re.IGNORECASE)


def describe(model: type[BaseModel], fault: ErrorDetails) -> tuple[Where, str, str]:
    """(path of the key below the section, sentence, hint) for one of pydantic's errors. Values of keys that may hold
    secrets are never repeated.
    """
    where, kind = tuple(part for part in fault["loc"] if part != "[key]"), fault["type"]
    key = str(next((part for part in reversed(where) if isinstance(part, str)), ""))
    hint = ""
    if kind == "extra_forbidden":
        hint = did_you_mean(key, _known_keys(model, where[:-1]))
    elif kind == "literal_error" and isinstance(fault.get("input"), str):
        hint = did_you_mean(fault["input"], re.findall(r"'([^']*)'", str(fault.get("ctx", {}).get("expected", ""))))
    if fault["loc"] and fault["loc"][-1] == "[key]":
        return where, f"the name {key!r} is not possible here: {_sentence(kind, fault, key)}", hint
    return where, _sentence(kind, fault, key), hint


def _sentence(kind: str, fault: ErrorDetails, key: str) -> str:
    context = dict(fault.get("ctx", {}))
    context["pattern"] = _PATTERNS.get(str(context.get("pattern")), context.get("pattern"))
    words = _WORDS.get(kind)
    if words is None:
        return f"`{key}`: {redact(fault['msg']).lower()}"
    try:
        return words.format(**(context | {"key": key, "value": _value(key, fault)}))
    except (KeyError, IndexError):
        return f"`{key}`: {redact(fault['msg']).lower()}"


def _value(key: str, fault: ErrorDetails) -> str:
    if _SENSITIVE_KEY.search(key):
        return "what stands there"
    value = fault.get("input")
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    shown = repr(value) if isinstance(value, str) else str(value)
    return redact(shown if len(shown) <= 60 else shown[:57] + "...")


def _known_keys(model: Any, where: Where) -> tuple[str, ...]:
    """The keys of the table at this place of a model."""
    for part in where:
        model = _below(model, part)
    model = _plain(model)
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def _plain(annotation: Any) -> Any:
    """The model inside `Annotated[...]` and `... | None`."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    options = [option for option in get_args(annotation) if option is not type(None)]
    if len(options) == 1 and type(None) in get_args(annotation):
        return _plain(options[0])
    return annotation


def _below(annotation: Any, part: str | int) -> Any:
    annotation = _plain(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        info = annotation.model_fields.get(str(part))
        return info.annotation if info else None
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and len(arguments) == 2:
        return arguments[1]
    return arguments[0] if arguments and isinstance(part, int) else None
