"""Names of a question looked up in its table: known, unambiguous, of one type; and what has been used so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from libs.issues import Issues
from libs.result import TypeName
from query.catalog import Field, Table
from query.expr import FALSE, And, Arithmetic, Compare, Not, Or, Predicate, names
from query.operands import bind_leaf

Lookup = Callable[[str, str], Field | None]


class SourceFields:
    """The fields of a table, and those of them that a question uses, in the order of their first use."""

    __slots__ = ("issues", "table", "used")

    def __init__(self, table: Table, issues: Issues) -> None:
        self.table = table
        self.issues = issues
        self.used: dict[str, Field] = {}

    def use(self, name: str, at: str) -> Field | None:
        """The field, now used; None when it cannot be, which is in the issues then. `at` points to the name."""
        found = self.used.get(name)
        if found is not None:
            return found
        table = self.table
        if name in table.ambiguous:
            self.issues.add(
                "FIELD_AMBIGUOUS", f"{name!r} is a tag and a field at once.", at, "rename one of them at the writer"
            )
            return None
        if name in table.conflicts:
            kinds = ", ".join(table.conflicts[name])
            self.issues.add(
                "FIELD_TYPE_CONFLICT",
                f"{name!r} has types in the parts of the source that cannot be compared: {kinds}.",
                at,
                "query the parts apart",
            )
            return None
        found = table.fields.get(name)
        if found is None:
            self.issues.add("FIELD_UNKNOWN", f"The source has no field {_shown(name)}.", at, self.guess(name))
            return None
        self.used[name] = found
        return found

    def guess(self, name: str) -> str:
        return self.issues.nearest(name, self.table.fields) or "the source has no fields"


class OutputNames:
    """The outputs of a grouped question: what `having`, `order_by` and later expressions may name."""

    __slots__ = ("issues", "known")

    def __init__(self, issues: Issues) -> None:
        self.issues = issues
        self.known: dict[str, Field] = {}

    def use(self, name: str, at: str) -> Field | None:
        found = self.known.get(name)
        if found is None:
            hint = self.issues.nearest(name, self.known) or "select it before this"
            self.issues.add("FIELD_UNKNOWN", f"There is no output {_shown(name)} before this.", at, hint)
        return found

    def add(self, field: Field, at: str) -> bool:
        """Whether the name was free; a clash is in the issues."""
        if field.name in self.known:
            clash(field.name, at, self.issues)
            return False
        self.known[field.name] = field
        return True


def clash(name: str, at: str, issues: Issues) -> None:
    issues.add("NAME_CLASH", f"Two outputs are called {_shown(name)}.", at, "give one of them another name with `as`")


def bind_predicate(predicate: Predicate, lookup: Lookup, now_ns: int, issues: Issues) -> Predicate:
    """The tree with every leaf bound. The parser bounds its depth."""
    if isinstance(predicate, Compare):
        found = lookup(predicate.field, predicate.at + "/field")
        return FALSE if found is None else bind_leaf(predicate, found, now_ns, issues)
    if isinstance(predicate, And):
        return And(tuple([bind_predicate(item, lookup, now_ns, issues) for item in predicate.items]))
    if isinstance(predicate, Or):
        return Or(tuple([bind_predicate(item, lookup, now_ns, issues) for item in predicate.items]))
    return Not(bind_predicate(predicate.item, lookup, now_ns, issues))


def check_expression(
    expression: Arithmetic, at: str, computed: Mapping[str, Field], lookup: Lookup, issues: Issues
) -> None:
    """Every name an expression reads must be a single number; `computed` outputs win over what `lookup` knows."""
    for name in dict.fromkeys(names(expression)):
        found = computed.get(name) or lookup(name, at)
        if found is None:
            continue
        if found.type.multi or not found.type.numeric:
            holds = f"several {found.type.name} values" if found.type.multi else found.type.name
            issues.add(
                "TYPE_MISMATCH",
                f"The expression reads {_shown(name)}, which holds {holds}.",
                at,
                "expressions take single numbers",
            )


def check_sortable(field: Field, at: str, issues: Issues) -> bool:
    """Whether rows can be ordered and grouped by the field."""
    if field.type.name is TypeName.JSON:
        issues.add("TYPE_MISMATCH", f"{field.name!r} holds json, which has no order.", at, "name a member of it")
        return False
    return check_exact(field, at, issues)


def check_exact(field: Field, at: str, issues: Issues) -> bool:
    """Whether the field has an exact form to sort, group and aggregate by."""
    if field.exact:
        return True
    issues.add(
        "FIELD_NOT_FILTERABLE",
        f"{field.name!r} is analysed text without a keyword sub-field, so it has no exact form.",
        at,
        "map a keyword sub-field",
    )
    return False


def columns_of(outputs: Iterable[str], fields: SourceFields) -> tuple[str, ...]:
    """Every used field: those of the outputs first, in their order."""
    return tuple(dict.fromkeys([*(name for name in outputs if name in fields.used), *fields.used]))


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:97] + "...")
