"""An index's mapping as a tree over its own JSON, which keeps what was sent and grows by dynamic mapping.

What this store does not do is refused when the index is made (MAPPING_INVALID names it), never left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.errors import Issue, RequestError
from query.embedded.dates import UnknownFormat
from query.embedded.mapping_words import CHECKS, LEAF_PARAMS, OBJECT_PARAMS, ROOT_PARAMS, SQL_TYPES
from query.embedded.values import Converter, Ignored, Malformed, NeedsText, converter

Json = Any
MAX_FIELDS = 1000
MAX_DEPTH = 20


@dataclass(slots=True)
class Leaf:
    """A mapped field. `path` is its dotted name, `sql` its column's element type; `parent` names the text that a sub-field
    shares its column with (`column` is then the parent's)."""

    path: str
    kind: str
    params: Mapping[str, Json]
    convert: Converter
    subs: tuple[Leaf, ...] = ()
    shares: bool = False
    null_value: Any = None
    ignore_malformed: bool = False

    @property
    def sql(self) -> str:
        return SQL_TYPES[self.kind]


@dataclass(slots=True)
class ObjectNode:
    """An object, nested or flattened member (`kind`), or the root. `raw` is its own part of the mapping's JSON."""

    path: str
    kind: str
    raw: dict[str, Json]
    dynamic: str
    enabled: bool = True
    members: dict[str, Leaf | ObjectNode] = field(default_factory=dict)

    @property
    def is_json(self) -> bool:
        return self.kind in ("nested", "flattened")


Node = Leaf | ObjectNode


@dataclass(slots=True)
class IndexMapping:
    """`normalizers` are the names that mean lower-casing; `max_fields` is index.mapping.total_fields.limit."""

    root: ObjectNode
    normalizers: frozenset[str]
    max_fields: int
    count: int

    @property
    def date_detection(self) -> bool:
        return self.root.raw.get("date_detection", True) is not False

    @property
    def numeric_detection(self) -> bool:
        return self.root.raw.get("numeric_detection", False) is True


def read_mapping(mappings: dict[str, Json], normalizers: frozenset[str], max_fields: int = MAX_FIELDS) -> IndexMapping:
    """Reads and checks a mapping's JSON. Raises RequestError (MAPPING_INVALID) with every fault found."""
    reader = _Reader(normalizers)
    root = ObjectNode("", "object", mappings, _dynamic(mappings.get("dynamic", True)))
    reader.root(mappings)
    reader.properties(root, mappings, "/mappings", 1)
    count = reader.count
    if count > max_fields:
        reader.fault("/mappings", f"Limit of total fields [{max_fields}] has been exceeded")
    if reader.issues:
        raise RequestError.of(reader.issues)
    return IndexMapping(root, normalizers, max_fields, count)


def _dynamic(value: Json) -> str:
    return str(value).lower()


class _Reader:
    def __init__(self, normalizers: frozenset[str]) -> None:
        self.normalizers = normalizers
        self.issues: list[Issue] = []
        self.count = 0

    def fault(self, pointer: str, message: str, hint: str | None = None) -> None:
        self.issues.append(Issue("MAPPING_INVALID", message, pointer, hint))

    def root(self, raw: Mapping[str, Json]) -> None:
        for name, value in raw.items():
            self._check(ROOT_PARAMS.get(name), f"/mappings/{_escaped(name)}", name, value, "the mapping")
        self._check_dynamic(raw, "/mappings")

    def properties(self, node: ObjectNode, raw: Mapping[str, Json], pointer: str, depth: int) -> None:
        members = raw.get("properties", {})
        if not isinstance(members, dict):
            if members:
                self.fault(f"{pointer}/properties", "properties must be an object.")
            return
        if depth > MAX_DEPTH:
            self.fault(pointer, f"Limit of mapping depth [{MAX_DEPTH}] has been exceeded.")
            return
        for name, spec in members.items():
            self._member(node, name, spec, f"{pointer}/properties/{_escaped(name)}", depth)

    def _member(self, node: ObjectNode, name: str, spec: Json, pointer: str, depth: int) -> None:
        if not isinstance(spec, dict):
            self.fault(pointer, f"The mapping of [{name}] must be an object.")
            return
        if not name.strip() or any(not part.strip() for part in name.split(".")):
            self.fault(pointer, "A field's name cannot be empty or blank.")
            return
        parent = self._parent(node, name, pointer)
        if parent is None:
            return
        self.count += 1
        last = name.rsplit(".", 1)[-1]
        path = f"{parent.path}.{last}" if parent.path else last
        kind = spec.get("type", "object" if "properties" in spec or not spec.keys() - OBJECT_PARAMS.keys() else None)
        if not spec:
            kind = None
        if kind in ("object", "nested", "flattened"):
            child = self._object(path, kind, spec, parent, pointer)
            parent.members[last] = child
            if kind != "flattened" and child.enabled:
                self.properties(child, spec, pointer, depth + 1)
        else:
            leaf = self.leaf(path, kind, spec, pointer)
            if leaf is not None:
                parent.members[last] = leaf

    def _parent(self, node: ObjectNode, name: str, pointer: str) -> ObjectNode | None:
        """The object that a dotted name's last part belongs to, made on the way."""
        for part in name.split(".")[:-1]:
            path = f"{node.path}.{part}" if node.path else part
            child = node.members.get(part)
            if child is None:
                self.count += 1
                child = node.members[part] = ObjectNode(path, "object", {}, node.dynamic)
            if not isinstance(child, ObjectNode):
                self.fault(pointer, f"[{path}] is a field and cannot be an object too.")
                return None
            node = child
        return node

    def _object(self, path: str, kind: str, spec: dict[str, Json], parent: ObjectNode, pointer: str) -> ObjectNode:
        allowed = LEAF_PARAMS["flattened"] if kind == "flattened" else OBJECT_PARAMS
        for param, value in spec.items():
            self._check(allowed.get(param), f"{pointer}/{_escaped(param)}", param, value, f"the {kind} field [{path}]")
        self._check_dynamic(spec, pointer)
        dynamic = _dynamic(spec["dynamic"]) if "dynamic" in spec else parent.dynamic
        return ObjectNode(path, kind, spec, dynamic, spec.get("enabled", True) is not False)

    def leaf(self, path: str, kind: Json, spec: Mapping[str, Json], pointer: str, nested: bool = False) -> Leaf | None:
        """A field of a leaf type; `nested`: it is a sub-field."""
        if kind is None:
            self.fault(pointer, f"No type specified for field [{path}].")
            return None
        if not isinstance(kind, str) or kind not in LEAF_PARAMS or kind == "flattened":
            known = ", ".join(sorted({*SQL_TYPES, "object", "nested", "flattened"}))
            self.fault(
                f"{pointer}/type", f"The type [{kind}] of field [{path}] is not done by this store.", f"one of: {known}"
            )
            return None
        before = len(self.issues)
        for param, value in spec.items():
            self._check(
                LEAF_PARAMS[kind].get(param), f"{pointer}/{_escaped(param)}", param, value, f"the {kind} field [{path}]"
            )
        if isinstance(spec.get("normalizer"), str) and spec["normalizer"] not in self.normalizers:
            self.fault(
                f"{pointer}/normalizer", f"The normalizer [{spec['normalizer']}] of field [{path}] is not known."
            )
        if len(self.issues) > before:
            return None
        try:
            convert = converter(kind, spec)
        except UnknownFormat as error:
            self.fault(f"{pointer}/format", f"The date format [{error}] of field [{path}] is not done by this store.")
            return None
        null = spec.get("null_value")
        leaf = Leaf(path, kind, spec, convert, (), False, None, spec.get("ignore_malformed", False) is True)
        if null is not None:
            try:
                leaf.null_value = convert(null)
            except (Malformed, NeedsText, Ignored):
                self.fault(f"{pointer}/null_value", f"The null_value of field [{path}] does not fit its type.")
        if not nested:
            leaf.subs = tuple(self._subs(leaf, spec.get("fields", {}), pointer))
        return leaf

    def _subs(self, parent: Leaf, fields: Json, pointer: str) -> Iterator[Leaf]:
        for name, spec in fields.items():
            at = f"{pointer}/fields/{_escaped(name)}"
            if not isinstance(spec, dict) or "fields" in spec or "properties" in spec:
                self.fault(at, f"The sub-field [{parent.path}.{name}] must be a plain field.")
                continue
            self.count += 1
            leaf = self.leaf(f"{parent.path}.{name}", spec.get("type"), spec, at, nested=True)
            if leaf is not None:
                plain = "normalizer" not in spec and leaf.null_value is None
                leaf.shares = parent.kind == "text" and leaf.kind == "keyword" and plain
                yield leaf

    def _check(self, check: Callable[[Json], bool] | None, pointer: str, name: str, value: Json, where: str) -> None:
        if check is None:
            self.fault(pointer, f"[{name}] on {where} is not done by this store.", "leave it away")
        elif not check(value):
            self.fault(pointer, f"[{name}] on {where} cannot be {value!r} in this store.")

    def _check_dynamic(self, raw: Mapping[str, Json], pointer: str) -> None:
        if "dynamic" in raw and _dynamic(raw["dynamic"]) not in CHECKS["dynamic"]:
            self.fault(
                f"{pointer}/dynamic", f"[dynamic] cannot be {raw['dynamic']!r} in this store.", "true, false or strict"
            )


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def leaf_of(path: str, spec: dict[str, Json]) -> Leaf:
    """A leaf of a mapping that dynamic mapping made."""
    reader = _Reader(frozenset())
    leaf = reader.leaf(path, spec["type"], spec, "")
    assert leaf is not None
    assert not reader.issues
    return leaf


def walk(node: ObjectNode) -> Iterator[Leaf | ObjectNode]:
    """Every member that has values of its own: leaves (with their sub-fields), nested and flattened ones."""
    for member in node.members.values():
        if isinstance(member, Leaf) or member.is_json:
            yield member
        elif member.enabled:
            yield from walk(member)
