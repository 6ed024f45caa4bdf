"""The steps that run: `build(plan, queries, engine)` answers an `Operator`, whose `execute(context)` yields batches."""

from operator_.base import Operator
from operator_.build import build
from operator_.engine import Engine
from operator_.residual import Residual

__all__ = ["Engine", "Operator", "Residual", "build"]
