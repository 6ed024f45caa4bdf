"""The embedded store: both kinds on one DuckDB file in the data directory, with Elasticsearch's and InfluxDB's behaviour."""

from query.backend import Backend, InstanceConfig
from query.embedded.documents import EmbeddedDocuments
from query.embedded.series_v1 import EmbeddedV1Series


def open_backend(config: InstanceConfig) -> Backend:
    """Opens an instance; all of one data directory share its file. Raises ConfigError."""
    return EmbeddedDocuments(config) if config.kind == "documents" else EmbeddedV1Series(config)
