"""A change of an index's mapping: what may be added to it, and what it holds for ever. Pure, the same for every store.

Elasticsearch's rule: fields and sub-fields are added, a few parameters change, but how a field's values are read and
indexed does not, since documents are indexed by it already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import islice
from typing import Any

from libs.errors import Issue, RequestError
from libs.issues import MOST_ISSUES, escape

Json = Any

MAX_DEPTH = 20
_ROOT = frozenset({"properties", "dynamic", "date_detection", "numeric_detection", "dynamic_date_formats", "_meta"})
# Of a field that is there.
_CHANGEABLE = frozenset(
    {"ignore_above", "ignore_malformed", "coerce", "meta", "dynamic", "search_analyzer", "eager_global_ordinals"}
)
# What a mapping that is silent about it has; for the other parameters a store tells its own defaults.
_UNSAID: Mapping[str, Json] = {"format": None, "null_value": None, "normalizer": None, "locale": None, "enabled": True}
_SCRIPTS = frozenset({"script", "on_script_error"})
_REMEDY = "make a new index with the new mapping, copy the documents, then let an alias name the new one"


def patched(mapping: Mapping[str, Json], patch: Mapping[str, Json]) -> dict[str, Json]:
    """The whole mapping with the patch merged into it.

    Raises RequestError with everything that is wrong: MAPPING_CONFLICT for what a mapping cannot change, MAPPING_INVALID for
    what is none. Pointers are into the patch."""
    merging = _Merging(mapping.get("subobjects", True) is not False)
    merged = merging.root(mapping, patch)
    if merging.issues:
        conflicts_first = sorted(merging.issues, key=lambda issue: issue.code)
        raise RequestError.of(conflicts_first[:MOST_ISSUES])
    return merged


class _Merging:
    def __init__(self, dotted: bool) -> None:
        """`dotted`: a dot in a name leads into an object."""
        self.dotted = dotted
        self.issues: list[Issue] = []

    def root(self, mapping: Mapping[str, Json], patch: Mapping[str, Json]) -> dict[str, Json]:
        merged = dict(mapping)
        for name, value in patch.items():
            if name not in _ROOT:
                self._invalid(f"/{escape(name)}", f"[{name[:100]}] of a mapping cannot be changed.", _ROOT)
            elif value is None:
                self._invalid(f"/{escape(name)}", f"[{name}] cannot be null.", None)
            elif name == "properties":
                merged[name] = self._properties(mapping.get(name, {}), value, "/properties", 1)
            else:
                merged[name] = value
        if not patch:
            self._invalid("", "The patch is empty.", _ROOT)
        return merged

    def _properties(self, known: Mapping[str, Json], patch: Json, at: str, depth: int) -> dict[str, Json]:
        if not isinstance(patch, dict) or depth > MAX_DEPTH:
            self._invalid(at, f"Members are an object, at most {MAX_DEPTH} deep.", None)
            return dict(known)
        merged = dict(known)
        for name, given in patch.items():
            place, spec = f"{at}/{escape(name)}", given
            first, dot, rest = name.partition(".")
            if dot and first and rest and self.dotted and name not in known:
                name, spec = first, {"properties": {rest: given}}
            merged[name] = self._member(merged.get(name), name, spec, place, depth)
        return merged

    def _member(self, known: Json, name: str, spec: Json, at: str, depth: int) -> Json:
        if spec is None and known is not None:
            self._conflict(at, f"The field [{name}] cannot be taken out of a mapping.")
        elif not isinstance(spec, dict):
            self._invalid(at, f"The mapping of [{name[:100]}] must be an object.", None)
        elif known is None:
            for place in _scripted(spec, at):
                self._script(place)
            return deepcopy(spec)
        else:
            return self._changed(known, name, spec, at, depth)
        return known

    def _changed(
        self, known: Mapping[str, Json], name: str, spec: Mapping[str, Json], at: str, depth: int
    ) -> dict[str, Json]:
        was = known.get("type", "object")
        kind = spec.get("type", "object" if "properties" in spec and was != "nested" else was)
        if kind != was:
            pointer = f"{at}/type" if "type" in spec else at
            self._conflict(pointer, f"The field [{name}] is {was} and cannot become {str(kind)[:100]}.")
            return dict(known)
        merged = dict(known)
        for parameter, value in spec.items():
            place = f"{at}/{escape(parameter)}"
            if parameter == "properties":
                merged[parameter] = self._properties(known.get(parameter, {}), value, place, depth + 1)
            elif parameter == "fields":
                merged[parameter] = self._properties(known.get(parameter, {}), value, place, MAX_DEPTH)
            elif parameter in _SCRIPTS:
                self._script(place)
            elif parameter != "type":
                self._check_parameter(known, name, parameter, value, place)
                merged[parameter] = value
        return merged

    def _check_parameter(self, known: Mapping[str, Json], name: str, parameter: str, value: Json, at: str) -> None:
        if parameter in _CHANGEABLE or (parameter not in known and parameter not in _UNSAID):
            return
        was = known.get(parameter, _UNSAID.get(parameter))
        if _plain(was) != _plain(value):
            self._conflict(at, f"[{parameter}] of the field [{name}] is {was!r:.100} and cannot change.")

    def _script(self, at: str) -> None:
        self.issues.append(_no_scripts(at))

    def _conflict(self, at: str, message: str) -> None:
        self.issues.append(Issue("MAPPING_CONFLICT", message, at, _REMEDY))

    def _invalid(self, at: str, message: str, known: frozenset[str] | None) -> None:
        hint = None if known is None else "one of " + ", ".join(sorted(known))
        self.issues.append(Issue("MAPPING_INVALID", message, at, hint))


def _plain(value: Json) -> Json:
    """Elasticsearch tells some booleans and numbers as texts."""
    return str(value).lower() if isinstance(value, bool | int | str) else value


def check_scripts(mappings: Mapping[str, Json]) -> None:
    """Raises RequestError (MAPPING_INVALID) for fields of a new index's mappings that scripts compute, at any depth."""
    found = [_no_scripts(at) for at in islice(_scripted(mappings, "/mappings"), MOST_ISSUES)]
    if found:
        raise RequestError.of(found)


def _no_scripts(at: str) -> Issue:
    """Scripts run code on the store."""
    return Issue("MAPPING_INVALID", "Fields computed by scripts are not taken here.", at)


def _scripted(holder: Mapping[str, Json], at: str) -> Iterator[str]:
    """Pointers to the scripts of a field or a mapping, and of all within."""
    waiting = [(holder, at)]
    while waiting:
        spec, place = waiting.pop()
        yield from (f"{place}/{word}" for word in sorted(_SCRIPTS & spec.keys()))
        waiting += _specs(spec, place)


def _specs(holder: Mapping[str, Json], at: str) -> Iterator[tuple[Mapping[str, Json], str]]:
    """What describes a field directly within a mapping or another field, with its pointer."""
    for word in ("properties", "fields", "runtime"):
        members = holder.get(word)
        for name, spec in members.items() if isinstance(members, dict) else ():
            if isinstance(spec, dict):
                yield spec, f"{at}/{word}/{escape(name)}"
    templates = holder.get("dynamic_templates")
    for position, template in enumerate(templates if isinstance(templates, list) else ()):
        for name, rule in template.items() if isinstance(template, dict) else ():
            for word in ("mapping", "runtime"):
                if isinstance(rule, dict) and isinstance(rule.get(word), dict):
                    yield rule[word], f"{at}/dynamic_templates/{position}/{escape(name)}/{word}"
