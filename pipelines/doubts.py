"""An order whose customer may be several: nobody is chosen silently, a person is asked, and what they said is followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.errors import Held, OrderwireError
from ledger.reviews import Candidate, Review
from mapping.canonical import SalesOrder
from mapping.matching import Match
from pipelines.run import Run

KIND: Final = "customer"


def answer(run: Run, keys: Sequence[str]) -> Review | None:
    """What a person decided about this customer, by the strongest identity that was asked for."""
    found = run.ledger.reviews.decided(run.flow.target, KIND, keys)
    return next((found[key] for key in keys if key in found), None)


def account_of(run: Run, answer: Review) -> str:
    """The account that was chosen, if it is still there."""
    party = run.crm.get_party("account", answer.remote_id)
    if party is not None and not party.deleted:
        return answer.remote_id
    raise Held(
        f"It was decided that this customer is {answer.remote_id} in {run.flow.target}, which is not there any more. "
        f"What to do: `orderwire review undo {answer.id}`, decide again, then retry.",
        error_class="missing reference",
        field="customer",
    )


def several(run: Run, order: SalesOrder, keys: Sequence[str], match: Match) -> Held:
    """The question goes onto the review list, and its answer wakes this job."""
    if run.rehearsed:
        advice = "What to do: `orderwire link customers` asks which it is; or merge them there."
    else:
        _ask(run, order, keys, match)
        advice = "What to do: `orderwire review list` asks which it is; or merge them there, then retry."
    return Held(
        f"Several customers in {run.flow.target} fit ({match.reason}): {', '.join(match.ambiguous)}. {advice}",
        error_class="duplicate/conflict",
        field="customer",
    )


def _ask(run: Run, order: SalesOrder, keys: Sequence[str], match: Match) -> None:
    customer = order.customer
    told = (customer.display_name, customer.person.email, f"order {order.number}")
    names = list(dict.fromkeys(name.removeprefix("account/") for name in match.ambiguous))
    run.ledger.reviews.offer(
        run.flow.target,
        KIND,
        keys[0],
        ", ".join(dict.fromkeys(part for part in told if part)),
        [Candidate(name, label=_label(run, name), reasons=(match.reason,)) for name in names],
        facts={
            "flow": run.flow.name,
            "customer": str(customer.key),
            "keys": list(keys),
            "jobs": [run.claim.id],
        },
    )


def _label(run: Run, account_id: str) -> str:
    """What people know the account by. The question is asked even where the CRM does not tell."""
    try:
        party = run.crm.get_party("account", account_id)
    except OrderwireError:
        return account_id
    return ", ".join(part for part in (party.name, party.postal_code) if part) or account_id if party else account_id
