"""The reference of the query language in plain Python, independent of the service: the oracle of the conformance suite."""

from unittest_.reference.compare import differences
from unittest_.reference.evaluate import answer
from unittest_.reference.tables import Answer, Column, FieldSpec, Refused, Table, source_key

__all__ = ["Answer", "Column", "FieldSpec", "Refused", "Table", "answer", "differences", "source_key"]
