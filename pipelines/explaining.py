"""Each mapped field explained: what is sent <- what was mapped <- by which rule <- from which place of the store's record <-
in which delivery. Read from the ledger alone; neither the store nor the CRM is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, cast

from connectors.roles import CrmProduct, OrderRefs
from connectors.roles.looking import Previewed, Readable
from core.errors import Held
from core.jsontext import dumps, loads
from core.keys import Key
from core.redaction import redact_all
from core.settings import FlowSettings
from ledger.jobs import JobView
from ledger.reps import OrderRep
from mapping import explain
from mapping.canonical import LineKind, SalesOrder
from mapping.cents import Cents, cents
from mapping.explain import Built, Explained, Rule, Source
from mapping.fields import Mapped
from pipelines import customers, orders, refunds
from pipelines.context import Context
from pipelines.run import Run

SENT: Final = "sent."
MAPPED: Final = "mapped."
RAW: Final = "raw."
BY_NAME: Final = "looked up by its number"
"""What stands for an id that the CRM gives when the order is carried."""
MOST: Final = 3
"""So many mapped fields are named beside a field that is sent."""


@dataclass(frozen=True, slots=True)
class State:
    """A state of the record as one event brought it."""

    event: int
    at: datetime
    via: str
    places: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value came from. `where`: raw (the store's record), refunds (the records of its refunds, by their ids), flow
    (configuration) or customer (the CRM's record, from the ledger). `since`: the event since which this value stands there, None
    where none is kept.
    """

    where: str
    path: str
    value: str
    since: State | None = None
    rows: int = 1
    """So many rows of a list are meant by the path."""


