"""The product in one process as a benchmark runs it: web, engine and ledger, wired as `orderwire up` wires them.

    python -m benchmarks.product <database url> <crm url> <threads>

It prints its address, serves until SIGTERM, and then prints its peak memory in KiB.
"""

from __future__ import annotations

import os
import resource
import sys

import uvicorn

from benchmarks.deliveries import HOOK_SECRET
from connectors import vtiger, woocommerce
from core import logs
from core.secrets import SecretRef
from core.settings import ConnectionSettings, FlowSettings
from ledger import Ledger, migrate
from pipelines.context import Context
from pipelines.engine import Engine
from pipelines.metrics import Metrics
from sandbox.serve import listening_socket
from web.app import create_app
from web.state import WebState

ACCESS_KEY = "benchmark-access-key"
OWNERS = {"sales": "20x2"}
CURRENCIES = {"EUR": "21x1", "JPY": "21x1"}


def crm_settings(url: str) -> vtiger.VtigerSettings:
    """The connection to the stand-in CRM; the bare script's payloads are made with the same."""
    os.environ["BENCHMARK_ACCESS_KEY"] = ACCESS_KEY
    return vtiger.VtigerSettings(
        name="crm",
        url=url,
        username="apiuser",
        access_key=SecretRef("env:BENCHMARK_ACCESS_KEY"),
        owners=OWNERS,
        currencies=CURRENCIES,  # type: ignore[arg-type]
        unknown_product="OW-UNKNOWN",
        fee_product="OW-FEE",
    )


def shop_settings() -> woocommerce.WooCommerceSettings:
    """A shop that only pushes: nothing listens at its address."""
    os.environ["BENCHMARK_HOOK_SECRET"] = HOOK_SECRET
    return woocommerce.WooCommerceSettings(
        name="shop",
        url="http://127.0.0.1:9",
        consumer_key=SecretRef("env:BENCHMARK_ACCESS_KEY"),
        consumer_secret=SecretRef("env:BENCHMARK_ACCESS_KEY"),
        webhook_secrets=(SecretRef("env:BENCHMARK_HOOK_SECRET"),),
    )


def flow() -> FlowSettings:
    """Orders from the shop to the CRM; nothing is polled."""
    return FlowSettings(name="orders", source="shop", target="crm", owner="sales", region="DE", poll=0)


def wire(database: str, crm: str) -> tuple[Context, Metrics]:
    """Everything of one installation."""
    metrics = Metrics()
    connections: dict[str, ConnectionSettings] = {"crm": crm_settings(crm), "shop": shop_settings()}
    context = Context(
        ledger=Ledger.open(database),
        stores={"shop": woocommerce.build(shop_settings(), observe=metrics.observe)},
        crms={"crm": vtiger.build(crm_settings(crm), observe=metrics.observe)},
        flows={"orders": flow()},
        connections=connections,
        counted=metrics.counted,
    )
    migrate.upgrade(context.ledger.db)
    return context, metrics


def main(database: str, crm: str, threads: int) -> None:
    """Serve until told to end."""
    logs.configure(as_json=True)
    context, metrics = wire(database, crm)
    engine = Engine(context, threads=threads)
    app = create_app(WebState(context, metrics, engine.nudge, trouble=engine.trouble))
    bound = listening_socket()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    if os.environ.get('SWI'): sys.setswitchinterval(float(os.environ['SWI']))
    engine.start()
    print(f"http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    server.run(sockets=[bound])
    engine.stop(within=5)
    context.ledger.close()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
