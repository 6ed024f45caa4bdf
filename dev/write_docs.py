"""Writes the parts of docs/ that tables in the code decide; a test holds that they agree.

Usage: python dev/write_docs.py   (from the project's root)
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from libs.error_codes import CODES  # noqa: E402

_HEAD = """# Error codes

Every error has this shape, an RFC 9457 problem (`application/problem+json`) with the four members `result`, `resultcode`,
`message` and `data` of the earlier public HostMonitor:

```json
{"result": false, "resultcode": 40012, "code": "FIELD_UNKNOWN", "message": "…",
 "errors": [{"pointer": "/where/and/0/field", "code": "FIELD_UNKNOWN", "message": "…", "hint": "did you mean host?"}],
 "data": null, "request_id": "…", "type": "urn:hostmonitor:error:FIELD_UNKNOWN", "title": "…", "status": 422}
```

`code` and `resultcode` are stable. `errors` lists everything that is wrong with the request at once; `pointer` is a JSON
pointer into the body, or `path/…`, `query/…`, `header/…`. Errors of a store carry `source`, its instance's name, and the header
`X-HM-Store-Fault`; 429 and 503 carry `Retry-After` where the time is known.

| status | code | resultcode | what happened | what to do |
| --- | --- | --- | --- | --- |
"""


def errors_page() -> str:
    rows = sorted(CODES.values(), key=lambda code: (code.status, code.resultcode))
    lines = [f"| {c.status} | `{c.name}` | {c.resultcode} | {c.title} | {c.remedy} |" for c in rows]
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "errors.md").write_text(errors_page())
