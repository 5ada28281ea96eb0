"""What several resources show of the same things: a job in a list, an order's label, what was tried."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from ledger.jobs import JobView
from pipelines.desk import Action, actions_for
from web.api.common import Moment, Money, money, sentence

JobId = Annotated[int, Field(description="The job's number", examples=[4711])]
OrderNumber = Annotated[str, Field(description="What people call the order", examples=["1001"])]
RecordKey = Annotated[str, Field(description="connection/kind/id", examples=["shop/order/1001"])]
FlowName = Annotated[str, Field(description="A flow of the configuration", examples=["shop-orders"])]
ConnectionName = Annotated[str, Field(description="A connection of the configuration", examples=["crm"])]
State = Annotated[str, Field(description="waiting, running, settled, held or skipped", examples=["held"])]
ErrorClass = Annotated[str, Field(description='Groups what failed alike; "": nothing did', examples=["rate limit"])]
Message = Annotated[
    str,
    Field(
        description="For people; ends in what to do",
        examples=["The CRM is slow. What to do: nothing, it is tried again."],
    ),
]


class Job(BaseModel):
    """One order on its way through one flow."""

    id: JobId
    flow: FlowName
    target: ConnectionName
    record: RecordKey
    number: OrderNumber
    state: State
    queue: Annotated[str, Field(description="rush, live, sync or backfill", examples=["live"])]
    reason: Message
    error_class: ErrorClass
    field: Annotated[str, Field(description="The field at fault, where one is known", examples=["billing.email"])]
    failures: Annotated[int, Field(description="Failures of its own so far; eight hold it", examples=[0])]
    total: Annotated[Money | None, Field(description="null: not known yet")]
    due_at: Moment
    created_at: Moment
    updated_at: Moment
    correlation: Annotated[str, Field(description="Follows it from the delivery to the last call")]
    warnings: list[str]
    actions: Annotated[list[Action], Field(description="What can be done with it as it is now")]


def job_of(view: JobView) -> Job:
    """As it is sent."""
    return Job(
        id=view.id,
        flow=view.flow,
        target=view.target,
        record=view.key,
        number=view.number,
        state=view.state,
        queue=view.queue,
        reason=sentence(view.reason),
        error_class=view.error_class,
        field=view.field,
        failures=view.failures,
        total=money(view.amount, view.currency),
        due_at=view.due_at,
        created_at=view.created_at,
        updated_at=view.updated_at,
        correlation=view.correlation,
        warnings=[sentence(one) for one in view.warnings],
        actions=sorted(actions_for(view)),
    )
