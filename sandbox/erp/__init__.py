"""A stand-in ERP: Tryton's JSON-RPC over tables in memory, and pages on which people change who serves a customer."""

from sandbox.erp.app import DATABASE, DEFAULT_PASSWORD, USERNAME, ErpApp, erp_app

__all__ = ["DATABASE", "DEFAULT_PASSWORD", "USERNAME", "ErpApp", "erp_app"]
