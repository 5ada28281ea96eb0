"""The two ways to speak to Odoo: JSON-RPC (`/jsonrpc`, up to 21) and JSON-2 (`/json/2/<model>/<method>`, from 19 on).

Both ask the same: a method of a model, with arguments by name. JSON-RPC wants some of them by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Protocol = Literal["json2", "jsonrpc"]

READS: Final[dict[str, tuple[str, ...]]] = {
    "search_read": ("domain",),
    "search_count": ("domain",),
    "read": ("ids", "fields"),
    "fields_get": (),
    "context_get": (),
}
"""The methods that are ever called, none of which writes -> those of their arguments that JSON-RPC wants by place."""
JSON2_SINCE: Final = 19
RPC_PATH: Final = "jsonrpc"
VERSION_PATH: Final = "web/version"


@dataclass(frozen=True, slots=True)
class Way:
    """How this server is spoken to, and which one it is."""

    protocol: Protocol
    version: str = ""
    """"18.0", "saas~18.4"; "" where it could not be told."""

    @property
    def major(self) -> int:
        """18; 0 where it is not known."""
        return major_of(self.version)


def major_of(version: str) -> int:
    """The number of a release, also of one between two ("saas~18.4")."""
    digits = version.removeprefix("saas~").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0


def version_of(told: object) -> str:
    """The version in an answer of `common.version` or `/web/version`; "" where it tells none."""
    if not isinstance(told, Mapping):
        return ""
    for name in ("server_serie", "server_version", "version"):
        value = told.get(name)
        if isinstance(value, str) and major_of(value):
            return value[:20]
    return ""


def by_place(method: str, params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as `execute_kw` wants them: a list, and the rest by name."""
    places = [params[name] for name in READS[method] if name in params]
    return places, {name: value for name, value in params.items() if name not in READS[method]}


def rpc(service: str, method: str, *args: Any) -> dict[str, Any]:
    """The body of a JSON-RPC request."""
    return {
        "jsonrpc": "2.0",
        "method": "call",
        "id": 1,
        "params": {"service": service, "method": method, "args": list(args)},
    }
