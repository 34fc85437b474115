"""`python -m sft.pretrain`: the command reads its arguments in `__main__`, before `driver` imports torch."""
