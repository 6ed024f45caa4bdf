"""The tags and fields of a measurement, and their values."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request

from apps import field_values
from apps.field_values import ValuesQuery, lists_fields, lists_values
from apps.influx.resources import SeriesResource, namespace


@namespace.route("/<db>/<measurement>/fields")
@namespace.route("/db/<db>/<measurement>/fields", suffix="Full")
class Fields(SeriesResource):
    @lists_fields(namespace, "MEASUREMENT_UNKNOWN")
    async def get(self, request: Request, db: str, measurement: str) -> Any:
        return await field_values.fields(self.instance.services, self.instance.name, (db, measurement))


@namespace.route("/<db>/<measurement>/fields/<field>/values")
@namespace.route("/db/<db>/<measurement>/fields/<field>/values", suffix="Full")
@namespace.param("field", "A tag's or a field's name", example="host")
class Values(SeriesResource):
    @lists_values(namespace, "MEASUREMENT_UNKNOWN")
    async def get(self, request: Request, db: str, measurement: str, field: str, query: ValuesQuery) -> HTTPResponse:
        services, name = self.instance.services, self.instance.name
        return await field_values.values(services, name, (db, measurement), field, query)
