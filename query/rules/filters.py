"""Filters: made simpler, then pushed to the store as far as it can take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from query.backend import Capabilities, Pushdown, Verdict
from query.expr import FALSE, TRUE, And, Compare, Not, Or, Predicate, conjunction, conjuncts, leaves
from query.operands import narrow
from query.plan import Attempt, Filter, Merge, Plan, Project, Scan
from query.rules.rewrite import absorbing, picks


def simplify_filter(node: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Folds what is true or false whatever the row, and joins filters that follow one another."""
    if not isinstance(node, Filter):
        return node
    where, child = simple(node.where), node.input
    if isinstance(child, Filter):
        where, child = simple(And((child.where, where))), child.input
    return child if where == TRUE else Filter(child, where)


def simple(predicate: Predicate) -> Predicate:
    """An equivalent predicate without constants inside, nested `and`s and `or`s flattened."""
    match predicate:
        case Compare():
            return predicate
        case Not(item):
            inner = simple(item)
            if isinstance(inner, Not):
                return inner.item
            return FALSE if inner == TRUE else TRUE if inner == FALSE else Not(inner)
        case And(items):
            parts = [part for item in items for part in _members(simple(item), And)]
            return FALSE if FALSE in parts else _joined(And, parts)
        case Or(items):
            parts = [part for item in items for part in _members(simple(item), Or)]
            return TRUE if TRUE in parts else _joined(Or, parts)


def _members(predicate: Predicate, kind: type[And | Or]) -> tuple[Predicate, ...]:
    return predicate.items if isinstance(predicate, kind) else (predicate,)


