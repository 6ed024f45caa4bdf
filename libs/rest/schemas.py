"""JSON Schemas of models, as components of one document with references between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from libs.rest.operation import InlineSchema, Model, RawSchema

PREFIX = "#/components/schemas/"


class _Generate(GenerateJsonSchema):
    """pydantic's generator without a title on every field, which only repeats its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


class Schemas:
    """The schemas of all models of a document. Register every model first, then ask.

    Named models become components, recursive ones references to them; other types stand where they are used.
    """

    def __init__(
        self,
        uses: Iterable[tuple[Model, JsonSchemaMode]],
        queries: Iterable[type[BaseModel]] = (),
        components: Mapping[str, Any] | None = None,
    ) -> None:
        inputs: dict[tuple[int, JsonSchemaMode], tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = {}
        self.components: dict[str, Any] = dict(components or {})
        self._queries: dict[type[BaseModel], dict[str, Any]] = {}
        self._raw: dict[str, RawSchema] = {}
        # Keeps the types alive: they are told apart by identity.
        self._models: list[Model] = []
        for model, mode in uses:
            if isinstance(model, RawSchema):
                self._add_raw(model)
            elif (id(model), mode) not in inputs:
                self._models.append(model)
                inputs[id(model), mode] = (id(model), mode, TypeAdapter(model))
        found, definitions = TypeAdapter.json_schemas(
            inputs.values(), ref_template=PREFIX + "{model}", schema_generator=_Generate
        )
        self._found: Mapping[tuple[Any, JsonSchemaMode], Any] = found
        for name, schema in definitions.get("$defs", {}).items():
            self._add(name, schema)
        for query in queries:
            self._add_query(query)
        self.components = dict(sorted(self.components.items()))

    def of(self, model: Model, mode: JsonSchemaMode) -> dict[str, Any]:
        """The schema to stand where a registered model is used."""
        if isinstance(model, RawSchema):
            return {"$ref": PREFIX + model.name}
        if isinstance(model, InlineSchema):
            return dict(model.schema)
        return dict(self._found[id(model), mode])

    def parameters(self, query: type[BaseModel]) -> dict[str, Any]:
        """The object schema of a model of query parameters; its properties are the parameters."""
        return self._queries[query]

    def _add_query(self, query: type[BaseModel]) -> None:
        schema = query.model_json_schema(ref_template=PREFIX + "{model}", schema_generator=_Generate)
        for name, definition in schema.pop("$defs", {}).items():
            self._add(name, definition)
        self._queries[query] = schema

    def _add_raw(self, model: RawSchema) -> None:
        if self._raw.get(model.name) is model:
            return
        self._raw[model.name] = model
        schema = dict(model.schema)
        definitions = schema.pop("$defs", {})
        schema.pop("$schema", None)
        schema.pop("$id", None)
        self._add(model.name, _rewritten(schema, model.name))
        for name, definition in definitions.items():
            self._add(name, _rewritten(definition, model.name))

    def _add(self, name: str, schema: Any) -> None:
        if self.components.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are called {name!r}")


def _rewritten(schema: Any, name: str) -> Any:
    """A schema whose references to itself and its `$defs` point to components."""
    if isinstance(schema, Mapping):
        return {
            key: _target(value, name) if key == "$ref" and isinstance(value, str) else _rewritten(value, name)
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_rewritten(member, name) for member in schema]
    return schema


def _target(reference: str, name: str) -> str:
    if reference == "#":
        return PREFIX + name
    return reference.replace("#/$defs/", PREFIX, 1)
