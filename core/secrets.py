"""Secrets by reference only: `env:NAME` or `file:/path`. The value is read when it is needed and is never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from core.errors import ConfigurationProblem


class SecretRef:
    """Where a secret is kept. Equal references are equal; the value itself is never part of repr, str or equality."""

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        scheme, _, rest = reference.partition(":")
        if scheme not in {"env", "file"} or not rest:
            raise ValueError("a secret is given by reference: env:NAME or file:/path, never by its value")
        self.reference = reference

    def __repr__(self) -> str:
        return f"SecretRef({self.reference!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    def get(self) -> str:
        """The value; raises ConfigurationProblem that says what is missing."""
        scheme, _, rest = self.reference.partition(":")
        if scheme == "env":
            value = os.environ.get(rest, "")
            where = f"the environment variable {rest}"
        else:
            try:
                # ${CREDENTIALS_DIRECTORY} and the like: systemd hands each service its secrets in a folder of its own.
                value = Path(os.path.expandvars(rest)).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigurationProblem(
                    f"The secret file {rest} cannot be read ({error.strerror}). "
                    "What to do: create it, readable for the user that runs Orderwire."
                ) from None
            where = f"the file {rest}"
        if not value:
            raise ConfigurationProblem(
                f"A secret is missing: {where} is empty or not set. What to do: set it, then start again."
            )
        return value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda ref: ref.reference),
        )

    @classmethod
    def _validate(cls, value: object) -> SecretRef:
        if isinstance(value, SecretRef):
            return value
        if not isinstance(value, str):
            raise ValueError("a secret is given by reference: env:NAME or file:/path")
        return cls(value)
