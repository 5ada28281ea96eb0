"""What a connection to dropped files is told."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from connectors.roles import ErpKind
from core.secrets import SecretRef
from core.settings import ConnectionSettings, Section
from mapping.kommerce import LAYOUTS, MAX_COLUMNS
from mapping.sheet import FIELDS, REQUIRED

Place = Annotated[int, Field(ge=1, le=MAX_COLUMNS)]
Share = Annotated[float, Field(ge=0, le=1)]
KEY_TYPES: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
KS_KINDS: Final[Mapping[str, ErpKind]] = {
    "KS_CUSTOMERS": "customer",
    "KS_CONTACTS": "rep",
    "KS_REGIONS": "region",
    "KS_INVENTORY": "stock",
    "KS_INVOICES": "invoice",
}
"""KommerceServer's kind of file -> what it tells."""


def _encoding(value: str) -> str:
    if value != "auto":
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError("there is no such encoding; write auto, utf-8, windows-1252 or utf-16") from None
    return value


def _pattern(value: str) -> str:
    if re.findall(r"[{}]", re.sub(r"\{(sequence|mode)\}", "", value)) or "/" in value:
        raise ValueError("a name has {sequence} and {mode} as its only parts in braces, and no folder")
    if value.count("{sequence}") > 1 or value.count("{mode}") > 1:
        raise ValueError("{sequence} and {mode} stand in a name once at most")
    return value


def _expression(value: str) -> str:
    try:
        found = re.compile(value)
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    if value and set(found.groupindex) - {"rows"}:
        raise ValueError("the only group that the last line's expression may name is (?P<rows>[0-9]+)")
    return value


def _date_form(value: str) -> str:
    sample = datetime(2026, 12, 31, tzinfo=UTC)
    try:
        right = datetime.strptime(sample.strftime(value), value).date() == sample.date()  # noqa: DTZ007 - a day alone
    except ValueError:
        right = False
    if not right:
        raise ValueError(f"{value!r} is no form of a date; write it like %Y-%m-%d or %d.%m.%Y")
    return value


def _host_key(value: str) -> str:
    parts = value.split()
    if value and (len(parts) < 2 or parts[0] not in KEY_TYPES):
        raise ValueError(f"a host key is written as in known_hosts, without the name: {KEY_TYPES[0]} AAAA...")
    return " ".join(parts[:2])


