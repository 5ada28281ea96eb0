"""How much: the CI scale, or the nightly one."""

import os

NIGHTLY = os.environ.get("ORDERWIRE_CHAOS", "") == "nightly"


def scale(ci: int, nightly: int) -> int:
    """The number for this run. ORDERWIRE_CHAOS=nightly asks for the larger one."""
    return nightly if NIGHTLY else ci
