"""A recorded call as a command for a terminal: without any secret, since none was recorded, and without its body."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from connectors.roles.looking import Repeatable
from core.redaction import redact
from core.visible import in_one_line
from pipelines.context import Context

_NAME: Final = re.compile(r"\$[A-Z_]+")


def command(context: Context, call: Mapping[str, Any]) -> str:
    """`curl ...`; "" for a call that was recorded without its path, or of a system that does not tell how."""
    name, path = str(call.get("connection", "")), str(call.get("path") or "")
    system: object = context.crms.get(name) or context.stores.get(name)
    if not path or not isinstance(system, Repeatable):
        return ""
    arguments = system.curl(str(call.get("operation", "")), str(call.get("method", "")), path)
    return " ".join(["curl", *(_quoted(in_one_line(_clean(argument))) for argument in arguments)])


def _clean(argument: str) -> str:
    """An address without whatever somebody wrote into it that is nobody's business."""
    return redact(argument) if argument.startswith(("https://", "http://")) else argument


def _quoted(argument: str) -> str:
    """In quotes of the shell; names to be filled in stay open to it, and nothing else does."""
    if not _NAME.search(argument):
        return shlex.quote(argument)
    parts, at = [], 0
    for found in _NAME.finditer(argument):
        before = argument[at : found.start()]
        parts += [shlex.quote(before)] if before else []
        parts.append(f'"{found[0]}"')
        at = found.end()
    rest = argument[at:]
    return "".join([*parts, *([shlex.quote(rest)] if rest else [])])
