"""A stand-in CRM on a loopback port, and a bare client that speaks its wire."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.crm import DEFAULT_ACCESS_KEY, CrmApp, crm_app
from sandbox.serve import running

ORDER = {
    "sostatus": "Created",
    "assigned_user_id": "19x1",
    "bill_street": "x",
    "ship_street": "x",
    "invoicestatus": "AutoCreated",
    "hdnTaxType": "individual",
}


_NO_TLS = ssl.create_default_context()  # made once: httpx would read all certificates for every client


def client(address: str, *, follow_redirects: bool = False) -> httpx.Client:
    return httpx.Client(base_url=address, trust_env=False, timeout=5, verify=_NO_TLS, follow_redirects=follow_redirects)


class Wire:
    """Calls as any client makes them; answers are the envelope, the raw response is `last`."""

    def __init__(self, http: httpx.Client, app: CrmApp) -> None:
        self.http, self.app = http, app
        self.session = self.login()

    def login(self, name: str = "admin") -> str:
        token = self.get("getchallenge", username=name)["result"]["token"]
        key = hashlib.md5((token + DEFAULT_ACCESS_KEY).encode(), usedforsecurity=False).hexdigest()
        return str(self.post("login", username=name, accessKey=key)["result"]["sessionName"])

    def get(self, operation: str, **params: str) -> Any:
        return self.raw_get(operation, **params).json()

    def post(self, operation: str, **params: str) -> Any:
        return self.raw_post(operation, **params).json()

    def raw_get(self, operation: str, **params: str) -> httpx.Response:
        session = {"sessionName": self.session} if hasattr(self, "session") else {}
        return self.http.get("/webservice.php", params={"operation": operation, **session, **params})

    def raw_post(self, operation: str, **params: str) -> httpx.Response:
        session = {"sessionName": self.session} if hasattr(self, "session") else {}
        return self.http.post("/webservice.php", data={"operation": operation, **session, **params})

    def create(self, module: str, **element: Any) -> Any:
        return self.post("create", elementType=module, element=json.dumps(element))

    def query(self, text: str) -> list[dict[str, str]]:
        answer = self.get("query", query=text)
        assert answer["success"], answer
        rows: list[dict[str, str]] = answer["result"]
        return rows

    def product(self, sku: str) -> str:
        return self.find("Products", "productcode", sku)[0]["id"]

    def find(self, module: str, column: str, value: str, *wanted: str) -> list[dict[str, str]]:
        columns = ",".join(("id", *wanted))
        return self.query(f"SELECT {columns} FROM {module} WHERE {column}='{value}';")  # noqa: S608 (no SQL)

    def order(self, account: str, *lines: dict[str, str], module: str = "SalesOrder", **more: Any) -> Any:
        return self.create(
            module,
            **ORDER,
            subject="o",
            account_id=account,
            productid=lines[0]["productid"],
            LineItems=list(lines),
            **more,
        )

    def faults(self, **dial: Any) -> None:
        self.http.post("/sandbox/faults", json=dial).raise_for_status()


@pytest.fixture
def wire() -> Iterator[Wire]:
    app = crm_app()
    with running(app) as address, client(address) as http:
        yield Wire(http, app)
