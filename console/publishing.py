"""`reps publish`: a portal is told everything anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.noting import note
from console.opening import DEFAULT, File, load, open_context
from console.output import say
from core.errors import ConfigurationProblem

if TYPE_CHECKING:
    from core.settings import RepFlowSettings, Settings


def publish(
    portal: Annotated[str, typer.Argument(help="A portal that a flow of sales reps tells.", metavar="PORTAL")],
    *,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Also where a full file would take many customers out of the portal.")
    ] = False,
    file: File = DEFAULT,
) -> None:
    """Tell a portal everything anew: a pair of FULL files, or every card once more. Jobs do it; what changes goes on."""
    from pipelines import publishing

    settings = load(file)
    flow = _flow(settings, portal)
    with open_context(settings) as context:
        publishing.publish_all(context, flow, portal, confirmed=confirm)
        note(context.ledger, "portal.publish", portal, flow=flow.name, confirmed="yes" if confirm else "")
    say(f"{portal} is told everything anew. `orderwire jobs list --flow {flow.name}` shows how far it is.")


def _flow(settings: Settings, portal: str) -> RepFlowSettings:
    for flow in settings.reps:
        if portal in flow.portals:
            return flow
    told = sorted(name for flow in settings.reps for name in flow.portals)
    names = f"name one of {', '.join(told)}" if told else "name one in `portals` of a flow of sales reps"
    raise ConfigurationProblem(f"No flow tells a portal {portal!r}. What to do: {names}.")
