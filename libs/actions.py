"""What a caller may do: the actions that a key allows, and that a route asks for.

`read` rows, names and shapes; `write` rows, lookup tables and saved queries; `metadata` makes, changes and deletes indices,
databases, measurements and their settings; `native` speaks a store's own language, together with the action of what is
said in it; `admin` is for what concerns the service itself.
"""

from __future__ import annotations

ACTIONS = ("read", "write", "metadata", "native", "admin")
ALL_ACTIONS = frozenset(ACTIONS)

# In the place of actions, on a route: whoever asks (no key), or any key, since the route itself decides by the body.
PUBLIC = "public"
ANY_KEY = "any key"
