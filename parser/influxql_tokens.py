"""InfluxQL's words, exactly where InfluxDB parts them (influxql's scanner.go and parser.go, 1.6 to 1.12). Pure.

Whoever sees a statement's end elsewhere than the store does can be made to overlook a statement. So:
- comments are blanked: what is sent holds none, and every other character keeps its place;
- a slash is a division behind an operand. It starts a regular expression behind =~, !~, SELECT, FROM, BY, a comma or an opening
  parenthesis: there InfluxDB takes no division. Behind a dot it reads `FROM a./b/` and `SELECT a./b` in two ways, and a mistake
  would hide what follows; so there, a regular expression is taken in FROM alone, and holds no semicolon and no quote;
- what InfluxDB ends a query at (NUL), or reads as something else (a word before a quote), is refused.
"""

from __future__ import annotations

import re

from libs.errors import RequestError
from query.influxql import Token

_COMMENT = r"--[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/"
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\n]++)
    |(?P<comment>{_COMMENT})
    |(?P<identifier>"(?:[^"\\\n]++|\\[n\\"'])*+")
    |(?P<string>'(?:[^'\\\n]++|\\[n\\"'])*+')
    |(?P<parameter>\$(?:"(?:[^"\\\n]++|\\[n\\"'])++"|[A-Za-z0-9_]++(?!")))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*+(?!"))
    |(?P<number>[0-9]++(?:\.[0-9]*+|[A-Za-zµ][A-Za-z0-9µ]*+)?+|\.[0-9]++)
    |(?P<mark>=~|!~|!=|>=|<=|<>|::|[-+*%&|^=<>(),;:.])
    |(?P<slash>/)""",
    re.VERBOSE,
)
_REGEX = re.compile(r"/(?:[^/\n\\]++|\\/?+)*+/")
_ESCAPE = re.compile(r"\\(.)")
_BEFORE_REGEX = frozenset({"=~", "!~", "SELECT", "FROM", "BY", ",", "("})
_BEFORE_OPERAND = frozenset(
    ["+", "-", "/", "%", "&", "|", "^", "=", "!=", "<", ">", "<=", ">=", "<>", "::", ":", ";", "AND", "OR", "WHERE"]
)
_CLAUSES = frozenset({"SELECT", "FROM", "WHERE", "BY", "INTO", "ON", "WITH", "LIMIT", "KEY", "IN"})
# A regular expression with one of these is written with its code point: where InfluxDB read a division, it would end there.
_ENDING = re.compile("[;'\"]")
_NOT_BLANK = re.compile(r"[^\n]")


def tokens(text: str) -> tuple[list[Token], str]:
    """The words of a whole query, and its text with comments blanked and line ends as InfluxDB takes them. Raises
    RequestError (STATEMENT_INVALID)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    reader = _Reader(text)
    reader.read()
    return reader.found, "".join(reader.sent)


class _Reader:
    def __init__(self, text: str) -> None:
        self.found: list[Token] = []
        self.sent: list[str] = []
        self._text = text
        self._clause = ""
        # What stood before the names that a dot joins: FROM in `FROM db.rp./x/`.
        self._before_names = ""

    def read(self) -> None:
        at, size, text = 0, len(self._text), self._text
        while at < size:
            match = _TOKEN.match(text, at)
            if match is None:
                raise invalid(f"it cannot be read from {text[at : at + 20]!r} on", at)
            kind, piece = match.lastgroup, match[0]
            at = match.end()
            if kind == "slash":
                piece, at = self._slash(match.start())
            elif kind == "comment":
                piece = _NOT_BLANK.sub(" ", piece)
            elif kind != "space":
                self._add(kind, piece)
            self.sent.append(piece)

    def _add(self, kind: str | None, piece: str) -> None:
        token = _token(kind, piece)
        if token.kind == "word" and token.text in _CLAUSES:
            self._clause = token.text
        if token.kind in ("word", "identifier", "parameter") and self._last() != ".":
            self._before_names = self._last()
        self.found.append(token)

    def _last(self) -> str:
        """The last word or mark; "" behind anything else."""
        return self.found[-1].text if self.found and self.found[-1].kind in ("word", "mark") else ""

    def _slash(self, at: int) -> tuple[str, int]:
        """The division or regular expression that starts here, and where it ends."""
        last = self._last()
        if not self.found or last in _BEFORE_OPERAND or self._text.startswith("/*", at):
            raise invalid("a slash stands where neither a division nor a regular expression can", at)
        if last == ".":
            self._check_dotted(at)
        elif last not in _BEFORE_REGEX:
            self.found.append(Token("mark", "/"))
            return "/", at + 1
        match = _REGEX.match(self._text, at)
        if match is None:
            raise invalid("a regular expression does not end", at)
        if last not in ("=~", "!~") and _ENDING.search(match[0]):
            raise invalid("write ; ' and \" of this regular expression as \\x3B, \\x27 and \\x22", at)
        self.found.append(Token("regex", match[0]))
        return match[0], match.end()

    def _check_dotted(self, at: int) -> None:
        in_from = self._before_names == "FROM" or (self._before_names == "," and self._clause == "FROM")
        if not in_from or self._text[at - 1] != ".":
            raise invalid("behind a dot a slash can be read in two ways", at)


def _token(kind: str | None, piece: str) -> Token:
    if kind == "word":
        return Token("word", piece.upper(), piece)
    if kind == "identifier":
        name = _unescaped(piece[1:-1])
        return Token("identifier", name, name)
    if kind == "string":
        return Token("string", _unescaped(piece[1:-1]))
    if kind == "parameter":
        return Token("parameter", piece)
    return Token("number" if kind == "number" else "mark", piece)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text) if "\\" in text else text


def invalid(why: str, at: int) -> RequestError:
    """In the words that InfluxDB's clients know; `at` counts characters from 0."""
    return RequestError(
        f"error parsing query: {why} (at character {at + 1})",
        code="STATEMENT_INVALID",
        pointer="query/q",
        hint="nothing was run",
    )
