"""Stand-in systems that speak the real wire, with a fault dial: for the demo, training, tests and benchmarks.

Nothing here imports Orderwire's connectors, mappings or ledger: a stand-in must be able to disagree with us.
"""
