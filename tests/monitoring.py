"""The files for Prometheus and Grafana, and what their expressions speak of."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RULES_FILE = ROOT / "deploy" / "prometheus" / "orderwire.rules.yaml"
BOARD_FILE = ROOT / "deploy" / "grafana" / "orderwire.json"

_STRING = re.compile(r'"[^"]*"')
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_GROUPS = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"\{([^}]*)\}")


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    loaded = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def board() -> dict[str, Any]:
    """The dashboard."""
    loaded: dict[str, Any] = json.loads(BOARD_FILE.read_text(encoding="utf-8"))
    return loaded


EXPRESSIONS = [(rule["alert"], str(rule["expr"])) for rule in rules()] + [
    (panel["title"], target["expr"]) for panel in board()["panels"] for target in panel["targets"]
]
"""(alert or panel, what it asks)."""


def metrics_of(expression: str) -> list[str]:
    """The metrics that it names."""
    return re.findall(r"\borderwire_[a-z0-9_]+", _STRING.sub("", expression))


def labels_of(expression: str) -> set[str]:
    """The labels by which it chooses or groups."""
    plain = _STRING.sub("", expression)
    chosen = {name for part in _SELECTOR.findall(plain) for name in _WORD.findall(part)}
    return chosen | {name for part in _GROUPS.findall(plain) for name in _WORD.findall(part)}


def words_of(expression: str) -> set[str]:
    """What is left without strings, selectors, groups, durations and variables: functions, operators in words, metrics."""
    plain = _SELECTOR.sub("", _GROUPS.sub("", _STRING.sub("", expression)))
    plain = re.sub(r"\[[^\]]*\]", "", plain)
    return set(_WORD.findall(plain))


def balanced(expression: str) -> bool:
    """Whether every bracket is closed by its like."""
    pairs, open_ = {")": "(", "]": "[", "}": "{"}, []
    for letter in _STRING.sub("", expression):
        if letter in "([{":
            open_.append(letter)
        elif letter in pairs and (not open_ or open_.pop() != pairs[letter]):
            return False
    return not open_