def _joined(kind: type[And | Or], parts: list[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def push_filter(node: Plan, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Moves conjuncts into the scan. EXACT ones leave the filter, of INEXACT ones a superset is fetched and they stay.
    `checked` ones make an attempt, beside the way that leaves them here."""
    match node:
        case Filter(Scan(group=None, order=(), limit=None) as scan, where):
            return _push(scan, where, capabilities[scan.source.instance])
        case Filter(Merge() as merge, where):
            return _into_parts(merge, where, capabilities)
        case Filter(Project(_, outputs)) if picks(outputs):
            return _sunk(node, capabilities)
        case _:
            return node


def _sunk(node: Filter, capabilities: Mapping[str, Capabilities]) -> Plan:
    """The filter as near to the scan as it can come without passing a limit, a group or what is computed."""
    child = node.input
    if isinstance(child, Project) and picks(child.outputs):
        return Project(_sunk(Filter(child.input, node.where), capabilities), child.outputs)
    if isinstance(child, Filter):
        return _filtered(_sunk(Filter(child.input, node.where), capabilities), conjuncts(child.where))
    return push_filter(node, capabilities)


def _push(scan: Scan, where: Predicate, able: Capabilities) -> Plan:
    pushed, doubts = _absorbed(scan, where, able, doubtful=True)
    if not doubts:
        return pushed
    otherwise, _ = _absorbed(scan, where, able, doubtful=False)
    return Attempt(pushed, otherwise, "; ".join(dict.fromkeys(doubts)))


def _absorbed(scan: Scan, where: Predicate, able: Capabilities, doubtful: bool) -> tuple[Plan, list[str]]:
    """The scan with its share, below what remains; and what has to be proven, which is taken only if `doubtful`."""
    rest: list[Predicate] = []
    doubts: list[str] = []
    for conjunct in conjuncts(where):
        found = share(conjunct, scan, able)
        if found.doubts and not doubtful:
            rest.append(conjunct)
            continue
        doubts += found.doubts
        held = conjuncts(scan.where)
        if found.pushed is not None and found.pushed not in held:
            scan = absorbing(scan, where=conjunction((*held, found.pushed)))
        if not found.exact:
            rest.append(conjunct)
    remaining = conjunction(tuple(rest))
    return (scan if remaining is None else Filter(scan, remaining)), doubts


@dataclass(frozen=True, slots=True)
class Share:
    """The store's share of a predicate: what it takes (None: nothing), whether that is all of it, why not, and what of it
    only its answer can prove."""

    pushed: Predicate | None
    exact: bool
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def share(conjunct: Predicate, scan: Scan, able: Capabilities) -> Share:
    """What the store can take of a conjunct. What it takes inexactly is weaker than the conjunct, never stronger."""
    found = _share(conjunct, scan, able)
    if found.pushed is None or isinstance(found.pushed, Compare):
        return found
    verdict = able.composed(found.pushed, scan)
    if verdict.level is Pushdown.UNSUPPORTED:
        return Share(None, False, (*found.reasons, verdict.reason))
    exact = found.exact and verdict.level is Pushdown.EXACT
    doubts = (*found.doubts, *_doubts(verdict))
    return Share(found.pushed, exact, found.reasons if exact else (*found.reasons, verdict.reason), doubts)


def _doubts(verdict: Verdict) -> tuple[str, ...]:
    return (verdict.reason,) if verdict.checked else ()


def _share(predicate: Predicate, scan: Scan, able: Capabilities) -> Share:
    match predicate:
        case Compare():
            verdict = able.pushdown(predicate, scan)
            if verdict.level is Pushdown.UNSUPPORTED:
                return Share(None, False, (verdict.reason,))
            exact = verdict.level is Pushdown.EXACT
            return Share(predicate, exact, () if exact else (verdict.reason,), _doubts(verdict))
        case Not(item):
            inner = _share(item, scan, able)
            # The opposite of a superset would lose rows.
            if not inner.exact:
                return Share(None, False, inner.reasons)
            return Share(predicate, True, doubts=inner.doubts)
        case Or(items):
            inners = [_share(item, scan, able) for item in items]
            reasons = tuple(reason for inner in inners for reason in inner.reasons)
            pushed = tuple(inner.pushed for inner in inners if inner.pushed is not None)
            if len(pushed) < len(items):
                return Share(None, False, reasons)
            return Share(Or(pushed), all(inner.exact for inner in inners), reasons, _all_doubts(inners))
        case And(items):
            inners = [_share(item, scan, able) for item in items]
            reasons = tuple(reason for inner in inners for reason in inner.reasons)
            weaker = conjunction(tuple(inner.pushed for inner in inners if inner.pushed is not None))
            exact = all(inner.exact for inner in inners)
            return Share(TRUE if weaker is None and exact else weaker, exact, reasons, _all_doubts(inners))


def _all_doubts(inners: list[Share]) -> tuple[str, ...]:
    """Of what is pushed."""
    return tuple(doubt for inner in inners if inner.pushed is not None for doubt in inner.doubts)


def _into_parts(merge: Merge, where: Predicate, capabilities: Mapping[str, Capabilities]) -> Plan:
    """Filters each part by the conjuncts that mean the same in its types; the others stay above."""
    rest: list[Predicate] = []
    below: list[list[Predicate]] = [[] for _ in merge.inputs]
    for conjunct in conjuncts(where):
        own = [in_part(conjunct, part) if isinstance(part, Scan) else None for part in merge.inputs]
        for at, found in enumerate(own):
            if found is not None:
                below[at].append(found)
        if None in own:
            rest.append(conjunct)
    parts = [_filtered(part, tuple(found)) for part, found in zip(merge.inputs, below, strict=True)]
    merged = Merge(tuple(push_filter(part, capabilities) for part in parts), merge.table)
    return _filtered(merged, tuple(rest))


def in_part(predicate: Predicate, part: Scan) -> Predicate | None:
    """The predicate in the types of a part: times in its units. None where the whole widens what the part holds."""
    assert part.table is not None
    held = [(leaf.type, part.typed(leaf.field).type) for leaf in leaves(predicate)]
    if any(was is None or was.name is not own.name for was, own in held):
        return None
    return narrow(predicate, part.table.fields)


def _filtered(plan: Plan, conjuncts_: tuple[Predicate, ...]) -> Plan:
    where = conjunction(conjuncts_)
    return plan if where is None else Filter(plan, where)