class SheetSettings(Section):
    """`[[connection.files]]`: a kind of CSV file."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=150), AfterValidator(_pattern)]
    """`customers-{sequence}.csv`; without {sequence} the file has no number, a newer one takes its place."""
    kind: ErpKind
    mode: Literal["FULL", "NET"] = "FULL"
    """Where {mode} does not stand in the name."""
    heading: bool = True
    """The first line names the columns."""
    columns: dict[str, str | Place]
    """Our field -> the heading of its column, or its place from 1 where there is no heading."""
    delimiter: Literal[",", ";", "\t", "|"] = ","

    @field_validator("columns")
    @classmethod
    def _fields_are_known(cls, value: dict[str, str | int], info: ValidationInfo) -> dict[str, str | int]:
        kind, heading = info.data.get("kind"), info.data.get("heading", True)
        if kind is None:
            return value
        unknown = sorted(set(value) - FIELDS[kind])
        if unknown:
            raise ValueError(f"{kind} has no field {unknown[0]}; there are {', '.join(sorted(FIELDS[kind]))}")
        missing = sorted(REQUIRED[kind] - set(value))
        if missing:
            raise ValueError(f"columns of {kind} must name {', '.join(missing)}")
        wrong = [name for name, column in value.items() if isinstance(column, int) == heading]
        if wrong:
            said = "its heading" if heading else "its place, a number from 1"
            raise ValueError(f"the column of {wrong[0]} is told by {said} (heading = {str(heading).lower()})")
        return value


class FeedSettings(ConnectionSettings):
    """`[[connection]] connector = "feed"`."""

    connector: Literal["feed"] = "feed"
    folder: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    """Where the files are dropped: on this machine, or on `host`."""
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]*$")] = ""
    """An SFTP server; "": the folder is on this machine."""
    port: int = Field(default=22, ge=1, le=65_535)
    username: str = ""
    password: SecretRef | None = None
    private_key: SecretRef | None = None
    """A private key in OpenSSH's or PEM form, instead of a password."""
    passphrase: SecretRef | None = None
    """Of the private key."""
    host_key: Annotated[str, AfterValidator(_host_key)] = Field(default="", validate_default=True)
    """The server's key, as in known_hosts without the name. Required: no other key is ever accepted."""
    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{0,20}$")] = ""
    """The source whose files are read, DT in DT_0000001_KS_CUSTOMERS.NET; "": the only one that drops files here."""
    numbering: Literal["source", "series"] = "source"
    """source: one row of numbers for all files of a source. series: each kind of file has its own."""
    first: int | None = Field(default=None, ge=0, le=9_999_999)
    """The number to begin with; none: the lowest that is there."""
    removal: Share = 0.10
    """A FULL that would remove a larger share of the records waits for a person."""
    bad: Share = 0.10
    """A file in which a larger share of the rows cannot be read waits for a person."""
    settle: float = Field(default=10.0, ge=0, le=3600)
    """Seconds for which a file must not have changed before it is read."""
    ending: bool = True
    """A file is complete only where its last line has a line ending."""
    trailer: Annotated[str, StringConstraints(max_length=200), AfterValidator(_expression)] = ""
    """Expression for the last line that tells a file is complete; `(?P<rows>[0-9]+)` in it is the number of rows before it."""
    encoding: Annotated[str, AfterValidator(_encoding)] = "auto"
    """auto: UTF-16 where it is, else line by line UTF-8, and Windows-1252 where it is not that."""
    columns: dict[str, dict[str, Place]] = Field(default_factory=dict)
    """Of KS_ files, by kind: our field -> its place, from 1. For what the published specification does not show."""
    width: dict[str, Place] = Field(default_factory=dict)
    """Of KS_ files, by kind: how many columns a row has; none: as most of its first rows."""
    separator: Annotated[str, StringConstraints(min_length=1, max_length=3)] = ","
    """Between the values of a column that has several: rep ids, languages."""
    own: tuple[str, ...] = ()
    """Numbers of the own company among the customers. Its contacts are reps."""
    agencies: tuple[str, ...] = ()
    """Numbers of outside firms that sell. Their contacts are reps, of the agency of that number."""
    deleted: tuple[str, ...] = ("D", "DELETE", "DELETED")
    """Words in the column `deleted` that say that a record is gone."""
    inactive: tuple[str, ...] = ("N", "NO", "0", "FALSE", "INACTIVE")
    """Words in the column `active` that say no."""
    decimal: Literal[".", ","] = "."
    dates: Annotated[str, AfterValidator(_date_form)] = "%Y-%m-%d"
    warehouse: Annotated[str, StringConstraints(pattern=r"^[^/]{1,80}$")] = "main"
    """The warehouse of stock whose rows name none."""
    files: tuple[SheetSettings, ...] = ()
    """CSV files; KS_ files need no entry."""
    per_page: int = Field(default=500, ge=1, le=5_000)

    @field_validator("columns")
    @classmethod
    def _kommerce_columns(cls, value: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
        for api, columns in value.items():
            if api not in KS_KINDS:
                raise ValueError(f"there are no columns of {api}; these are read: {', '.join(KS_KINDS)}")
            known = FIELDS[KS_KINDS[api]] | set(LAYOUTS[api].columns)
            unknown = sorted(set(columns) - known)
            if unknown:
                raise ValueError(f"{api} has no field {unknown[0]}; there are {', '.join(sorted(known))}")
        return value

    @field_validator("width")
    @classmethod
    def _kommerce_widths(cls, value: dict[str, int]) -> dict[str, int]:
        if set(value) - set(KS_KINDS):
            raise ValueError(f"width is told for {', '.join(KS_KINDS)}")
        return value

    @field_validator("host_key")
    @classmethod
    def _with_a_host(cls, value: str, info: ValidationInfo) -> str:
        login = [name for name in ("username", "password", "private_key") if info.data.get(name)]
        if not info.data.get("host"):
            if login or value:
                raise ValueError("username, password, private_key and host_key are for a host, and none is given")
            return value
        if not value:
            raise ValueError("it is missing: the server's key is compared, and never accepted unseen")
        if login in ([], ["username"]) or "username" not in login:
            raise ValueError("the server asks for username, and for password or private_key")
        return value
