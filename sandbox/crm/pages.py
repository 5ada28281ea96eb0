"""The pages of the stand-in CRM: what arrived, as a person would look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.crm import answers, values
from sandbox.crm.faults import RATES
from sandbox.crm.people import GROUPS
from sandbox.crm.store import Row
from sandbox.pages import environment, from_elsewhere, render

if TYPE_CHECKING:
    from sandbox.crm.app import CrmApp

_TEMPLATES = environment("crm")
_LISTS: dict[str, tuple[str, str, dict[str, str]]] = {
    "leads": (
        "Leads",
        "Leads",
        {"lead_no": "No.", "lastname": "Last name", "firstname": "First name", "company": "Company", "email": "E-mail"},
    ),
    "accounts": (
        "Accounts",
        "Accounts",
        {"account_no": "No.", "accountname": "Name", "email1": "E-mail", "phone": "Phone", "bill_city": "City"},
    ),
    "contacts": (
        "Contacts",
        "Contacts",
        {"contact_no": "No.", "lastname": "Last name", "firstname": "First name", "email": "E-mail"}
        | {"phone": "Phone", "account_id": "Account"},
    ),
    "orders": (
        "SalesOrder",
        "Sales orders",
        {"salesorder_no": "No.", "subject": "Subject", "account_id": "Account", "sostatus": "Status"}
        | {"hdnGrandTotal": "Total"},
    ),
    "invoices": (
        "Invoice",
        "Invoices",
        {"invoice_no": "No.", "subject": "Subject", "account_id": "Account", "invoicestatus": "Status"}
        | {"hdnGrandTotal": "Total", "salesorder_id": "Order"},
    ),
    "products": (
        "Products",
        "Products",
        {"product_no": "No.", "productcode": "SKU", "productname": "Name", "unit_price": "Price"}
        | {"qtyinstock": "In stock", "reorderlevel": "Reorder at"},
    ),
}
"""Path -> module, title, columns with their headings."""
_STATUS = {"SalesOrder": "sostatus", "Invoice": "invoicestatus"}
_SOMEBODY = "sara"
"""Who changes a status on these pages: not the login of a program."""
_EVERYWHERE = {"assigned_user_id": "Owner", "modifiedtime": "Changed"}
_NUMERIC = frozenset({"hdnGrandTotal", "unit_price", "qtyinstock", "reorderlevel"})
_PAGE = 200


def routes(app: CrmApp) -> list[Route]:
    """The pages' addresses."""
    pages = Pages(app)
    return [
        Route("/", pages.home),
        Route("/faults", pages.faults),
        Route("/index.php", pages.linked),
        Route("/orders/{id}", pages.order),
        Route("/invoices/{id}", pages.order),
        Route("/orders/{id}/status", pages.set_status, methods=["POST"]),
        Route("/invoices/{id}/status", pages.set_status, methods=["POST"]),
        *(Route(f"/{path}", pages.listing, name=path) for path in _LISTS),
    ]