@dataclass(frozen=True, slots=True)
class Row:
    """One field. `note`: the rule in words, where somebody configured or fixed it. `mapped`: names of mapped fields that follow
    the same places.
    """

    name: str
    value: str
    rule: Rule
    places: Sequence[Place]
    note: str = ""
    mapped: Sequence[str] = ()

    @property
    def filled(self) -> bool:
        """Something is sent in it."""
        return self.value != ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A record field by field. `fault`: why it ends before, or while, it is mapped; `field`: at which field."""

    sent: Sequence[Row] = ()
    mapped: Sequence[Row] = ()
    unused: Sequence[Place] = ()
    fault: str = ""
    field: str = ""
    missing: Sequence[str] = ()
    """Names of fields that are sent and that nothing explains: none, or our mapping has a hole."""
    rep: OrderRep | None = None
    """Whose the order is and why, as it was decided when it was carried."""


def amounts(context: Context, key: Key, raw: bytes | None) -> Cents | None:
    """Every cent of the order as the store has it, less what went back where its flow takes that off; also of one that does
    not balance. None where it cannot be read.
    """
    value = parsed(raw)
    store = context.stores.get(key.connection)
    flow = next((one for one in context.flows.values() if one.source == key.connection), None)
    if value is None or store is None:
        return None
    try:
        return cents(refunds.shown(context, flow, store.order(key, raw or b"")))
    except Held as error:
        if error.error_class != "money" or not isinstance(store, Readable):
            return None
    try:
        return cents(refunds.shown(context, flow, store.read(value)))
    except Held:
        return None


def parsed(raw: bytes | None) -> dict[str, Any] | None:
    """The JSON object that is kept; None where it is none."""
    try:
        value = loads((raw or b"").removeprefix(b"\xef\xbb\xbf"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def explained(
    context: Context, job: JobView, raw: bytes | None, states: Sequence[State], *, hidden: bool = True
) -> Explanation:
    """Every field of the order that this job carries, as the record stands (`states`: oldest first). Personal data `hidden`."""
    key = Key.parse(job.key)
    value, store, crm = parsed(raw), context.stores.get(key.connection), context.crms.get(job.target)
    flow = context.flows.get(job.flow)
    if value is None or flow is None or store is None or not isinstance(store, Readable):
        return Explanation(fault="What is kept of this order cannot be explained. What to do: look at what came in.")
    value = explain.trimmed(value)
    maker = _Maker(store, crm if crm is not None and isinstance(crm, Previewed) else None, flow)
    try:
        order = store.read(value)
        rep = _rep_of(context, flow, key)
        maker.rep = None if rep is not None and (rep.by, rep.owner) == ("placed_by", order.placed_by) else rep
        inputs = {"raw": value, "flow": _of_flow(flow, order, rep), "customer": _customer(context, flow, order)}
        if told := {id: parsed(text) for id, text in refunds.texts(context, order).items()}:
            inputs["refunds"] = explain.trimmed(told)
        traced = explain.trace(inputs, maker.build)
    except Held as error:
        return Explanation(fault=error.message, field=error.field)
    show = _Shown(states, hidden=hidden, custom=_custom(store, value), fixed=maker.fixed())
    mapped = [one for one in traced.fields if one.name.startswith(MAPPED)]
    sent = [one for one in traced.fields if one.name.startswith(SENT)]
    return Explanation(
        sent=[show.row(one, mapped) for one in sent],
        mapped=[show.row(one) for one in mapped],
        unused=[show.place(source.path, [source]) for source in traced.unused if source.path.startswith(RAW)],
        fault=maker.fault,
        field=maker.field,
        missing=[one.name.removeprefix(SENT) for one in sent if not show.tells(one)],
        rep=rep,
    )


# -- made as the job makes it, without asking anybody ------------------------------------------------------------------


class _Maker:
    """From inputs to values: the mapping, the flow's words, and what would be sent."""

    def __init__(self, store: Readable, crm: Previewed | None, flow: FlowSettings) -> None:
        self._store = store
        self._crm = crm
        self._flow = flow
        self._begun = False
        self.rep: OrderRep | None = None
        """Whose the order is, unless the order says so itself; its owner stands among the flow's inputs then."""
        self.fault = ""
        self.field = ""
        """Why nothing would be sent of the inputs as they are."""

    def fixed(self) -> Mapping[str, str]:
        return self._crm.fixed() if self._crm is not None else {}

    def build(self, inputs: Mapping[str, Any]) -> Built:
        order = _rounded(self._store.read(inputs["raw"]))
        told = {id: dumps(text).encode() for id, text in inputs.get("refunds", {}).items()}
        order = refunds.less(self._flow, order, refunds.read(self._store, order, told)) if order.refunds else order
        values = _prefixed(MAPPED, _plain(order))
        if self._crm is None:
            return Built(values)
        first, self._begun = not self._begun, True
        try:
            payload = self._crm.order_payload(order, self._refs(order, inputs))
        except Held as error:
            if first:
                self.fault, self.field = error.message, error.field
            return Built(values, error.field or "(all)")
        return Built(values | _prefixed(SENT, payload))

    def _refs(self, order: SalesOrder, inputs: Mapping[str, Any]) -> OrderRefs:
        customer = inputs["customer"]
        # Whether the CRM has a product is known when it is asked: here each number is one that it has.
        skus = {line.sku for line in order.lines if line.kind is LineKind.PRODUCT and line.sku}
        found = {sku: CrmProduct(f"{sku}: {BY_NAME}", sku) for sku in sorted(skus)}
        looking = cast("Run", _Looking(_flow_with(self._flow, inputs["flow"]), _AnyOwner()))
        rep = replace(self.rep, owner=inputs["flow"]["owner"]) if self.rep is not None else None
        refs = orders.words_of(looking, order, found, rep)
        return orders.with_customer(refs, customers.CustomerRefs(customer["account"], customer["contact"]))


