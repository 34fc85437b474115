"""The model, and learning from gold."""

import logging

# It warns of each optional kernel that is not installed, once in every process that imports it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
