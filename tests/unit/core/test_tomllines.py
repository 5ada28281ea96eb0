from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tomllines import Lines, Path

TEXT = '''# a comment [not.a.table]
top = 1

[worker]
threads = 4  # = 5
"quoted key" = "a # b"

[[connection]]
name = "shop"
secrets = [
  "env:A",   # ]
  "env:B",
]
note = """
[[connection]]
name = "inside text"
"""
owners = { anna = "19x5", bob = "19x6" }
[connection.metadata]
channel = "x"

[[connection]]
name = "crm"
a.b.c = 1
literal = \'\'\'
[worker]
\'\'\'
last = true
[connection.fields."with.dot"]
path = "x"

[[flow]]
[[flow.rule]]
x = 1
[[flow.rule]]
x = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("worker",), 4),
        (("worker", "threads"), 5),
        (("worker", "quoted key"), 6),
        (("connection", 0), 8),
        (("connection", 0, "name"), 9),
        (("connection", 0, "secrets"), 10),
        (("connection", 0, "secrets", 1), 10),
        (("connection", 0, "note"), 14),
        (("connection", 0, "owners", "bob"), 18),
        (("connection", 0, "metadata"), 19),
        (("connection", 0, "metadata", "channel"), 20),
        (("connection", 1), 22),
        (("connection", 1, "name"), 23),
        (("connection", 1, "a", "b", "c"), 24),
        (("connection", 1, "last"), 28),
        (("connection", 1, "fields", "with.dot", "path"), 30),
        (("connection", 1, "missing"), 22),
        (("flow", 0, "rule", 1, "x"), 36),
        (("nowhere",), 0),
    ],
)
def test_where_keys_stand(path: Path, line: int) -> None:
    tomllib.loads(TEXT)  # the text is TOML
    assert Lines(TEXT).of(path) == line


def test_what_is_written_and_what_is_not() -> None:
    lines = Lines(TEXT)
    assert lines.written(("connection", 0, "owners", "bob")) == 18
    assert lines.written(("connection", 0, "metadata", "channel")) == 20
    assert lines.written(("connection", 0, "metadata", "missing")) == 0
    assert lines.written(("connection", 1, "read_timeout")) == 0
    assert lines.written(("worker",)) == 0


@given(st.text(st.sampled_from("[]{}=\"'#.\n ab1\\"), max_size=200))
def test_whatever_it_reads_it_never_fails(text: str) -> None:
    lines = Lines(text)
    assert 0 <= lines.of(("a", 0, "b")) <= text.count("\n") + 1
