"""The fields of an index, an alias or a pattern, and their values."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from apps import field_values
from apps.es.resources import DocumentResource, namespace
from apps.field_values import ValuesQuery, lists_fields, lists_values
from query.names import index_or_pattern


@namespace.route("/<index>/fields")
@namespace.route("/index/<index>/fields", suffix="Full")
class Fields(DocumentResource):
    @lists_fields(namespace, "INDEX_UNKNOWN")
    async def get(self, request: Request, index: str) -> Any:
        return await field_values.fields(self.instance.services, self.instance.name, (index_or_pattern(index),))


@namespace.route("/<index>/fields/<field>/values")
@namespace.route("/index/<index>/fields/<field>/values", suffix="Full")
@namespace.param("field", "A field's name", example="host")
class Values(DocumentResource):
    @lists_values(namespace, "INDEX_UNKNOWN")
    async def get(self, request: Request, index: str, field: str, query: ValuesQuery) -> HTTPResponse:
        target = (index_or_pattern(index),)
        return await field_values.values(self.instance.services, self.instance.name, target, field, query)
