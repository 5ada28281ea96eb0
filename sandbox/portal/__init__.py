"""A stand-in for a shop's "My account" page: it shows its customer the card of their sales rep, as Orderwire answers it."""

from sandbox.portal.app import PORTAL, portal_app

__all__ = ["PORTAL", "portal_app"]
