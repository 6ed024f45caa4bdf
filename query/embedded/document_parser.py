"""One document's JSON to the values that its index holds, with what dynamic mapping adds on the way (Elasticsearch's rules)."""

from __future__ import annotations

from typing import Any, NoReturn

from query.embedded.document_json import DocumentFault, dumps, flat, loads, loads_exactly, member_path
from query.embedded.dynamic_types import dynamic_type
from query.embedded.mapping import MAX_DEPTH, IndexMapping, Leaf, Node, ObjectNode, leaf_of
from query.embedded.values import Ignored, Malformed, NeedsText

METADATA = frozenset(
    {
        "_id", "_index", "_source", "_routing", "_field_names", "_ignored", "_seq_no", "_primary_term", "_version", "_type",
        "_tier", "_nested_path", "_ignored_source", "_data_stream_timestamp",
    }
)  # fmt: skip


class Parsed:
    """`values` by path (a list where there are several; JSON text of nested and flattened members), `ignored` paths, and
    `added`: new members of the mapping as (parent, name, node, kept), parents first, not yet attached."""

    __slots__ = ("added", "ignored", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.ignored: set[str] = set()
        self.added: list[tuple[ObjectNode, str, Node, bool]] = []


def parse_document(source: bytes, mapping: IndexMapping, identifier: str | None) -> Parsed:
    """Raises DocumentFault; the mapping is not changed."""
    value = loads(source)
    try:
        return _Parser(mapping, identifier).parse(value)
    except NeedsText:
        return _Parser(mapping, identifier).parse(loads_exactly(source))


def attach(parsed: Parsed, mapping: IndexMapping) -> list[Node]:
    """Adds what the document brought to the mapping; answers the new members that have values of their own."""
    for parent, name, node, _ in parsed.added:
        parent.members[name] = node
        if parent.raw == {"type": "object"}:
            del parent.raw["type"]
        spec = node.raw if isinstance(node, ObjectNode) else dict(node.params)
        parent.raw.setdefault("properties", {})[name] = spec
        mapping.count += 1 + (len(node.subs) if isinstance(node, Leaf) else 0)
    for _, _, node, _ in parsed.added:
        if isinstance(node, ObjectNode) and not node.raw:
            node.raw["type"] = "object"
    return [node for _, _, node, kept in parsed.added if kept]


class _Parser:
    def __init__(self, mapping: IndexMapping, identifier: str | None) -> None:
        self.mapping = mapping
        self.identifier = identifier
        self.parsed = Parsed()
        self.overlay: dict[tuple[int, str], Node] = {}
        self.count = mapping.count

    def parse(self, document: dict[str, Any]) -> Parsed:
        for name in METADATA.intersection(document):
            raise DocumentFault(
                "document_parsing_exception",
                f"failed to parse field [{name}]: Field [{name}] is a metadata field and cannot be added inside a document. "
                "Use the index API request parameters.",
            )
        self.object(document, self.mapping.root, True, 1)
        return self.parsed

    def object(self, value: dict[str, Any], node: ObjectNode, kept: bool, depth: int) -> None:
        """`kept` is false inside nested members, whose values stand in the JSON of the outermost."""
        members = node.members
        for name, item in value.items():
            child = members.get(name)
            if child is None or "." in name or not name.strip():
                self.unknown(name, item, node, kept, depth)
            elif isinstance(child, Leaf):
                self.leaf(item, child, kept)
            else:
                self.member(item, child, kept, depth)

    def unknown(self, name: str, item: Any, node: ObjectNode, kept: bool, depth: int) -> None:
        """A member that the mapping does not have under just this name."""
        parts = member_path(name)
        for part in parts[:-1]:
            child = self.find(node, part)
            if isinstance(child, Leaf):
                self.fail(child, item, "Cannot parse object as number")
            if child is None:
                if not self.introduces(node, part):
                    return
                child = self.add_object(node, part, kept)
            if child.is_json or not child.enabled:
                self.member({".".join(parts[parts.index(part) + 1 :]): item}, child, kept, depth)
                return
            node, depth = child, depth + 1
        last = parts[-1]
        for value in flat(item):
            child = self.find(node, last)
            if isinstance(child, ObjectNode):
                if (id(node), last) in self.overlay and not isinstance(value, dict) and value is not None:
                    raise DocumentFault(
                        "illegal_argument_exception",
                        f"can't merge a non object mapping [{child.path}] with an object mapping",
                    )
                self.member(value, child, kept, depth)
            elif child is not None and (id(node), last) not in self.overlay:
                self.leaf(value, child, kept)
            elif self.introduces(node, last) and value is not None:
                self.introduce(node, last, child, value, kept, depth)
        if item == [] and self.find(node, last) is None:
            self.introduces(node, last)

    def find(self, node: ObjectNode, name: str) -> Node | None:
        return node.members.get(name) or self.overlay.get((id(node), name))

    def introduces(self, node: ObjectNode, name: str) -> bool:
        """Whether a new member is mapped here; raises where the mapping is strict."""
        if node.dynamic == "strict":
            raise DocumentFault(
                "strict_dynamic_mapping_exception",
                f"mapping set to strict, dynamic introduction of [{name}] within [{node.path or '_doc'}] is not allowed",
            )
        return node.dynamic == "true"

    def introduce(self, node: ObjectNode, name: str, earlier: Leaf | None, value: Any, kept: bool, depth: int) -> None:
        """A value of a member that this document brings; all its values must be of one dynamic type."""
        if isinstance(value, dict):
            if earlier is not None:
                self.clash(earlier, "ObjectMapper")
            self.member(value, self.add_object(node, name, kept), kept, depth)
            return
        spec = dynamic_type(value, self.mapping)
        leaf = leaf_of(f"{node.path}.{name}" if node.path else name, spec)
        if earlier is None:
            self.grow(1 + len(leaf.subs))
            self.overlay[id(node), name] = leaf
            self.parsed.added.append((node, name, leaf, kept))
        elif earlier.kind != leaf.kind:
            self.clash(earlier, leaf.kind)
        else:
            leaf = earlier
        self.leaf(value, leaf, kept)

    def clash(self, earlier: Leaf, kind: str) -> NoReturn:
        raise DocumentFault(
            "illegal_argument_exception",
            f"mapper [{earlier.path}] cannot be changed from type [{earlier.kind}] to [{kind}]",
        )

    def grow(self, by: int) -> None:
        self.count += by
        if self.count > self.mapping.max_fields:
            raise DocumentFault(
                "document_parsing_exception",
                f"failed to parse: Limit of total fields [{self.mapping.max_fields}] has been exceeded while adding new "
                f"fields [{self.count - self.mapping.count}]",
            )

    def add_object(self, node: ObjectNode, name: str, kept: bool) -> ObjectNode:
        self.grow(1)
        child = ObjectNode(f"{node.path}.{name}" if node.path else name, "object", {}, node.dynamic)
        if child.path.count(".") >= MAX_DEPTH:
            raise DocumentFault("illegal_argument_exception", f"Limit of mapping depth [{MAX_DEPTH}] has been exceeded")
        self.overlay[id(node), name] = child
        self.parsed.added.append((node, name, child, kept))
        return child

    def member(self, item: Any, node: ObjectNode, kept: bool, depth: int) -> None:
        """A value of an object, nested or flattened member."""
        if item is None or not node.enabled:
            return
        if node.kind == "flattened":
            self.flattened(item, node, kept)
            return
        for value in flat(item):
            if isinstance(value, dict):
                self.object(value, node, kept and node.kind != "nested", depth + 1)
            elif value is not None:
                raise DocumentFault(
                    "document_parsing_exception",
                    f"object mapping for [{node.path}] tried to parse field [{node.path.rsplit('.', 1)[-1]}] as object, but "
                    "found a concrete value",
                )
        if node.kind == "nested" and kept and item != []:
            self.keep(node.path, dumps(item))

    def flattened(self, item: Any, node: ObjectNode, kept: bool) -> None:
        if any(not isinstance(value, dict) for value in flat(item) if value is not None):
            raise DocumentFault(
                "document_parsing_exception",
                f"failed to parse field [{node.path}] of type [flattened]: Failed to parse object: expecting token of type "
                "[START_OBJECT]",
            )
        if kept and item != []:
            self.keep(node.path, dumps(item))

    def leaf(self, item: Any, leaf: Leaf, kept: bool) -> None:
        if type(item) is list:
            for value in flat(item):
                self.scalar(value, leaf, kept)
        else:
            self.scalar(item, leaf, kept)

    def scalar(self, value: Any, leaf: Leaf, kept: bool) -> None:
        held = self.converted(value, leaf)
        if held is not None and kept:
            self.keep(leaf.path, held)
        for sub in leaf.subs:
            inner = self.converted(value, sub)
            if inner is not None and kept and not sub.shares:
                self.keep(sub.path, inner)

    def converted(self, value: Any, leaf: Leaf) -> Any:
        if value is None:
            return leaf.null_value
        try:
            held = leaf.convert(value)
        except Ignored:
            self.parsed.ignored.add(leaf.path)
            return None
        except Malformed as error:
            if leaf.ignore_malformed and not isinstance(value, dict):
                self.parsed.ignored.add(leaf.path)
                return None
            self.fail(leaf, value, str(error))
        return leaf.null_value if held is None else held

    def fail(self, leaf: Leaf, value: Any, why: str) -> NoReturn:
        preview = value if isinstance(value, str) else str(value)
        raise DocumentFault(
            "document_parsing_exception",
            f"failed to parse field [{leaf.path}] of type [{leaf.kind}] in document with id '{self.identifier or ''}'. "
            f"Preview of field's value: '{preview[:50]}': {why}",
        )

    def keep(self, path: str, value: Any) -> None:
        values = self.parsed.values
        held = values.get(path)
        if held is None:
            values[path] = value
        elif type(held) is list:
            held.append(value)
        else:
            values[path] = [held, value]
