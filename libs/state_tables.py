"""The state's tables as statements are written against them; libs/state_migrations.py makes them, and a test compares."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

METADATA = MetaData()

# `columns` is a JSON array of {"name", "type"}, `cells` one of each column's cells. `tag` is made from both.
LOOKUP = Table(
    "lookup",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("columns", Text, nullable=False),
    Column("cells", Text, nullable=False),
)

# `body` is a query's JSON with {"param": …} in the place of values, `parameters` what is declared of them.
SAVED_QUERY = Table(
    "saved_query",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("parameters", Text, nullable=False),
)

# A query that runs, or ran, behind its request. `sources`, `columns` (of the result) and `noticed` (what `meta` says of it)
# are JSON, `error` that of the common shape; the rows themselves are in a file of the data folder.
JOB = Table(
    "job",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("caller", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("sources", Text, nullable=False),
    Column("started_at", Text),
    Column("ended_at", Text),
    Column("expires_at", Text),
    Column("rows", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("columns", Text, nullable=False),
    Column("noticed", Text, nullable=False),
    Column("error", Text),
)

# `digest` is the SHA-256 of the whole key in hexadecimal, `actions` are words with commas between. A key that was revoked stays,
# without its digest, so that `changed`, one more at each change of any key, tells a running service that there was one.
API_KEY = Table(
    "api_key",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("actions", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("revoked_at", Text),
    Column("changed", BigInteger, nullable=False),
)

# A request under an Idempotency-Key; `request` tells it from others, and `began_ns` when it first came. Until there is an answer
# (`headers` a JSON array of pairs, `body` compressed, of `size` bytes, as base64) it is the `runner`'s, a process, who leases it.
IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),
    Column("began_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("runner", Text, nullable=False),
    Column("leased_ns", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("status", BigInteger),
    Column("headers", Text),
    Column("content_type", Text),
    Column("body", Text),
)
