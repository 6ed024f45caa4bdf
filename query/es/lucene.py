"""Pattern trees in Lucene's dialects: `regexp` (anchored; its dot matches any code point) and `wildcard` (`*`, `?`).

Both become automata that Lucene makes deterministic within a budget of work; `certain` says where that cannot fail.
"""

from __future__ import annotations

from query.pattern import ANY, Branch, CharSet, Group, Node, Pattern, Repeat

MOST_REGEXP = 1000
_ANYTHING = Repeat(ANY, 0, None)
# The work to make a substring automaton deterministic grows with the square of its length, at worst; Lucene allows 10,000.
_CERTAIN_LENGTH = 60


def wildcard(pattern: Pattern) -> str | None:
    """The pattern for `wildcard`, or None when it says more than single characters, any character and any text."""
    if len(pattern.branches) != 1:
        return None
    branch = pattern.branches[0]
    text = "".join(_wild(node) or "\0" for node in branch.items)
    if "\0" in text:
        return None
    return ("" if branch.start else "*") + text + ("" if branch.end else "*")


def _wild(node: Node) -> str | None:
    if node == _ANYTHING:
        return "*"
    if node == ANY:
        return "?"
    if isinstance(node, CharSet) and len(node.ranges) == 1 and node.ranges[0][0] == node.ranges[0][1]:
        char = chr(node.ranges[0][0])
        return None if char == "\0" else "\\" + char if char in "*?\\" else char
    return None


def plain(pattern: Pattern) -> str | None:
    """The one text that the pattern matches, whole; None when it matches others or is not anchored."""
    if len(pattern.branches) != 1:
        return None
    branch = pattern.branches[0]
    sets = [node.ranges[0] for node in branch.items if isinstance(node, CharSet) and len(node.ranges) == 1]
    if not (branch.start and branch.end) or len(sets) < len(branch.items) or any(low != high for low, high in sets):
        return None
    return "".join(chr(low) for low, _ in sets)


def literal(text: str) -> str:
    """A text that `wildcard` takes for itself."""
    return "".join("\\" + char if char in "*?\\" else char for char in text)


def regexp(pattern: Pattern) -> str | None:
    """The pattern for `regexp` with flags NONE, or None when Lucene has no form of it (or takes none of its length)."""
    if any(_empty(node) for branch in pattern.branches for node in branch.items):
        return None
    text = "|".join(_branch(branch) for branch in pattern.branches)
    return text if len(text.encode("utf-16-le")) <= 2 * MOST_REGEXP else None


def certain(pattern: Pattern) -> bool:
    """Whether Lucene surely takes it: one short run of characters, with any text at its ends alone."""
    if len(pattern.branches) != 1:
        return False
    items = pattern.branches[0].items
    inner = items[bool(items and items[0] == _ANYTHING) : len(items) - bool(len(items) > 1 and items[-1] == _ANYTHING)]
    return len(inner) <= _CERTAIN_LENGTH and all(isinstance(node, CharSet) and node != ANY for node in inner)


def _branch(branch: Branch) -> str:
    return ("" if branch.start else ".*") + ("".join(map(_node, branch.items)) or "()") + ("" if branch.end else ".*")


def _node(node: Node) -> str:
    match node:
        case CharSet(ranges):
            if node == ANY:
                return "."
            if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
                return _char(ranges[0][0])
            return "[" + "".join(_range(low, high) for low, high in ranges) + "]"
        case Group(alternatives):
            return "(" + "|".join("".join(map(_node, items)) or "()" for items in alternatives) + ")"
        case Repeat(item, low, high):
            inner = _node(item) if isinstance(item, CharSet | Group) else f"({_node(item)})"
            return inner + _times(low, high)


def _times(low: int, high: int | None) -> str:
    simple = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((low, high))
    if simple:
        return simple
    return f"{{{low},{'' if high is None else high}}}"


def _range(low: int, high: int) -> str:
    if low == high:
        return _char(low)
    # Lucene 10 (Elasticsearch 9) takes an escaped start of a range for three characters.
    if chr(low) in "\\[]^-":
        return _char(low) + _range(low + 1, high)
    return f"{chr(low)}-{_char(high)}"


def _char(code: int) -> str:
    char = chr(code)
    return "\\" + char if code < 0x80 and not char.isalnum() and char.isprintable() and char != " " else char


def _empty(node: Node) -> bool:
    match node:
        case CharSet(ranges):
            return not ranges
        case Group(alternatives):
            return any(_empty(item) for items in alternatives for item in items)
        case Repeat(item):
            return _empty(item)
