"""Oracles: what should come out, worked out by code that shares nothing with the product."""
