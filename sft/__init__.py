import logging
import os

# Threads that spin while they wait cost more than they save on small models, and up to ten times when a core is shared.
# Read when torch loads, so it is set before any module of this package can import it; actors inherit it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# At import it warns of an optional kernel that is not installed.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
