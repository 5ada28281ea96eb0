"""Files on an SFTP server: a real one, over TCP, with logins, keys and its own folder."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from connectors import feed
from connectors.feed import FeedSettings, FileErp
from core.errors import ConfigurationProblem, RetryLater
from core.secrets import SecretRef
from tests.drops import COLUMNS, Drops, customer
from tests.sftp import PASSWORD, USER, Sftp, serving


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_TEST_PASSWORD", PASSWORD)
    monkeypatch.setenv("FEED_TEST_WRONG", "another")


@pytest.fixture
def drops(tmp_path: Path) -> Drops:
    return Drops(tmp_path / "server" / "out")


@pytest.fixture
def server(drops: Drops) -> Iterator[Sftp]:
    with serving(drops.folder.parent) as running:
        yield running


def erp_of(server: Sftp, **more: Any) -> FileErp:
    values: dict[str, Any] = {
        "name": "erp",
        "folder": "/out",
        "host": "127.0.0.1",
        "port": server.port,
        "username": USER,
        "password": SecretRef("env:FEED_TEST_PASSWORD"),
        "host_key": server.host_key(),
        "columns": COLUMNS,
        "read_timeout": 20,
        **more,
    }
    return feed.build(FeedSettings.model_validate(values))


def keys(erp: FileErp) -> list[str]:
    found = []
    with erp.reading(erp.dropped()[-1]) as reading:
        for part in reading.parts():
            found += [row.key for row in part.rows]
    return found


def test_files_are_listed_and_read_and_nothing_else_is_done(server: Sftp, drops: Drops) -> None:
    first = drops.drop("KS_CUSTOMERS", [customer(n) for n in range(4)], "FULL")
    drops.put("notes.txt", b"x")
    erp = erp_of(server)
    assert [one.name for one in erp.dropped()] == [first]
    assert keys(erp) == ["C0", "C1", "C2", "C3"]
    assert [one.level for one in erp.check()][:2] == ["ok", "ok"]
    assert set(server.asked) == {f"open /out/{first}"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_large_file_comes_whole(server: Sftp, drops: Drops, encoding: str) -> None:
    """Several times what is asked for at once."""
    name = drops.drop("KS_CUSTOMERS", [customer(n, name="N" * 400) for n in range(14_000)], "FULL", encoding=encoding)
    assert (drops.folder / name).stat().st_size > 6_000_000
    assert keys(erp_of(server)) == [f"C{n}" for n in range(14_000)]


def test_another_key_is_never_accepted(server: Sftp, drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)])
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    erp = erp_of(server, host_key=" ".join(other.split()[:2]))
    with pytest.raises(RetryLater, match="shows another key than the one that is pinned") as caught:
        erp.dropped()
    assert (caught.value.cause, caught.value.scope) == ("auth", "connection")
    assert server.logins == []  # not even our name was told
    assert next(one.level for one in erp.check()) == "problem"


@pytest.mark.parametrize("kind", ["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"])
def test_the_kind_of_key_that_is_pinned_is_asked_for(drops: Drops, kind: str) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)])
    with serving(drops.folder.parent, ("ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519")) as server:
        assert keys(erp_of(server, host_key=server.host_key(kind))) == ["C1"]


def test_a_kind_of_key_that_the_server_has_not(server: Sftp) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa").export_public_key().decode()
    with pytest.raises(RetryLater, match="What to do: "):
        erp_of(server, host_key=" ".join(rsa.split()[:2])).dropped()
    assert server.logins == []


def test_a_wrong_password(server: Sftp) -> None:
    with pytest.raises(RetryLater, match="refuses our login") as caught:
        erp_of(server, password=SecretRef("env:FEED_TEST_WRONG")).dropped()
    assert caught.value.cause == "auth"
    assert "another" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "form", "passphrase"),
    [
        ("ssh-ed25519", "openssh", None),
        ("ssh-ed25519", "openssh", "words of a passphrase"),
        ("ssh-rsa", "openssh", None),
        ("ssh-rsa", "pkcs1-pem", None),
        ("ecdsa-sha2-nistp256", "openssh", None),
    ],
)
def test_a_private_key(
    server: Sftp,
    drops: Drops,
    tmp_path: Path,
    kind: str,
    form: Any,
    passphrase: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drops.drop("KS_CUSTOMERS", [customer(1)])
    key = asyncssh.generate_private_key(kind)
    server.keys.append(key.convert_to_public())
    file = tmp_path / "key"
    file.write_bytes(key.export_private_key(form, passphrase))
    monkeypatch.setenv("FEED_TEST_PASSPHRASE", passphrase or "-")
    erp = erp_of(
        server,
        password=None,
        private_key=SecretRef(f"file:{file}"),
        passphrase=SecretRef("env:FEED_TEST_PASSPHRASE") if passphrase else None,
    )
    assert keys(erp) == ["C1"]


def test_a_key_that_is_none(server: Sftp, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key", encoding="utf-8")
    with pytest.raises(ConfigurationProblem, match=r"The private key of erp cannot be read\. What to do: "):
        erp_of(server, password=None, private_key=SecretRef(f"file:{tmp_path / 'key'}")).dropped()


def test_a_folder_that_is_not_there(server: Sftp) -> None:
    with pytest.raises(RetryLater, match="has no such folder") as caught:
        erp_of(server, folder="/elsewhere").dropped()
    assert caught.value.cause == "configuration"


def test_nobody_listens(drops: Drops) -> None:
    with serving(drops.folder.parent) as server:
        erp = erp_of(server, connect_timeout=5)
    with pytest.raises(RetryLater, match="does not answer") as caught:
        erp.dropped()
    assert (caught.value.scope, caught.value.connection) == ("connection", "erp")


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """Somebody who says this to whoever comes, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(20)
                caller.sendall(data)
                ended.wait(20)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join(30)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-odd\r\n"])
def test_whoever_speaks_no_ssh_is_left_after_a_while(server: Sftp, data: bytes) -> None:
    with answering(data) as port, pytest.raises(RetryLater, match="does not answer"):
        erp_of(server, port=port, read_timeout=1).dropped()


def test_a_server_that_goes_away_in_the_middle(drops: Drops) -> None:
    drops.drop("KS_CUSTOMERS", [customer(n, name="N" * 400) for n in range(14_000)], "FULL")
    with serving(drops.folder.parent) as server:
        erp = erp_of(server)
        with pytest.raises(RetryLater, match="does not answer"):
            first_part_then(erp, server.hang_up)


def first_part_then(erp: FileErp, happens: Callable[[], None]) -> None:
    with erp.reading(erp.dropped()[-1]) as reading:
        for _ in reading.parts():
            happens()
