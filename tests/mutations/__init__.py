"""Deliberate mistakes in the code, one by one, and the tests that must notice them.

    python -m tests.mutations                       all of them: minutes
    python -m tests.mutations --only 5.9 --jobs 2   those of one pitfall, or whose name holds the text

`grpo.py` lists the 22 pitfalls of GRPO, each made at least once, `methods.py` those of other methods. `run.py` makes
them, in copies of the tree.
"""
