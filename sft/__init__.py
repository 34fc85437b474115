import logging
import os

# All three are read when torch loads, so they are set before any module of this package can import it.
# Threads that spin while they wait cost more than they save on small models, and up to ten times when a core is shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# oneDNN and torch each keep compiled kernels of the last 1,024 shapes that they met, and with prompts of all lengths
# they meet new ones for long: 600 MiB in an engine, for no measurable speed.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
os.environ.setdefault("LRU_CACHE_CAPACITY", "64")
# At import it warns of an optional kernel that is not installed.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
