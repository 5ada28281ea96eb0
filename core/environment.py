"""Settings from the environment: `ORDERWIRE_WORKER__THREADS=4`, `ORDERWIRE_CONNECTION__SHOP__READ_TIMEOUT=20`.

Two underscores between the parts; a `-` in the name of a connection or flow is `_`; lists and tables are JSON.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource

from core import jsontext

PREFIX: Final = "ORDERWIRE_"


class _Overrides(BaseSettings):
    """The names that environment variables may begin with."""

    ledger: dict[str, Any] = {}
    worker: dict[str, Any] = {}
    web: dict[str, Any] = {}
    seller: dict[str, Any] = {}
    keep: dict[str, Any] = {}
    connection: dict[str, dict[str, Any]] = {}
    flow: dict[str, dict[str, Any]] = {}
    portal: dict[str, dict[str, Any]] = {}
    reps: dict[str, dict[str, Any]] = {}
    stock: dict[str, dict[str, Any]] = {}
    buyer: dict[str, dict[str, Any]] = {}


class _Environment(EnvSettingsSource):
    """As pydantic-settings reads it, but with exact numbers."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        return jsontext.loads(value)


def overrides() -> dict[str, Any]:
    """What the environment sets, names in lower case: `{"worker": {"threads": "4"}, "flow": {"orders": {...}}}`."""
    source = _Environment(_Overrides, env_prefix=PREFIX, env_nested_delimiter="__")
    return source()


def parsed(value: Any) -> Any:
    """Lists and tables are written as JSON in a variable."""
    if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        try:
            return jsontext.loads(value)
        except ValueError:
            return value
    return value
