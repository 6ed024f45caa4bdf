"""What stands in parentheses in a URL's filters: `(a,"b,c")`, `(status.gte.500,or(host.eq.a,host.eq.b))`.

Text ends at a comma or parenthesis; in double quotes it holds anything, `\\"` and `\\\\` being a quote and a backslash.
"""

from __future__ import annotations

import re
from typing import cast

from parser.words import MOST_CHARACTERS, MOST_FILTER_DEPTH, MOST_FILTER_NODES, MOST_VALUES
from query.expr import And, Compare, Not, Op, Operand, Or, Predicate, Untyped
from query.vocabulary import OPERATORS

_SHAPES = {name: word.operand for name, word in OPERATORS.items()}
_WORD = "|".join(OPERATORS)
_NODE = re.compile(r"(not\.)?(and|or)\(")
# A field's name ends at the first dot that an operator follows.
_CONDITION = re.compile(rf'([^,()"]+?)\.(not\.)?({_WORD})\.')
_BEHIND_QUOTES = re.compile(rf"\.(not\.)?({_WORD})\.")
_DIRECTION = re.compile(r"\.(asc|desc)(?![^,])")
_PLAIN = re.compile(r'[^,()"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_FORM = 'a condition is <field>.<operator>.<value>, a group and(…) or or(…); quote what holds , ( ) " as "…"'


class UnreadableText(Exception):
    """Text that cannot be read: an error code's name, a message, a hint."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


class GroupText:
    """One parameter's value, read from the left. `nodes` are the filter nodes that the request has left."""

    def __init__(self, text: str, at: str, nodes: int = MOST_FILTER_NODES) -> None:
        self.text = text
        self.pointer = at
        self.nodes = nodes
        self._at = 0

    def operand(self, op: str, *, alone: bool) -> Operand:
        """What an operator takes. `alone`: nothing may follow, so that text needs no quotes. Raises UnreadableText."""
        match _SHAPES[op]:
            case "list":
                values = self._list()
                if len(values) > MOST_VALUES:
                    why = f"`{op}` has {len(values)} values; it takes at most {MOST_VALUES}."
                    raise UnreadableText("TOO_MANY_VALUES", why, "split it, or compare another way")
                return values
            case "pair":
                values = self._list()
                if len(values) != 2:
                    raise UnreadableText("REQUEST_INVALID", f"`{op}` takes two values.", f"write {op}.(low,high)")
                return values
            case "flag":
                word = str(self._value(alone))
                if word not in ("true", "false"):
                    raise UnreadableText("TYPE_MISMATCH", f"`{op}` takes true or false.", f"write {op}.true")
                return word == "true"
            case _:
                return self._value(alone)

    def group(self, word: str, depth: int = 1) -> Predicate:
        """`(member,member…)` behind `and` or `or`. Raises UnreadableText."""
        self._count(depth)
        self._expect("(")
        if self._peek() == ")":
            raise UnreadableText("EMPTY_NODE", f"`{word}` has no member.", "give it one at least")
        items = [self._member(depth + 1)]
        while self._peek() == ",":
            self._at += 1
            items.append(self._member(depth + 1))
        self._expect(")")
        return And(tuple(items)) if word == "and" else Or(tuple(items))

    def end(self) -> None:
        """Raises UnreadableText when text is left."""
        if self._at < len(self.text):
            raise self._unexpected("This goes on where it should end")

    def names(self) -> list[str]:
        """A whole list of names without parentheses, some in quotes. Raises UnreadableText."""
        found = [self._item()]
        while self._peek() == ",":
            self._at += 1
            found.append(self._item())
        self.end()
        return [str(name) for name in found]

    def orders(self) -> list[tuple[str, bool]]:
        """A whole list of names, each with `.asc` or `.desc` behind it or not, and whether it descends."""
        found = [self._ordered()]
        while self._peek() == ",":
            self._at += 1
            found.append(self._ordered())
        self.end()
        return found

    def _ordered(self) -> tuple[str, bool]:
        if self._peek() == '"':
            name = str(self._quoted())
            behind = _DIRECTION.match(self.text, self._at)
            if behind is None:
                return name, False
            self._at = behind.end()
            return name, behind[1] == "desc"
        name, dot, direction = str(self._item()).rpartition(".")
        if name and direction in ("asc", "desc"):
            return name, direction == "desc"
        return name + dot + direction, False

    def _member(self, depth: int) -> Predicate:
        node = _NODE.match(self.text, self._at)
        if node is not None:
            self._at = node.end() - 1
            group = self.group(node[2], depth + 1 if node[1] else depth)
            return Not(group) if node[1] else group
        if self._peek() == '"':
            field = str(self._quoted())
            found = _BEHIND_QUOTES.match(self.text, self._at)
            negated, op = (found[1], found[2]) if found else (None, "")
        else:
            found = _CONDITION.match(self.text, self._at)
            field, negated, op = (found[1], found[2], found[3]) if found else ("", None, "")
        if found is None:
            raise self._unexpected("There is no condition")
        self._at = found.end()
        self._count(depth + 1 if negated else depth)
        leaf = Compare(field, cast(Op, op), self.operand(op, alone=False), None, self.pointer)
        return Not(leaf) if negated else leaf

    def _count(self, depth: int) -> None:
        self.nodes -= 1
        if depth > MOST_FILTER_DEPTH:
            why = f"The filter nests more than {MOST_FILTER_DEPTH} deep."
            raise UnreadableText("TOO_DEEP", why, "flatten it: `and` and `or` take many members")
        if self.nodes < 0:
            why = f"The filters have more than {MOST_FILTER_NODES} nodes."
            raise UnreadableText("TOO_MANY_NODES", why, f"`in` takes up to {MOST_VALUES} values in one node")

    def _list(self) -> tuple[Untyped, ...]:
        self._expect("(")
        found = [self._item()]
        while self._peek() == ",":
            self._at += 1
            found.append(self._item())
        self._expect(")")
        return tuple(found)

    def _value(self, alone: bool) -> Untyped:
        if not alone:
            return self._item()
        text, self._at = self.text[self._at :], len(self.text)
        return _short(text)

    def _item(self) -> Untyped:
        if self._peek() == '"':
            return self._quoted()
        found = _PLAIN.match(self.text, self._at)
        if found is None:
            raise self._unexpected("A value is missing")
        self._at = found.end()
        return _short(found[0])

    def _quoted(self) -> Untyped:
        found = _QUOTED.match(self.text, self._at)
        if found is None:
            raise UnreadableText("REQUEST_INVALID", "A quote is not closed.", 'end it with "; write \\" for one inside')
        self._at = found.end()
        return _short(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL))

    def _peek(self) -> str:
        return self.text[self._at : self._at + 1]

    def _expect(self, mark: str) -> None:
        if self._peek() != mark:
            raise self._unexpected(f"A {mark!r} is missing")
        self._at += 1

    def _unexpected(self, what: str) -> UnreadableText:
        rest = self.text[self._at : self._at + 40]
        before = f"before {rest!r}" if rest else "at the end"
        return UnreadableText("REQUEST_INVALID", f"{what} (character {self._at + 1}, {before}).", _FORM)


def _short(text: str) -> Untyped:
    if len(text) > MOST_CHARACTERS:
        why = f"The text has {len(text)} characters; at most {MOST_CHARACTERS} are taken."
        raise UnreadableText("TOO_MANY_VALUES", why, "compare with less")
    return Untyped(text)
