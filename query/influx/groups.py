"""Groups that InfluxDB can be asked for."""

from __future__ import annotations

from query.backend import Pushdown, Verdict
from query.plan import Grouping, Scan


def grouping_verdict(group: Grouping, scan: Scan) -> Verdict:
    return Verdict(Pushdown.UNSUPPORTED, "groups of InfluxDB are made here")
