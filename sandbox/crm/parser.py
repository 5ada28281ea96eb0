"""vtiger's query language, parsed: SELECT a,b FROM Module WHERE ... ORDER BY ... LIMIT [offset,]n;

Tokens are read one by one, as the real parser does, because its errors depend on it: what stands behind the first
unexpected token is never looked at, and a character that no token starts with is an internal error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.crm.errors import WsError, denied, internal

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')+')|(?P<op><=|>=|!=|=|<|>)|(?P<number>-?\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[*,();])|(?P<end>$))""",
    re.VERBOSE,
)
_MODULE = re.compile(r"\bFROM\s+([A-Za-z0-9_]+)", re.IGNORECASE)
_OPERATORS = {"=": "EQ", "<": "LT", ">": "GT", "<=": "LTE", ">=": "GTE", "!=": "NE"}
_MARKS = {"(": "PARENOPEN", ")": "PARENCLOSE", ",": "COMMA", ";": "SEMICOLON", "*": "ASTERISK"}
_KEYWORDS = frozenset({"SELECT", "FROM", "WHERE", "ORDER", "BY", "LIMIT", "IN", "LIKE", "AND", "OR", "ASC", "DESC"})
_WANTS_OPERATOR = "EQ,LT,GT,LTE,GTE,NE,IN,LIKE"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a quoted text (quotes included), a number, an operator or a mark."""

    kind: str
    text: str

    @property
    def keyword(self) -> str:
        upper = self.text.upper()
        return upper if self.kind == "word" and upper in _KEYWORDS else ""


@dataclass(frozen=True, slots=True)
class Condition:
    """`column operator values`; `joined` is AND or OR before it, "" for the first."""

    joined: str
    column: str
    operator: str
    values: tuple[Token, ...]


@dataclass(slots=True)
class Query:
    """A parsed query. `columns` is ["*"], ["count(*)"] or names; `order` holds (name, descending)."""

    module: str
    columns: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    offset: int = 0
    limit: int | None = None


def parse(text: str) -> Query:
    """Parse, or raise the real server's error for this text."""
    named = _MODULE.search(text)
    if named is None:
        raise denied("for query")
    return _Parser(text, named.group(1)).run()


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise internal()
        position = match.end()
        kind = str(match.lastgroup)
        yield Token(kind, match.group(kind))
        if kind == "end":
            return


class _Parser:
    def __init__(self, text: str, module: str) -> None:
        self.query = Query(module)
        self._source = _tokens(text)
        self._before = Token("end", "")
        self.token = next(self._source)

    def run(self) -> Query:
        self._keyword("SELECT")
        self._columns()
        self._keyword("FROM")
        self._advance()
        if self.token.keyword == "WHERE":
            self._where()
        if self.token.keyword == "ORDER":
            self._order()
        if self.token.keyword == "LIMIT":
            self._limit()
        if self.token.kind == "word" and self._before.text == self.query.module:
            raise WsError("QUERY_SYNTAX_ERROR", "There is an syntax error in query")
        if self.token.text != ";":
            raise self._unexpected("SEMICOLON")
        return self.query

    def _advance(self) -> Token:
        self._before = self.token
        self.token = next(self._source)
        return self._before

    def _keyword(self, word: str) -> None:
        if self.token.keyword != word:
            raise self._unexpected(word)
        self._advance()

    def _unexpected(self, wanted: str, kind: str = "") -> WsError:
        token = self.token
        if token.kind == "end":
            place, what = self._before.text, "End of Input(0)"
        else:
            place, what = token.text, f"{kind or self._kind(token)}({token.text})"
        message = f"Syntax Error on line 1: token '{place}' Unexpected {what}, expected one of: {wanted}"
        return WsError("QUERY_SYNTAX_ERROR", message)

    def _kind(self, token: Token) -> str:
        if token.kind == "word":
            return token.keyword or "COLUMNNAME"
        return _MARKS.get(token.text) or _OPERATORS.get(token.text) or "VALUE"

    def _columns(self) -> None:
        if self.token.text == "*":
            self.query.columns = ["*"]
            self._advance()
            return
        first = self._name("COLUMNNAME")
        if first.lower() == "count" and self.token.text == "(":
            for expected in ("(", "*", ")"):
                if self.token.text != expected:
                    raise self._unexpected(_MARKS[expected])
                self._advance()
            self.query.columns = ["count(*)"]
            return
        self.query.columns = [first]
        while self.token.text == ",":
            self._advance()
            self.query.columns.append(self._name("COLUMNNAME"))

    def _name(self, wanted: str) -> str:
        if self.token.kind not in {"word", "text", "number"} or self.token.keyword:
            raise self._unexpected(wanted)
        return self._advance().text

    def _where(self) -> None:
        joined = ""
        while True:
            self._advance()
            self._condition(joined)
            joined = self.token.keyword
            if joined not in {"AND", "OR"}:
                return

    def _condition(self, joined: str) -> None:
        column = self._name("COLUMNNAME")
        if self.token.keyword == "IN":
            self._advance()
            self.query.conditions.append(Condition(joined, column, "IN", self._list()))
            return
        operator = self.token.text if self.token.kind == "op" else self.token.keyword
        if operator != "LIKE" and self.token.kind != "op":
            raise self._unexpected(_WANTS_OPERATOR, "VALUE")
        self._advance()
        self.query.conditions.append(Condition(joined, column, operator, (self._value(),)))

    def _value(self) -> Token:
        if self.token.kind not in {"text", "number", "word"} or self.token.keyword:
            raise self._unexpected("VALUE")
        return self._advance()

    def _list(self) -> tuple[Token, ...]:
        if self.token.text != "(":
            raise self._unexpected("PARENOPEN")
        self._advance()
        found = [self._value()]
        while self.token.text == ",":
            self._advance()
            found.append(self._value())
        if self.token.text != ")":
            raise self._unexpected("COMMA,PARENCLOSE")
        self._advance()
        return tuple(found)

    def _order(self) -> None:
        self._advance()
        self._keyword("BY")
        while True:
            name = self._name("COLUMNNAME")
            descending = self.token.keyword == "DESC"
            if self.token.keyword in {"ASC", "DESC"}:
                self._advance()
            self.query.order.append((name, descending))
            if self.token.text != ",":
                return
            self._advance()

    def _limit(self) -> None:
        self._advance()
        first = self._count()
        if self.token.text == ",":
            self._advance()
            self.query.offset, self.query.limit = first, self._count()
        else:
            self.query.limit = first

    def _count(self) -> int:
        if self.token.kind != "number" or not self.token.text.isdigit():
            raise self._unexpected("VALUE")
        return int(self._advance().text)
