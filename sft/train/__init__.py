"""`python -m sft.train`: the command reads its arguments in `__main__`, before `driver` imports torch and TRL."""
