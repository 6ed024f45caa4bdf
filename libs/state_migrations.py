"""What the state's tables have become, step by step: forward only, and a step that was released never changes.

Plain SQL that SQLite and PostgreSQL both take. Times are RFC 3339 text, JSON values are text.
"""

from __future__ import annotations

# A step is the statements between two states of the schema; its number is its place here, counted from 1.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE lookup (name TEXT PRIMARY KEY, version BIGINT NOT NULL, changed_at TEXT NOT NULL,"
        " tag TEXT NOT NULL, length BIGINT NOT NULL, columns TEXT NOT NULL, cells TEXT NOT NULL)",
        "CREATE TABLE saved_query (name TEXT PRIMARY KEY, version BIGINT NOT NULL, changed_at TEXT NOT NULL,"
        " tag TEXT NOT NULL, body TEXT NOT NULL, parameters TEXT NOT NULL)",
    ),
    (
        "CREATE TABLE job (id TEXT PRIMARY KEY, caller TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,"
        " plan TEXT NOT NULL, sources TEXT NOT NULL, started_at TEXT, ended_at TEXT, expires_at TEXT,"
        " rows BIGINT NOT NULL, bytes BIGINT NOT NULL, columns TEXT NOT NULL, noticed TEXT NOT NULL, error TEXT)",
        "CREATE INDEX job_of_caller ON job (caller, created_at)",
    ),
    (
        "CREATE TABLE api_key (id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, actions TEXT NOT NULL,"
        " role TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT, changed BIGINT NOT NULL)",
        "CREATE INDEX api_key_changed ON api_key (changed)",
    ),
    (
        "CREATE TABLE idempotency (caller TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, began_ns BIGINT NOT NULL,"
        " expires_ns BIGINT NOT NULL, runner TEXT NOT NULL, leased_ns BIGINT NOT NULL, size BIGINT NOT NULL, status BIGINT,"
        " headers TEXT, content_type TEXT, body TEXT, PRIMARY KEY (caller, key))",
        "CREATE INDEX idempotency_of_caller ON idempotency (caller, expires_ns, size)",
        "CREATE INDEX idempotency_expires ON idempotency (expires_ns)",
    ),
)
