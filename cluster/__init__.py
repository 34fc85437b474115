"""Where does it run? Processes, their supervision and their waits; the only folder that imports ray."""

import os

# Ray reads these when it is first imported.
os.environ.setdefault("RAY_DASHBOARD_STARTUP_TIMEOUT_S", "180")  # a busy machine needs more than Ray's own 60
_address = os.environ.get("RAY_ADDRESS", "").removeprefix("ray://")
if _address in ("", "local") or _address.startswith(("127.", "localhost")):
    # The name is history. With 0, a Ray started by this process listens on the loopback alone, and one on the loopback
    # is found there; a cluster elsewhere keeps its own addresses.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
