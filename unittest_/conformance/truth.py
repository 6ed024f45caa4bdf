"""Whether a store's capabilities are the truth, part by part and both ways.

What is declared EXACT or INEXACT is compiled, shows in the native request, is planned into the scan, and the answer is the
reference's. What is declared UNSUPPORTED makes `compile` raise, stays behind, and the answer is right all the same. A `checked`
part is an Attempt whose two ways both give the reference's answer (the store's own may find that it proves nothing). An
`approximate` part says so in its column, and is not pushed for whoever asks for `options.exact`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.pipeline import Prepared, Services, prepare, pull
from libs.context import Limits, RequestContext
from libs.errors import HostMonitorError
from middlewares.format import page_response
from operator_.build import build
from operator_.engine import Engine
from parser.json_body import parse_body
from query.backend import Backend, NotProven, Ordering, Pushdown, Query, UnsupportedPart, Verdict
from query.bind import bind
from query.catalog import SourceRef, Table
from query.expr import Compare, Predicate, conjuncts, leaves
from query.factory import QueryFactory
from query.plan import Aggregate, Attempt, Filter, Grouping, Plan, Scan
from unittest_.conformance.case import Body
from unittest_.conformance.data import NOW, DataSet
from unittest_.conformance.stores import INSTANCE
from unittest_.conformance.truth_plans import Part, holds, left_behind, nodes, ordering, ways
from unittest_.reference import Answer, Refused, answer, differences
from unittest_.reference.filters import compile_filter


@dataclass
class Witness:
    """A store under question, over one data set. A test that lies puts another `backend` here."""

    backend: Backend
    engine: Engine
    data: DataSet
    table: Table
    proven: int = 0
    _bare: dict[Scan, str] = field(default_factory=dict)

    async def faults(self, body: Body, *, plans: bool = True, answers: bool = True) -> list[str]:
        """What is untrue about the part that the body asks for; `plans` looks at the walk's plan, `answers` asks the store."""
        found: list[str] = []
        ask = bind(self._question(body), {self.table.source: self.table}, NOW, Limits())
        part = self._part(ask.plan, ordered="order_by" in body)
        if part is not None:
            found += self._compiled(part, body)
            if plans and not found:
                found += await self._planned(part, body)
        if answers and not found:
            estimated = part is not None and part.verdict.approximate
            found += await self._answered(body, estimated)
            found += await self._answered({**body, "options": {"exact": True}}, False) if estimated else []
        return [f"{fault[:500]}; the body: {json.dumps(body)[:300]}" for fault in found]

    def verdict(self, body: Body) -> Verdict | None:
        """What is declared of the part that the body asks for."""
        ask = bind(self._question(body), {self.table.source: self.table}, NOW, Limits())
        part = self._part(ask.plan, ordered="order_by" in body)
        return None if part is None else part.verdict

    def made_faults(self, made: Compare | Ordering) -> list[str]:
        """What is untrue about a part that no body asks for: a leaf that the language refuses, an order of all rows, a limit
        of any rows. So only what compile says counts."""
        scan = Scan(self.table.source, self.table.visible(), table=self.table)
        verdict = self.backend.capabilities.pushdown(made, scan)
        held = replace(scan, where=made) if isinstance(made, Compare) else scan
        if isinstance(made, Ordering):
            held = replace(scan, order=made.order, limit=made.limit)
        return self._compiled(Part(verdict, scan, held, ()), None)

    def _question(self, body: Body) -> Any:
        return parse_body(json.dumps(body).encode(), INSTANCE, self.table.source.target)

    # The part

    def _part(self, plan: Plan, ordered: bool) -> Part | None:
        """None where another part stands between the scan and the one asked for."""
        where = next((node.where for node in nodes(plan) if isinstance(node, Filter)), None)
        group = next((node.group for node in nodes(plan) if isinstance(node, Aggregate)), None)
        bare = next(node for node in nodes(plan) if isinstance(node, Scan))
        asked = ordering(plan) if ordered else None
        able = self.backend.capabilities
        if group is None and where is not None:
            held = replace(bare, where=where)
            return Part(self._filter_verdict(where, bare), bare, held, self._words(where, bare))
        if where is not None:
            if any(self._filter_verdict(part, bare) != Verdict(Pushdown.EXACT) for part in conjuncts(where)):
                return None
            bare = replace(bare, where=where)
        if group is None:
            assert asked is not None
            held = replace(bare, order=asked.order, limit=asked.limit)
            return Part(able.pushdown(asked, bare), bare, held, tuple(self._named(bare, k.field) for k in asked.order))
        grouped = replace(bare, columns=(), group=group)
        verdict = able.pushdown(group, bare)
        if asked is None:
            return Part(verdict, bare, grouped, self._group_words(group, bare))
        if verdict.level is not Pushdown.EXACT:
            return None
        held = replace(grouped, order=asked.order, limit=asked.limit)
        return Part(able.pushdown(asked, grouped), grouped, held, ())

    def _filter_verdict(self, where: Predicate, scan: Scan) -> Verdict:
        """A leaf's own; that of a tree is `composed` where all its leaves are exact, and none where any leaf has none."""
        able = self.backend.capabilities
        if isinstance(where, Compare):
            return able.pushdown(where, scan)
        verdicts = [able.pushdown(one, scan) for one in leaves(where)]
        missing = next((one for one in verdicts if one.level is Pushdown.UNSUPPORTED), None)
        if missing is not None:
            return missing
        return replace(able.composed(where, scan), checked=any(one.checked for one in verdicts))

    def _words(self, where: Predicate, scan: Scan) -> tuple[tuple[str, ...], ...]:
        """Of each leaf its field or its operand; a bound may be written as its neighbour, on the other side of it."""
        found: list[tuple[str, ...]] = []
        for one in leaves(where):
            words: list[str] = []
            for value in one.value if isinstance(one.value, tuple) else (one.value,):
                near = (value - 1, value, value + 1) if type(value) is int else (value,)
                words += [str(each) for each in near if not isinstance(value, bool)]
            found.append((*words, *self._named(scan, one.field)))
        return tuple(found)

    def _group_words(self, group: Grouping, scan: Scan) -> tuple[tuple[str, ...], ...]:
        named = [key.field for key in group.keys] + [one.field for one in group.aggregates if one.field is not None]
        return tuple(self._named(scan, name) for name in named)

    def _named(self, scan: Scan, name: str) -> tuple[str, ...]:
        """The field's name, and whatever texts the backend notes about it: its own name for it is among those."""
        note = scan.typed(name).native
        members = dataclasses.astuple(note) if dataclasses.is_dataclass(note) else (note,)  # type: ignore[arg-type]
        return (name, *(one for one in members if isinstance(one, str) and one))

    # What compile says

    def _compiled(self, part: Part, body: Body | None) -> list[str]:
        declared = part.verdict.level
        try:
            query = self.backend.compile(part.holding)
        except UnsupportedPart as error:
            if declared is Pushdown.UNSUPPORTED:
                return []
            return [f"declared {declared.value}, but compile refuses it: {error}"]
        if declared is Pushdown.UNSUPPORTED:
            return [f"declared unsupported ({part.verdict.reason}) but compile takes it: {_text(query)}"]
        if not part.verdict.reason and declared is Pushdown.INEXACT:
            return ["inexact without a reason"]
        if body is None:
            return []
        return self._shown(_text(query), self._without(part.without), part, body)

    def _without(self, scan: Scan) -> str:
        if scan not in self._bare:
            self._bare[scan] = _text(self.backend.compile(scan))
        return self._bare[scan]

    def _shown(self, request: str, without: str, part: Part, body: Body) -> list[str]:
        """What keeps every row need not show; what keeps none need not be said in the field's own words."""
        before = "" if part.holding.group is not None else without
        silent = [words for words in part.words if not any(_more(word, request, before) for word in words)]
        if request != without and not silent:
            return []
        kept = self.kept(body["where"]) if part.holding.group is None and not part.holding.order else None
        if request == without and kept != 1.0:
            return [f"declared {part.verdict.level.value}, but the native request is the same without it: {request}"]
        return [f"the native request names none of {silent}: {request}"] if kept not in (0.0, 1.0) else []

    def kept(self, where: Body) -> float:
        """The share of the rows that a filter keeps."""
        table = self.data.tables[self.backend.kind]
        test = compile_filter(where, table.fields, NOW)
        return sum(map(test, table.rows)) / len(table.rows)

    # What is planned

    async def _planned(self, part: Part, body: Body) -> list[str]:
        try:
            prepared = await self._prepared(body)
        except UnsupportedPart as error:
            return [f"the plan holds what compile refuses: {error}"]
        attempted = isinstance(prepared.plan, Attempt)
        if part.verdict.level is Pushdown.EXACT and part.verdict.checked and not attempted:
            return ["checked, but no attempt is planned"]
        first = next(ways(prepared.plan))
        held = any(holds(node, part) for node in nodes(first) if isinstance(node, Scan))
        if held is (part.verdict.level is Pushdown.UNSUPPORTED):
            return [f"declared {part.verdict.level.value}, but {'' if held else 'not '}planned into the scan"]
        if part.verdict.level is Pushdown.EXACT and left_behind(first, part):
            return ["exact, but planned to be done here as well"]
        return []

    async def _prepared(self, body: Body) -> Prepared:
        return await prepare(self._question(body), self._services(), _context())

    def _services(self) -> Services:
        return Services(QueryFactory([self.backend]), self.engine, Limits())

    # What is answered

    async def _answered(self, body: Body, estimated: bool) -> list[str]:
        expected = self._expected(body)
        if estimated and isinstance(expected, Answer):
            expected = _loosely(expected)
        prepared = await self._prepared(body)
        found: list[str] = []
        if any(column.approximate for column in prepared.operator.schema) is not estimated:
            found.append(f"its column says that it is {'exact' if estimated else 'approximate'}")
        both = list(ways(prepared.plan))
        for at, way in enumerate(both):
            context = _context()
            operator = build(way, prepared.queries, self.engine)
            try:
                page = await pull(Prepared(prepared.ask, way, prepared.queries, operator), context)
            except NotProven as error:
                found += [f"way {at} is the last, and proves nothing: {error}"] if way is both[-1] else []
                continue
            except HostMonitorError as error:
                if not isinstance(expected, Refused) or error.code.name != expected.code:
                    found.append(f"way {at} fails: {error.code.name} {error.message}")
                continue
            self.proven += at < len(both) - 1
            if isinstance(expected, Refused):
                found.append(f"way {at} answers instead of {expected.code}")
                continue
            decoded = json.loads(page_response(page, context, 0.0, "objects").body or b"")
            found += [f"way {at} of {len(both)}: {wrong}" for wrong in differences(expected, decoded)]
        return found

    def _expected(self, body: Body) -> Answer | Refused:
        try:
            return answer(body, {"": self.data.tables[self.backend.kind]}, NOW)
        except Refused as refused:
            return refused


def _loosely(expected: Answer) -> Answer:
    """With any number for a float that is there: only keys, counts and what is missing are compared."""
    loose = {column.name: 1e300 for column in expected.columns if column.type == "float64"}
    return replace(expected, slack=[dict(loose) for _ in expected.slack])


async def witness(backend: Backend, engine: Engine, data: DataSet, target: Sequence[str]) -> Witness:
    """A witness for a loaded data set."""
    table = await backend.table(SourceRef(INSTANCE, tuple(target)), _context())
    return Witness(backend, engine, data, table)


def _context() -> RequestContext:
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60)


def _text(query: Query) -> str:
    return json.dumps(query.explain(), ensure_ascii=False, sort_keys=True, default=str)


def _more(word: str, request: str, without: str) -> bool:
    """Whether the word stands more often in the request with the part than in the one without it."""
    pattern = re.compile(rf"(?<!\w){re.escape(json.dumps(word, ensure_ascii=False)[1:-1])}(?!\w)")
    return len(pattern.findall(request)) > len(pattern.findall(without))
