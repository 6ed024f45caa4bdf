"""The optimizer's rules: pure functions from plan to plan (query/optimizer.py lists them)."""
