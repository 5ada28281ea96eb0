"""Run a stand-in on its own: `python -m sandbox crm --port 8701`, or `store`, `erp`, `portal`, `mail`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import uvicorn

from sandbox.crm.app import DEFAULT_ACCESS_KEY, crm_app
from sandbox.serve import listening_socket


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted. Returns 2 where the command line is wrong."""
    options = _parser().parse_args(arguments)
    app: Any = {"crm": _crm, "store": _store, "erp": _erp, "portal": _portal, "mail": _mail}[options.room](options)
    bound = listening_socket(options.port)
    address = f"http://127.0.0.1:{bound.getsockname()[1]}"
    sys.stdout.write(f"{options.room} at {address}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[bound])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    rooms = parser.add_subparsers(dest="room", required=True)
    crm = rooms.add_parser("crm", help="a CRM that speaks vtiger's web service")
    crm.add_argument("--port", type=int, default=8701, help="0 takes a free one")
    crm.add_argument("--access-key-env", metavar="NAME", help="environment variable with the users' access key")
    crm.add_argument("--empty", action="store_true", help="without the demo catalogue")
    crm.add_argument("--no-custom-field", action="store_true", help="without the external-id field")
    store = rooms.add_parser("store", help="a web store with an order form")
    store.add_argument("--port", type=int, default=8702, help="0 takes a free one")
    store.add_argument("--hook", default="http://127.0.0.1:8700/hooks/form", help="where orders are sent, signed")
    store.add_argument("--secret-env", metavar="NAME", help="environment variable with the hook's secret")
    store.add_argument("--crm", default="http://127.0.0.1:8701", help="the CRM's pages, linked after an order")
    erp = rooms.add_parser("erp", help="an ERP that speaks Tryton's JSON-RPC")
    erp.add_argument("--port", type=int, default=8703, help="0 takes a free one")
    erp.add_argument("--password-env", metavar="NAME", help="environment variable with the password of its user")
    erp.add_argument("--empty", action="store_true", help="without the demo company")
    portal = rooms.add_parser("portal", help="a shop's page My account, which shows the card of the sales rep")
    portal.add_argument("--port", type=int, default=8704, help="0 takes a free one")
    portal.add_argument("--orderwire", default="http://127.0.0.1:8700", help="where the card comes from")
    portal.add_argument(
        "--secret-env", metavar="NAME", help="environment variable with the secret that signs its tokens"
    )
    mail = rooms.add_parser("mail", help="a mail server that delivers nothing and shows it all on a page")
    mail.add_argument("--port", type=int, default=8705, help="of the page; 0 takes a free one")
    mail.add_argument("--smtp-port", type=int, default=2525, help="of SMTP; 0 takes a free one, which the page names")
    return parser


def _crm(options: argparse.Namespace) -> Any:
    key = _from_environment(options.access_key_env) or DEFAULT_ACCESS_KEY
    return crm_app(access_key=key, seed=not options.empty, custom_field=not options.no_custom_field)


def _store(options: argparse.Namespace) -> Any:
    from sandbox.store.app import store_app  # noqa: PLC0415 (the CRM alone needs no HTTP client)

    return store_app(hook=options.hook, secret=_from_environment(options.secret_env), crm_url=options.crm)


def _erp(options: argparse.Namespace) -> Any:
    from sandbox.erp import DEFAULT_PASSWORD, erp_app  # noqa: PLC0415 (each room alone)

    return erp_app(password=_from_environment(options.password_env) or DEFAULT_PASSWORD, seed=not options.empty)


def _portal(options: argparse.Namespace) -> Any:
    from sandbox.portal import portal_app  # noqa: PLC0415 (each room alone)

    return portal_app(orderwire=options.orderwire, secret=_from_environment(options.secret_env))


def _mail(options: argparse.Namespace) -> Any:
    from sandbox.mail import mail_app  # noqa: PLC0415 (each room alone)

    return mail_app(smtp_port=options.smtp_port)


def _from_environment(name: str | None) -> str:
    if not name:
        return ""
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"The environment variable {name} is empty. What to do: set it to the secret.")
    return value


if __name__ == "__main__":
    sys.exit(main())
