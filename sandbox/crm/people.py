"""Users, groups, challenges and sessions of the stand-in CRM."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.crm.errors import WsError, denied

Json = dict[str, Any]

CHALLENGE_SECONDS = 300
_NO_TOKEN = ("INVALID_AUTH_TOKEN", "Specified token is invalid or expired")

GROUPS = (
    ("20x2", "Team Selling", "Group Related to Sales"),
    ("20x3", "Marketing Group", "Group Related to Marketing Activities"),
    ("20x4", "Support Group", "Group Related to providing Support to Customers"),
)


@dataclass(slots=True)
class User:
    """A CRM user. `access_key` is the web service password."""

    id: str
    user_name: str
    first_name: str
    last_name: str
    admin: bool
    access_key: str

    @property
    def email(self) -> str:
        return f"{self.user_name}@example.test"


@dataclass(slots=True)
class People:
    """Everybody known here, and who is logged in. A user has one challenge at a time: a second kills the first."""

    access_key: str
    users: dict[str, User] = field(default_factory=dict)
    challenges: dict[str, tuple[str, float]] = field(default_factory=dict)
    sessions: dict[str, User] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for id, name, first, last, admin in (
            ("19x1", "admin", "Ada", "Administrator", True),
            ("19x5", "apiuser", "Svc", "Apiuser", False),
            ("19x6", "apieuro", "Eva", "Euro", False),
            ("19x7", "sara", "Sara", "Seller", False),
            ("19x8", "tom", "Tom", "Trader", False),
        ):
            self.users[name] = User(id, name, first, last, admin, self.access_key)
        self._ids = {user.id for user in self.users.values()} | {group[0] for group in GROUPS} | {"21x1"}

    def exists(self, id: str) -> bool:
        """Whether this is the id of a user, a group or the one currency."""
        return id in self._ids

    def challenge(self, name: str) -> Json:
        if not name:
            raise WsError("ACCESS_DENIED", "No username given")
        if name not in self.users:
            raise WsError("ACCESS_DENIED", "username does not exists")
        now = time.time()
        token = secrets.token_hex(7)[:13]
        self.challenges[name] = (token, now + CHALLENGE_SECONDS)
        return {"token": token, "serverTime": int(now), "expireTime": int(now) + CHALLENGE_SECONDS}

    def login(self, name: str, key: str) -> Json:
        """The wrong key and a superseded token look the same: INVALID_USER_CREDENTIALS."""
        token, expires = self.challenges.get(name, ("", 0.0))
        if expires <= time.time():
            raise WsError(*_NO_TOKEN)
        user = self.users[name]
        wanted = hashlib.md5((token + user.access_key).encode(), usedforsecurity=False).hexdigest()
        if not secrets.compare_digest(wanted.encode(), key.encode()):
            raise WsError("INVALID_USER_CREDENTIALS", "Invalid username or password")
        session = secrets.token_hex(11)[:21]
        self.sessions[session] = user
        return {
            "username": user.user_name,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "email": user.email,
            "time_zone": "UTC",
            "hour_format": "12" if user.admin else "24",
            "date_format": "yyyy-mm-dd",
            "is_admin": "on" if user.admin else "off",
            "call_duration": "5",
            "other_event_duration": "5",
            "sessionName": session,
            "userId": user.id,
            "version": "0.22",
            "vtigerVersion": "8.2.0",
        }

    def user_of(self, session: str) -> User:
        if not session:
            raise WsError("AUTHENTICATION_REQUIRED", "Authencation required")
        user = self.sessions.get(session)
        if user is None:
            raise WsError("INVALID_SESSIONID", "Session Identifier provided is Invalid")
        return user

    def extend(self, session: str) -> Json:
        user = self.user_of(session)
        return {"sessionName": session, "userId": user.id, "version": "0.22", "vtigerVersion": "8.2.0"}

    def record(self, asking: User, id: str, decimals: str) -> Json:
        """A user's own record; administrators may read everybody's."""
        found = next((user for user in self.users.values() if user.id == id), None)
        if found is None or not (asking.admin or asking.id == id):
            raise denied()
        return {
            **_record_template(),
            "user_name": found.user_name,
            "is_admin": "on" if found.admin else "off",
            "first_name": found.first_name,
            "last_name": found.last_name,
            "roleid": "H2" if found.admin else "H5",
            "is_owner": "1" if found.admin else "0",
            "email1": found.email,
            "no_of_currency_decimals": decimals,
            "userlabel": f"{found.first_name} {found.last_name}",
            "id": found.id,
        }


@cache
def _record_template() -> Json:
    """A user's record as a real install showed it."""
    template: Json = json.loads((Path(__file__).parent / "describes" / "user-record.json").read_text("utf-8"))
    return template
