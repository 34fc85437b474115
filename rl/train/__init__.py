"""`python -m rl.train`: the command reads its arguments in `__main__`, before `driver` imports Ray, torch and vLLM."""