class Pages:
    """The handlers, over one stand-in's store."""

    def __init__(self, app: CrmApp) -> None:
        self.app = app
        self.owners = {group[0]: group[1] for group in GROUPS}
        for user in app.service.people.users.values():
            self.owners[user.id] = f"{user.first_name} {user.last_name}"

    async def home(self, request: Request) -> Response:
        store = self.app.service.store
        counts = [(path, title, len(store.by_module[module])) for path, (module, title, _) in _LISTS.items()]
        calls = self.app.calls.as_json(0)
        return render(_TEMPLATES, "home.html", counts=counts, calls=calls, active="/", refresh=3)

    async def listing(self, request: Request) -> Response:
        path = request.url.path.strip("/")
        module, title, own = _LISTS[path]
        columns = own | _EVERYWHERE
        store = self.app.service.store
        with store.lock:
            rows = list(store.alive(module))[::-1]
            shown = [(row, [self._cell(row, name) for name in columns]) for row in rows[:_PAGE]]
        return render(
            _TEMPLATES,
            "list.html",
            title=title,
            columns=[(heading, name in _NUMERIC) for name, heading in columns.items()],
            rows=[(row.id, row.module.inventory, cells) for row, cells in shown],
            total=len(rows),
            path=path,
            active=f"/{path}",
            refresh=2,
        )

    async def linked(self, request: Request) -> Response:
        """The address under which vtiger itself shows a record; there is a page of its own for orders and invoices only."""
        module, record = request.query_params.get("module", ""), request.query_params.get("record", "")
        path = next((path for path, one in _LISTS.items() if one[0] == module), "")
        if not path:
            return render(_TEMPLATES, "gone.html", status=404, active="/", refresh=0)
        kind = self.app.service.schema.modules[module]
        return RedirectResponse(f"/{path}/{kind.prefix}x{record}" if module in _STATUS else f"/{path}")

    async def order(self, request: Request) -> Response:
        store, people = self.app.service.store, self.app.service.people
        path = request.url.path.split("/")[1]
        with store.lock:
            row = store.find(request.path_params["id"])
            if row is None or row.module.name != _LISTS[path][0]:
                return render(_TEMPLATES, "gone.html", status=404, active=f"/{path}", refresh=0)
            record = answers.present(store, people, row)
            lines = answers.lines_out(store, row)
            charges = answers.charges_out(row)
            named = (*row.module.references, "assigned_user_id")
            names = {name: self._cell(row, name) for name in named if record[name]}
        fields = [(name, names.get(name, value)) for name, value in record.items() if value]
        total = values.fixed(record["hdnGrandTotal"], 2)
        context: dict[str, Any] = {
            "total": total,
            "row": row,
            "record": record,
            "lines": lines,
            "charges": charges,
            "fields": fields,
            "path": path,
            "words": self._words(path),
            "standing": record[_STATUS[row.module.name]],
        }
        return render(_TEMPLATES, "order.html", **context, active=f"/{path}", refresh=2)

    async def set_status(self, request: Request) -> Response:
        """As a person of the company does it in the CRM: by the whole form, under their own name."""
        path = request.url.path.split("/")[1]
        status = str((await request.form()).get("status", ""))
        if from_elsewhere(request):
            return PlainTextResponse("The form must come from this CRM's own page.", status_code=403)
        if status not in self._words(path):
            return PlainTextResponse(f"There is no status {status!r}.", status_code=422)
        service, id = self.app.service, request.path_params["id"]
        with service.store.lock:
            row = service.store.find(id)
            if row is None or row.module.name != _LISTS[path][0]:
                return render(_TEMPLATES, "gone.html", status=404, active=f"/{path}", refresh=0)
            service.records.revise(service.people.users[_SOMEBODY], {"id": id, _STATUS[row.module.name]: status})
        return RedirectResponse(f"/{path}/{id}", status_code=303)

    def _words(self, path: str) -> list[str]:
        """The statuses that the CRM's picklist offers."""
        module = self.app.service.schema.modules[_LISTS[path][0]]
        name = _STATUS[module.name]
        (kind,) = [item["type"] for item in module.describe["fields"] if item["name"] == name]
        return [str(value["value"]) for value in kind["picklistValues"]]

    async def faults(self, request: Request) -> Response:
        faults = self.app.faults
        return render(
            _TEMPLATES,
            "faults.html",
            rates=[
                (name, text, faults.dial.rates.get(name, 0), faults.struck.get(name, 0)) for name, text in RATES.items()
            ],
            dial=faults.dial,
            switches=self.app.service.switches.as_json(),
            active="/faults",
            refresh=0,
        )

    def _cell(self, row: Row, name: str) -> str:
        """A cell as a person reads it: names for ids, two decimals for money."""
        value = row.values[name]
        if value in self.owners or name == "assigned_user_id":
            return self.owners.get(value, value)
        if name in row.module.references:
            pointed = self.app.service.store.find(value)
            return (
                " ".join(part for key in pointed.module.label_fields if (part := pointed.values[key]))
                if pointed
                else ""
            )
        if name in _NUMERIC and "." in value:
            whole, _, decimals = value.partition(".")
            kept = decimals.rstrip("0")
            return f"{whole}.{kept.ljust(2, '0')}" if name != "qtyinstock" else (f"{whole}.{kept}" if kept else whole)
        return value
