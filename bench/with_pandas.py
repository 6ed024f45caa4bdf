"""The question by pandas: both sides fetched as the script fetches them, grouped and merged as data frames."""

from __future__ import annotations

import pandas as pd  # type: ignore[import-untyped]

from bench.fetch_and_merge import Stores
from bench.fleet import MINUTE


def errors_beside_cpu(stores: Stores, start: int, end: int) -> pd.DataFrame:
    """Errors per host and minute, with the mean CPU of that host and minute."""
    logs = pd.DataFrame(stores.documents(start, end, {"range": {"status": {"gte": 500}}}))
    points = pd.DataFrame(stores.points(start, end), columns=["time", "host", "usage"])
    logs["t"] = logs["@timestamp"] // 1000 // MINUTE * MINUTE
    points["t"] = points["time"] // MINUTE * MINUTE
    errors = logs.groupby(["host", "t"]).size().rename("errors").reset_index()
    cpu = points.groupby(["host", "t"])["usage"].mean().rename("cpu").reset_index()
    return errors.merge(cpu, on=["host", "t"], how="left").sort_values(["host", "t"])
