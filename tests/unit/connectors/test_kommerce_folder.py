"""The portal's folder: files appear whole or not at all, each number once, and nothing that lies there is written over."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors import kommerce
from connectors.http import Call, guarded
from connectors.kommerce import KommercePortal, KommerceSettings
from connectors.kommerce.folder import HIDDEN, Folder
from connectors.roles import PortalFile, Publication, RepContact
from core.errors import ConfigurationProblem, Held, LeaseLost, RetryLater
from core.keys import Key
from mapping.canonical import ErpCustomer, SalesRep
from mapping.cards import Card, CardRep


class OpenGuard:
    """Lets everything through, or nothing."""

    def __init__(self) -> None:
        self.open = True
        self.calls: list[Call] = []

    def before_write(self, connection: str, timeout: float) -> None:
        if not self.open:
            raise LeaseLost("not ours any more")

    def called(self, call: Call) -> None:
        self.calls.append(call)


@pytest.fixture
def guard() -> Iterator[OpenGuard]:
    made = OpenGuard()
    with guarded(made):
        yield made


def settings(folder: Path, **more: Any) -> KommerceSettings:
    facts = {"name": "ks", "folder": str(folder), "rep_column": 25, "own_business": "900", **more}
    return KommerceSettings.model_validate(facts)


@pytest.fixture
def portal(tmp_path: Path, guard: OpenGuard) -> KommercePortal:
    return kommerce.build(settings(tmp_path))


def publication(number: str, *reps: str, name: str = "Blue Ltd") -> Publication:
    customer = ErpCustomer(key=Key("erp", "customer", number), name=name)
    card = Card(customer=number, reps=tuple(CardRep(name=f"Rep {code}", code=code) for code in reps))
    return Publication("erp", customer, card)


def file(sequence: int, kind: str = "customers", mode: str = "net", mark: str = "") -> PortalFile:
    return PortalFile(sequence, kind, mode, mark or f"m{sequence}")  # type: ignore[arg-type]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != HIDDEN)


def test_a_file_is_aside_until_it_is_released(portal: KommercePortal, tmp_path: Path) -> None:
    one = file(1)
    assert portal.stage_customers(one, [publication("10017", "R7", "R9"), publication("10018")]) == 2
    assert visible(tmp_path) == []
    assert portal.release(one)
    assert visible(tmp_path) == ["OW_0000001_KS_CUSTOMERS.NET"]
    rows = (tmp_path / "OW_0000001_KS_CUSTOMERS.NET").read_bytes().decode().split("\r\n")
    assert rows[-1] == ""
    assert [row.split("\t")[24] for row in rows[:-1]] == ["R7,R9", ""]


def test_what_was_taken_is_not_given_again(portal: KommercePortal, tmp_path: Path) -> None:
    """The portal took the file between its release and our record of it."""
    one = file(1)
    portal.stage_customers(one, [publication("10017")])
    assert portal.release(one)
    (tmp_path / "OW_0000001_KS_CUSTOMERS.NET").unlink()
    assert not portal.release(one)
    assert visible(tmp_path) == []


def test_what_lies_there_is_never_overwritten(portal: KommercePortal, tmp_path: Path) -> None:
    theirs = tmp_path / "OW_0000001_KS_CUSTOMERS.NET"
    theirs.write_bytes(b"theirs")
    one = file(1)
    portal.stage_customers(one, [publication("10017")])
    with pytest.raises(Held, match="not overwritten"):
        portal.release(one)
    assert theirs.read_bytes() == b"theirs"
    theirs.unlink()
    assert portal.release(one)


def test_a_number_that_another_ledger_used_is_refused(portal: KommercePortal) -> None:
    portal.stage_customers(file(7), [])
    portal.stage_customers(file(7), [])  # the same file once more, after a crash
    with pytest.raises(Held, match="write first = 8"):
        portal.stage_customers(file(7, mark="another"), [])
    with pytest.raises(Held, match="write first = 8"):
        portal.stage_customers(file(6), [])
    portal.stage_customers(file(8), [])


def test_a_number_that_was_given_is_not_made_again_by_a_ledger_from_before(
    portal: KommercePortal, tmp_path: Path
) -> None:
    """The backup was taken between taking the number and giving the file: number and mark are the same."""
    portal.stage_customers(file(1), [publication("10017")])
    portal.stage_customers(file(1), [publication("10017")])  # a crash before it was given
    assert portal.release(file(1))
    (tmp_path / "OW_0000001_KS_CUSTOMERS.NET").unlink()  # taken
    with pytest.raises(Held, match="write first = 2"):
        portal.stage_customers(file(1), [publication("10018")])
    portal.stage_customers(file(2), [publication("10018")])
    assert not portal.release(file(1))  # asked once more: nothing to give, and number 2 stays the last
    with pytest.raises(Held):
        portal.stage_customers(file(1), [publication("10017")])


def test_a_share_that_cannot_sync_folders_is_none_the_worse(
    portal: KommercePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def sync(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    portal.stage_customers(file(1), [publication("10017")])
    assert portal.release(file(1))


def test_a_worker_that_lost_its_lease_puts_nothing_there(
    portal: KommercePortal, guard: OpenGuard, tmp_path: Path
) -> None:
    guard.open = False
    with pytest.raises(LeaseLost):
        portal.stage_customers(file(1), [publication("10017")])
    guard.open = True
    assert portal.stage_customers(file(1), [publication("10018")]) == 1
    assert not list((tmp_path / HIDDEN).glob("*.part"))  # what the first one left is swept
    guard.open = False
    with pytest.raises(LeaseLost):
        portal.release(file(1))
    assert visible(tmp_path) == []


def test_outside_of_a_job_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(LeaseLost, match="outside of a job"):
        kommerce.build(settings(tmp_path)).stage_customers(file(1), [])


def test_a_row_that_fails_leaves_no_file(portal: KommercePortal, tmp_path: Path) -> None:
    def rows() -> Iterator[Publication]:
        yield publication("10017")
        raise RuntimeError("the ledger went away")

    with pytest.raises(RuntimeError):
        portal.stage_customers(file(1), rows())
    assert not (tmp_path / HIDDEN / "OW_0000001_KS_CUSTOMERS.NET").exists()
    assert not portal.release(file(1))


def test_a_folder_that_is_not_mounted_is_waited_for(tmp_path: Path, guard: OpenGuard) -> None:
    portal = kommerce.build(settings(tmp_path / "share"))
    with pytest.raises(RetryLater, match="is not there") as waiting:
        portal.stage_customers(file(1), [])
    assert (waiting.value.scope, waiting.value.connection) == ("connection", "ks")
    assert not (tmp_path / "share").exists()  # made by us it would hide the mount
    assert portal.check()[0].level == "problem"


def test_everything_durable_is_made_durable(portal: KommercePortal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes before the name, the name before anybody is told."""
    done: list[str] = []
    real_sync, real_rename, real_replace = os.fsync, Path.rename, Path.replace

    def sync(handle: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file")  # noqa: PTH112
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", sync)

    def rename(self: Path, to: Path) -> Path:
        done.append("give")
        return real_rename(self, to)

    def replace(self: Path, to: Path) -> Path:
        done.append("name")
        return real_replace(self, to)

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(Path, "replace", replace)
    portal.stage_customers(file(1), [publication("10017")])
    assert done == ["file", "name", "folder", "file", "name", "folder"]
    done.clear()
    portal.release(file(1))
    assert done == ["file", "name", "folder", "give", "folder", "folder"]


def test_a_work_folder_elsewhere_is_refused(tmp_path: Path, guard: OpenGuard, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder("ks", tmp_path, tmp_path / "aside")
    (tmp_path / "aside").mkdir()
    real = Path.stat

    def elsewhere(path: Path, **more: Any) -> os.stat_result:
        found = real(path, **more)
        return os.stat_result((*found[:2], 4711, *found[3:])) if path.name == "aside" else found

    monkeypatch.setattr(Path, "stat", elsewhere)
    with pytest.raises(ConfigurationProblem, match="another file system"):
        folder.require()


def test_reps_without_a_business_are_not_told(tmp_path: Path, guard: OpenGuard) -> None:
    mia = RepContact(SalesRep(key=Key("erp", "rep", "R7"), name="Mia Muster"))
    left = RepContact(SalesRep(key=Key("erp", "rep", "R8"), name="Leo Left", active=False))
    assert kommerce.build(settings(tmp_path)).stage_contacts(file(1, "contacts"), [mia, left]) == 1
    bare = kommerce.build(settings(tmp_path, own_business=""))
    assert bare.stage_contacts(file(2, "contacts"), [mia]) == 0
    assert "reps" in {finding.subject for finding in bare.check() if finding.level == "warning"}


@pytest.mark.parametrize(
    ("encoding", "begins", "decodes"),
    [
        ("utf-8", b"10017", "utf-8"),
        ("utf-8-sig", b"\xef\xbb\xbf10017", "utf-8-sig"),
        ("windows-1252", b"10017", "windows-1252"),
        ("utf-16", b"\xff\xfe1\x00", "utf-16"),
    ],
)
def test_each_encoding_is_one_text(
    tmp_path: Path, guard: OpenGuard, encoding: str, begins: bytes, decodes: str
) -> None:
    portal = kommerce.build(settings(tmp_path, encoding=encoding, line_end="lf"))
    portal.stage_customers(file(1), [publication("10017", "R7", name="Müller"), publication("10018", name="Öz")])
    portal.release(file(1))
    raw = (tmp_path / "OW_0000001_KS_CUSTOMERS.NET").read_bytes()
    assert raw.startswith(begins)
    assert [row.split("\t")[3] for row in raw.decode(decodes).splitlines()] == ["Müller", "Öz"]


def test_check_tells_what_the_portal_has_not_taken(portal: KommercePortal, tmp_path: Path) -> None:
    assert {finding.level for finding in portal.check()} == {"ok"}
    portal.stage_customers(file(1), [publication("10017")])
    portal.release(file(1))
    assert [finding.level for finding in portal.check() if finding.subject == "files"] == ["ok"]
    given = tmp_path / "OW_0000001_KS_CUSTOMERS.NET"
    os.utime(given, (given.stat().st_atime, given.stat().st_mtime - 1000))
    (late,) = [finding for finding in portal.check() if finding.subject == "files"]
    assert late.level == "problem"
    assert "1 files wait to be taken" in late.message
    assert "last file was number 1" in portal.check()[0].message


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"rep_column": 4}, "column 4 of KS_CUSTOMERS is name"),
        ({"rep_separator": "a"}, "in no rep code"),
        ({"rep_separator": "\t"}, "in no rep code"),
        ({"source": "O_W"}, "String should match"),
        ({"folder": " "}, "the folder from which"),
    ],
)
def test_settings_that_cannot_work_are_refused(tmp_path: Path, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        settings(**{"folder": tmp_path, **wrong})
