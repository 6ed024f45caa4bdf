"""Every error code the service can answer with: one row each, documented in docs/errors.md (a test compares them)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One stable error code.

    `status` is the HTTP status, `resultcode` the number that clients of the earlier public HostMonitor read,
    `title` a short sentence that never changes from one occurrence to the next (RFC 9457), `remedy` what to do.
    """

    name: str
    status: int
    resultcode: int
    title: str
    remedy: str


# fmt: off
_ROWS = (
    # name, status, resultcode, title, remedy
    ("JSON_INVALID", 400, 40001, "The body is not valid JSON",
     "Send one JSON value in UTF-8, without NaN, Infinity or a byte order mark."),
    ("DUPLICATE_KEY", 400, 40002, "An object of the body holds the same member twice",
     "Remove one of the two members."),
    ("REQUEST_INVALID", 400, 40003, "The request is malformed", "Mend what the message names."),
    ("NAME_INVALID", 400, 40004, "A name in the path or body cannot be the name of such a thing",
     "Use a name of the form that the hint shows."),
    ("BODY_INVALID", 422, 40010, "The body does not have the expected shape",
     "See the pointer; /openapi.json holds the schema."),
    ("FIELD_UNKNOWN", 422, 40012, "A field is not known to the source",
     "Use one of the source's fields; the hint names the nearest."),
    ("TYPE_MISMATCH", 422, 40013, "A value or operation does not fit the field's type",
     "Use an operand or operation of the field's type."),
    ("OPERATOR_UNKNOWN", 422, 40014, "An operator, aggregate or function is not known",
     "Use one of those that the hint lists."),
    ("PATTERN_INVALID", 422, 40015, "A pattern cannot be read",
     "Mend the pattern; a backslash stands only before %, _ or \\ in `like`."),
    ("REGEX_UNSUPPORTED", 422, 40016, "A regular expression uses what not every store can do",
     "Stay within the documented subset."),
    ("TIME_INVALID", 422, 40017, "A time or duration cannot be read",
     "Use RFC 3339 or now-1h/h; durations like 30s, 5m, 1d."),
    ("RANGE_INVALID", 422, 40018, "A range is empty or upside down", "Put the lower bound first."),
    ("EXPRESSION_INVALID", 422, 40019, "An expression cannot be read",
     "See the position in the message; names with odd characters go in backticks."),
    ("NAME_CLASH", 422, 40020, "Two outputs have one name", "Give one of them another name with `as`."),
    ("LIMIT_INVALID", 422, 40021, "The limit is not a whole number in its range", "Use 1 to 10000."),
    ("TOO_DEEP", 422, 40022, "The body is nested too deeply", "Filters nest at most 16 deep."),
    ("TOO_MANY_NODES", 422, 40023, "The filter has too many nodes", "A filter has at most 512 nodes."),
    ("TOO_MANY_VALUES", 422, 40024, "A list or text is too long",
     "`in` takes at most 1000 values, a text operand at most 1000 characters."),
    ("FIELD_NOT_FILTERABLE", 422, 40025, "An analysed text field has no exact form",
     "Map a keyword sub-field, or use `match`."),
    ("NOT_A_KEY", 422, 40026, "A plain field in a grouped `select` is no key of `group_by`",
     "Add it to `group_by`, or aggregate it."),
    ("FILL_INVALID", 422, 40027, "`fill` cannot be done here", "Fill needs one time bucket and a bounded time range."),
    ("BUCKET_INVALID", 422, 40028, "A time bucket cannot be made",
     "Use whole seconds (30s, 5m, 1h) or 1d 1w 1M 1y, the latter with `tz`."),
    ("EMPTY_NODE", 422, 40029, "`and` or `or` has no member", "Give it at least one."),
    ("FIELD_TYPE_CONFLICT", 422, 40030, "A field has types that cannot be compared in the parts of the source",
     "Query the parts apart."),
    ("FIELD_AMBIGUOUS", 422, 40031, "A tag and a field have one name", "Rename one of them at the writer."),
    ("NUMBER_OUT_OF_RANGE", 422, 40032, "A number does not fit its type",
     "int64 reaches from -2^63 to 2^63-1; use avg, or a narrower range."),
    ("VALUE_IGNORED", 422, 40033, "A stored value was ignored by its index",
     "Mend the mapping, or set options.partial to treat it as missing."),
    ("EXACT_NOT_POSSIBLE", 422, 40034, "The exact answer is out of reach within the limits",
     "Narrow the query or drop options.exact."),
    ("COST_EXCEEDED", 422, 40035, "The query would cost, or cost, more than its limit",
     "Narrow the time range or filter, or use wider buckets."),
    ("VALUE_INVALID", 422, 40036, "A value to be written does not fit", "See the pointer and the hint."),
    ("UNSUPPORTED", 422, 40037, "This source cannot do that", "See the hint."),
    ("MAPPING_INVALID", 422, 40038, "Settings or mappings are not valid", "See the message."),
    ("WRITE_REFUSED", 422, 40039, "The store refused what was to be written",
     "See the reasons; nothing of what they name was written."),
    ("JOIN_FANOUT", 422, 40040, "Several rows of a join's right side have one key",
     'Group the right side by its keys, join by more keys, or say "many": true.'),
    ("JOIN_INVALID", 422, 40041, "A join cannot be done as it is asked for",
     "See the message: its keys, its tolerance, or how many joins there are."),
    ("AUTHENTICATION_REQUIRED", 401, 40101, "Who is calling is not known", "Send a key in the Authorization header."),
    ("PERMISSION_DENIED", 403, 40301, "The caller may not do this", "Ask for the role that may."),
    ("ROUTE_UNKNOWN", 404, 40401, "There is no such route",
     "The page at / lists the routes; none ends in a slash or holds two in a row."),
    ("SOURCE_UNKNOWN", 404, 40402, "There is no such instance", "Use one of the configured instances."),
    ("INDEX_UNKNOWN", 404, 40403, "There is no such index", "GET /es/index lists them."),
    ("DATABASE_UNKNOWN", 404, 40404, "There is no such database", "GET /influx/db lists them."),
    ("MEASUREMENT_UNKNOWN", 404, 40405, "There is no such measurement", "GET /influx/<db> lists them."),
    ("LOOKUP_UNKNOWN", 404, 40407, "There is no such lookup table", "GET /mix/lookup lists them."),
    ("SAVED_UNKNOWN", 404, 40408, "There is no such saved query", "GET /mix/saved lists them."),
    ("JOB_UNKNOWN", 404, 40409, "There is no such job of this caller",
     "GET /mix/job lists them; a job is deleted when it expires."),
    ("REGION_UNKNOWN", 404, 40406, "No instance belongs to this region", "Set `region` on an instance."),
    ("METHOD_NOT_ALLOWED", 405, 40501, "The route does not take this method", "See the Allow header."),
    ("CURSOR_INVALID", 400, 40006, "A cursor is none of this query, this caller or this service",
     "Take `page.cursor` of the page before, unchanged, or ask for the first page again."),
    ("CURSOR_EXPIRED", 410, 41001, "A cursor's time is over",
     "Ask for the first page again; a stream (`Accept: text/csv`) needs no cursor."),
    ("NOT_ACCEPTABLE", 406, 40601, "None of the accepted formats is available", "Accept application/json."),
    ("ALREADY_EXISTS", 409, 40901, "It exists already", "Delete it first, or use another name."),
    ("CONFLICT", 409, 40902, "The store reports a conflict", "Read again, then repeat."),
    ("JOB_NOT_DONE", 409, 40903, "The job has no result",
     "GET /mix/job/<id> tells its state; wait for the seconds in Retry-After while it runs."),
    ("PRECONDITION_FAILED", 412, 41201, "It has changed since it was read", "Read it again, then repeat."),
    ("BODY_TOO_LARGE", 413, 41301, "The body is too large", "Send it in parts."),
    ("MEDIA_TYPE_UNSUPPORTED", 415, 41501, "The body's content type is not taken here",
     "Send application/json, or what the route documents."),
    (
        "RATE_LIMITED",
        429,
        42901,
        "Too many requests",
        "Wait for the seconds in Retry-After, and ask fewer at a time.",
    ),
    ("TOO_MANY_JOBS", 429, 42902, "The caller has as many jobs as are kept",
     "Delete one that is done, or wait until one expires."),
    ("HEADERS_INVALID", 400, 40005, "A header cannot be read", "Mend the header that the message names."),
    ("CLIENT_TIMEOUT", 408, 40801, "The request did not arrive in time", "Send it again, in one go."),
    ("EXPECTATION_FAILED", 417, 41701, "The expectation cannot be met", "Leave the Expect header away."),
    ("INTERNAL", 500, 50001, "The service failed", "Report the request id; the log holds the cause."),
    ("NOT_SUPPORTED", 501, 50000, "This is not supported", "See the reason in the message."),
    ("CLAUSE_UNSUPPORTED", 501, 50101, "A clause of the query DSL is not supported here",
     "See the message for the clause."),
    ("STORE_FAILED", 502, 50201, "The store answered with an error",
     "See the source; the store's log holds the cause."),
    ("STORE_ANSWER_INVALID", 502, 50202, "The store's answer cannot be read",
     "Check what stands between the service and the store."),
    ("STORE_PARTIAL", 502, 50203, "The store answered in part only",
     "Repeat, or set options.partial to take what there is."),
    ("STORE_UNAVAILABLE", 503, 50301, "The store cannot be reached", "Repeat later; the other stores go on."),
    ("STORE_BUSY", 503, 50302, "The store refuses more work for now", "Repeat after the seconds in Retry-After."),
    ("STALE_SOURCE", 503, 50305, "A source's newest row is older than options.require_fresh allows",
     "See what feeds the source; leave require_fresh away to take old numbers."),
    ("SHUTTING_DOWN", 503, 50303, "The service is stopping", "Repeat at another instance."),
    ("JOB_INTERRUPTED", 503, 50306, "The service stopped while a job ran", "Start it again."),
    ("OVERLOADED", 503, 50304, "The service has too much to do", "Repeat later."),
    ("STORE_FULL", 507, 50701, "The store has no room", "Free room on its disk; reads still work."),
    ("SPOOL_FULL", 507, 50702, "There is no room for the result of a job",
     "Delete jobs that are done, or free room on the disk of the data folder."),
    ("DEADLINE_EXCEEDED", 504, 50401, "The answer did not come within the deadline",
     "Narrow the query or raise options.timeout."),
)
# fmt: on

CODES: dict[str, Code] = {row[0]: Code(*row) for row in _ROWS}