class _AnyOwner:
    """As much of a CRM as the words of an order need. An owner that it does not have is refused where it is sent."""

    def has_owner(self, _name: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Looking:
    """As much of a run as the words of an order need; nobody hears its warnings."""

    flow: FlowSettings
    crm: Any

    def warn(self, sentence: str, kind: str) -> None:
        """Said when the job ran."""


def _prefixed(prefix: str, value: Mapping[str, Any]) -> dict[str, object]:
    return {prefix + path: item for path, item in explain.leaves(value)}


def _plain(order: SalesOrder) -> dict[str, Any]:
    return {**order.model_dump(exclude={"customer": {"billing"}}), "custom": dict(order.custom), "key": str(order.key)}


def _rounded(order: SalesOrder) -> SalesOrder:
    """With what is left to its total as the shop's rounding: whether the shop's way of rounding explains it was decided when
    the order was carried.
    """
    left = order.total - order.lines_net - order.tax - order.shipping_net
    return order.model_copy(update={"rounding": left})


def _rep_of(context: Context, flow: FlowSettings, key: Key) -> OrderRep | None:
    """As it is kept. One who placed the order is told by the order itself."""
    if flow.owner_by == "fixed" or not any(one.target == flow.target for one in context.reps.values()):
        return None
    return next((one for one in context.ledger.reps.orders_rep(key.connection, key.id) if one.flow == flow.name), None)


def _of_flow(flow: FlowSettings, order: SalesOrder, rep: OrderRep | None) -> dict[str, Any]:
    """The flow's settings that an order's words come from."""
    found: dict[str, Any] = {"owner": rep.owner if rep is not None else flow.owner}
    if order.status.value in flow.statuses:
        found["statuses"] = {order.status.value: flow.statuses[order.status.value]}
    for name, code in (("delivery", order.delivery_method), ("payment", order.payment_method)):
        table = getattr(flow, name)
        found[name] = {"table": {code: table.table[code]}} if code in table.table else {"default": table.default}
    return found


def _flow_with(flow: FlowSettings, inputs: Mapping[str, Any]) -> FlowSettings:
    update: dict[str, Any] = {"owner": inputs["owner"], "statuses": {**flow.statuses, **inputs.get("statuses", {})}}
    for name in ("delivery", "payment"):
        table, changed = getattr(flow, name), inputs[name]
        own = {"default": changed.get("default", table.default), "table": {**table.table, **changed.get("table", {})}}
        update[name] = table.model_copy(update=own)
    return flow.model_copy(update=update)


def _customer(context: Context, flow: FlowSettings, order: SalesOrder) -> dict[str, str]:
    """Account and contact as the ledger knows them."""
    keys = customers.identity_keys(order.customer, flow.region)
    links = context.ledger.links.find(flow.target, customers.KIND, keys)
    known = [links[key].refs for key in keys if key in links]
    return {
        kind: next((refs[kind] for refs in known if refs.get(kind)), "found or made when the order is carried")
        for kind in ("account", "contact")
    }


def _custom(store: Readable, value: Mapping[str, Any]) -> dict[str, Mapped]:
    return {one.target: one for one in store.custom(value)}


# -- shown -------------------------------------------------------------------------------------------------------------


class _Shown:
    """Rows for people, personal data hidden."""

    def __init__(
        self, states: Sequence[State], *, hidden: bool, custom: Mapping[str, Mapped], fixed: Mapping[str, str]
    ) -> None:
        self._states = states
        self._hidden = hidden
        self._custom = custom
        self._fixed = fixed

    def tells(self, one: Explained) -> bool:
        """Whether a field that is sent is explained: by a place, a configured rule, or a word of the connector. What stays
        empty is filled by nothing.
        """
        return bool(explain.empty(one.value) or one.sources or self._note(one))

    def row(self, one: Explained, mapped: Sequence[Explained] = ()) -> Row:
        name = one.name.partition(".")[2]
        places = [self.place(path, found) for path, found in explain.gathered(one.sources)]
        note = self._note(one)
        custom = self._custom.get(name.removeprefix("custom."))
        rule: Rule = "default" if custom is not None and custom.rule == "default" else one.rule
        return Row(name, self.value(name, one.value), rule, places, note, _behind(one, mapped))

    def _note(self, one: Explained) -> str:
        name = one.name.partition(".")[2]
        rule = self._custom.get(name.removeprefix("custom."))
        if rule is not None:
            return f"{rule.path} > {rule.rule}" if rule.rule else rule.path
        return "" if one.sources else self._fixed.get(explain.pattern(name), "")

    def place(self, path: str, sources: Sequence[Source]) -> Place:
        where, _, rest = path.partition(".")
        first = sources[0]
        value = self.value(rest, first.value) if len(sources) == 1 else ""
        return Place(where, rest, value, self._since(sources) if where == "raw" else None, len(sources))

    def _since(self, sources: Sequence[Source]) -> State | None:
        """The event that brought the latest of these values."""
        found: State | None = None
        for source in sources:
            path, since = source.path.removeprefix(RAW), None
            for state in reversed(self._states):
                if path not in state.places or state.places[path] != source.value:
                    break
                since = state
            if since is not None and (found is None or since.event > found.event):
                found = since
        return found

    def value(self, path: str, value: object) -> str:
        if isinstance(value, datetime):
            return value.isoformat()
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if not self._hidden:
            return text
        shown = redact_all({path.rpartition(".")[2]: text})
        return str(next(iter(shown.values()))) if isinstance(shown, dict) else ""


def _behind(one: Explained, mapped: Sequence[Explained]) -> tuple[str, ...]:
    """The mapped fields between a place and what is sent: those of the same value before those that share a place."""
    places = {source.path for source in one.sources}
    near = [other for other in mapped if places & {source.path for source in other.sources}]
    same = [other for other in near if one.value not in (None, "") and explain.alike(other.value, one.value)]
    names = [other.name.removeprefix(MAPPED) for other in same or near]
    patterns = list(dict.fromkeys(names if len(names) <= MOST else [explain.pattern(name) for name in names]))
    return tuple(patterns[:MOST]) + (("…",) if len(patterns) > MOST else ())
