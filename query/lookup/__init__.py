"""Lookup tables: small tables of the service's own, kept in its state, that any query can read or join as source `mix`."""

from query.lookup.backend import LookupBackend
from query.lookup.tables import LookupTable, LookupTables

__all__ = ["LookupBackend", "LookupTable", "LookupTables"]
