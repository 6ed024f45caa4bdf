"""Which resources an instance gets, made from its kind, not copied."""

from __future__ import annotations

from typing import cast

import apps.es.by_filter
import apps.es.document
import apps.es.fields
import apps.es.metadata
import apps.es.query
import apps.es.search
import apps.influx.by_filter
import apps.influx.fields
import apps.influx.query
import apps.influx.v1
import apps.mix.batch
import apps.mix.catalog
from apps.es.resources import namespace as documents
from apps.influx.resources import namespace as series
from apps.instance import DocumentInstance, SeriesInstance
from apps.mix.jobs import namespace as jobs
from apps.mix.lookups import Lookups
from apps.mix.lookups import namespace as lookup_tables
from apps.mix.resources import namespace as mix
from apps.mix.saved import Saved
from apps.mix.saved import namespace as saved_queries
from apps.mix.saved_queries import SavedQueries
from apps.pipeline import Services
from libs.rest import Api
from query.backend import Backend, SeriesStore
from query.document_store import DocumentStore

# Imported for what they declare on their namespaces.
_DECLARED = (
    apps.es.by_filter,
    apps.es.document,
    apps.es.fields,
    apps.es.metadata,
    apps.es.query,
    apps.es.search,
    apps.influx.by_filter,
    apps.influx.fields,
    apps.influx.query,
    apps.influx.v1,
    apps.mix.batch,
    apps.mix.catalog,
)


def add_routes(api: Api, services: Services, lookups: Lookups, saved: SavedQueries, ingest_bytes: int) -> None:
    """Puts the routes of every open instance, and those over all of them, on the api."""
    for backend in services.factory.instances.values():
        add_instance(api, backend, services, ingest_bytes)
    api.add(mix, args=(services,))
    api.add(lookup_tables, args=(lookups,))
    api.add(saved_queries, args=(Saved(services, saved),))
    if services.jobs is not None:
        api.add(jobs, args=(services, services.jobs))


def add_instance(api: Api, backend: Backend, services: Services, ingest_bytes: int) -> None:
    if backend.kind == "documents":
        document_store = cast(DocumentStore, backend)
        instance = DocumentInstance(backend.name, document_store, services, ingest_bytes)
        api.add(documents, instance=backend.name, args=(instance,))
    else:
        series_store = cast(SeriesStore, backend)
        api.add(
            series, instance=backend.name, args=(SeriesInstance(backend.name, series_store, services, ingest_bytes),)
        )
