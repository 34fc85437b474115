"""Deliberate mistakes in the code, one by one, and the tests that must notice them.

    python -m tests.mutations                       all of them: minutes
    python -m tests.mutations --only 5.9 --jobs 2   those of one pitfall, or whose name holds the text

`grpo.py` is the list: the 22 pitfalls of GRPO, each made at least once. `run.py` makes them, in copies of the tree.
"""
