"""What a KommerceServer portal that is told by files is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from core.settings import ConnectionSettings
from mapping.kommerce.columns import CUSTOMERS, MAX_COLUMNS


class KommerceSettings(ConnectionSettings):
    """`[[connection]] connector = "kommerce"`."""

    connector: Literal["kommerce"] = "kommerce"
    folder: str
    """Where the portal takes its files from, as this machine sees it."""
    work_folder: str = ""
    """Where files are made before the portal may see them, on the same file system; empty: `.orderwire` in `folder`."""
    source: str = Field(default="OW", pattern=r"^[A-Za-z0-9-]{1,20}$")
    """The first part of the files' names, this installation's own: the portal counts the numbers of each source."""
    first: int = Field(default=1, ge=1, le=9_999_999)
    """Number of the very first file; later ones follow whatever stands here."""
    rep_column: int = Field(ge=1, le=MAX_COLUMNS)
    """Which column of KS_CUSTOMERS (from 1) holds the customer's rep ids; the portal's set-up shows it."""
    rep_separator: str = Field(default=",", min_length=1, max_length=1)
    """What parts several rep ids in that column."""
    encoding: Literal["utf-8", "utf-8-sig", "windows-1252", "utf-16"] = "utf-8"
    line_end: Literal["crlf", "lf"] = "crlf"
    own_business: str = ""
    """Customer number under which the portal knows the own company: reps are its contacts, unless their agency has another."""
    contact_prefix: str = Field(default="REP-", pattern=r"^[A-Za-z0-9_.-]{0,12}$")
    """Before the code of a rep it makes the contact's number, which is nobody else's in the portal."""
    contact_type: Literal["C", "E"] = "C"
    """Business type of the business whose contacts reps are."""
    gather: float = Field(default=5.0, ge=0, le=3600)
    """Seconds between two NET files at least: what changes meanwhile comes in one."""
    untaken: float = Field(default=900.0, ge=1)
    """Seconds after which a file that still lies there is a problem for `orderwire check`."""

    @field_validator("rep_column")
    @classmethod
    def _free_column(cls, value: int) -> int:
        taken = {place: name for name, place in CUSTOMERS.columns.items()}
        if value in taken:
            raise ValueError(f"column {value} of KS_CUSTOMERS is {taken[value]}; name the one that holds the rep ids")
        return value

    @field_validator("rep_separator")
    @classmethod
    def _parts(cls, value: str) -> str:
        if not value.isprintable() or value.isalnum() or value in " -_.":
            raise ValueError("one character that is in no rep code, like , ; or |")
        return value

    @field_validator("folder")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the folder from which the portal takes its files")
        return value.strip()
