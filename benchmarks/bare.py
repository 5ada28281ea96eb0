"""The yardstick: a bare script that makes the same calls from threads with httpx and keeps nothing.

It knows no ledger, no retries, no comparison of answers; its payloads are built before the clock runs. It obeys the
same lane: one inventory write at a time.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import httpx

from benchmarks.deliveries import Delivery
from benchmarks.installation import ACCESS_KEY, CURRENCIES, OWNER, shop_settings
from connectors import woocommerce
from core.keys import Key
from mapping.canonical import Account, Contact, Lead, SalesOrder
from mapping.vtiger import (
    Item,
    PartyFields,
    Place,
    account_to_vtiger,
    contact_to_vtiger,
    lead_to_vtiger,
    order_to_vtiger,
)

FIELDS = PartyFields()
COLUMNS = "id,lastname,modifiedtime,firstname,account_id,email,phone,mobile,mailingcountry,cf_external_id"


@dataclass(slots=True)
class Work:
    """One order, ready to send."""

    external_id: str
    email: str
    order: dict[str, Any]
    lead: dict[str, Any]
    account: dict[str, Any]
    contact: dict[str, Any]


class Script:
    """One session, one pool of threads."""

    def __init__(self, url: str, threads: int) -> None:
        self._threads = threads
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._lane = threading.Lock()
        self._customers: dict[str, tuple[str, str]] = {}
        self._session = ""
        self._items: dict[str, Item] = {}

    def __enter__(self) -> Self:
        # Another user than the product's: a challenge asked for in between would make this one void.
        token = self._get("getchallenge", username="admin")["token"]
        key = hashlib.md5((token + ACCESS_KEY).encode(), usedforsecurity=False).hexdigest()
        self._session = self._post("login", username="admin", accessKey=key)["sessionName"]
        rows = self._get("query", query="SELECT id,productcode FROM Products;")
        self._items = {row["productcode"]: Item(row["id"], frozenset({"tax1"})) for row in rows}
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def prepare(self, deliveries: Sequence[Delivery]) -> list[Work]:
        """Everything that can be done before the clock runs."""
        shop = woocommerce.build(shop_settings())
        return [self._work(shop.order(Key("shop", "order", str(item.id)), item.body)) for item in deliveries]

    def run(self, works: Sequence[Work]) -> float:
        """Seconds for all of them."""
        waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
        for work in works:
            waiting.put(work)
        threads = [threading.Thread(target=self._drain, args=(waiting,)) for _ in range(self._threads)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def _work(self, order: SalesOrder) -> Work:
        external_id = f"bare-{order.number}"
        customer = order.customer
        person = customer.person
        place = Place(
            external_id=external_id,
            account="",
            contact="",
            owner=OWNER,
            currency=CURRENCIES[order.currency],
            subject=f"Order {order.number}",
            status="Approved",
            items=self._items,
            unknown=self._items["OW-UNKNOWN"],
            fee=self._items["OW-FEE"],
            notes=(f"Order {order.number}",),
        )
        # Its own customers: another name and e-mail address than the product's run of the same order.
        name, email = f"Bare {customer.company}", f"bare-{person.email}"
        person = person.model_copy(update={"email": email})
        lead = Lead(
            external_id=external_id, company=name, person=person, address=order.billing, owner="", source="Web Site"
        )
        account = Account(external_id=external_id, name=name, email=email, billing=order.billing, owner="")
        contact = Contact(external_id=external_id, person=person, address=order.billing, owner="")
        return Work(
            external_id,
            email,
            order_to_vtiger(order, place),
            lead_to_vtiger(lead, OWNER, "Web Site", FIELDS),
            account_to_vtiger(account, OWNER, FIELDS),
            contact_to_vtiger(contact, OWNER, "", FIELDS),
        )

    # -- the calls -------------------------------------------------------------------------------------------------

    def _drain(self, waiting: queue.SimpleQueue[Work]) -> None:
        while True:
            try:
                work = waiting.get_nowait()
            except queue.Empty:
                return
            self._one(work)

    def _one(self, work: Work) -> None:
        refs = self._customers.get(work.email)
        if refs is None:
            refs = self._customers[work.email] = self._new_customer(work)
        question = f"SELECT id,salesorder_no,cf_external_id FROM SalesOrder WHERE cf_external_id='{work.external_id}'"
        if self._get("query", query=f"{question} ORDER BY id;"):
            return
        work.order["account_id"], work.order["contact_id"] = refs
        with self._lane:
            self._post("create", elementType="SalesOrder", element=json.dumps(work.order))

    def _new_customer(self, work: Work) -> tuple[str, str]:
        """Look, lead, convert, read both back: as the product does it."""
        self._get("query", query=f"SELECT {COLUMNS} FROM Contacts WHERE email='{work.email}' ORDER BY id LIMIT 20;")
        lead = self._post("create", elementType="Leads", element=json.dumps(work.lead))
        element = {
            "leadId": lead["id"],
            "assignedTo": OWNER,
            "transferRelatedRecordsTo": "Contacts",
            "entities": {
                "Accounts": {"create": True, "name": "Accounts", **work.account},
                "Contacts": {"create": True, "name": "Contacts", **work.contact},
            },
        }
        made = self._post("convertlead", element=json.dumps(element))
        self._get("retrieve", id=made["Accounts"])
        self._get("retrieve", id=made["Contacts"])
        return made["Accounts"], made["Contacts"]

    def _get(self, operation: str, **params: str) -> Any:
        answer = self._http.get("/webservice.php", params={"operation": operation, **self._own(), **params})
        return _result(answer)

    def _post(self, operation: str, **params: str) -> Any:
        answer = self._http.post("/webservice.php", data={"operation": operation, **self._own(), **params})
        return _result(answer)

    def _own(self) -> dict[str, str]:
        return {"sessionName": self._session} if self._session else {}


def _result(answer: httpx.Response) -> Any:
    found = answer.json()
    if not found["success"]:
        raise RuntimeError(f"The stand-in refused: {found['error']}")
    return found["result"]
