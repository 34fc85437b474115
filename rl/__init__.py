import sft  # noqa: F401  how threads wait is set there, before any module of this package loads torch
