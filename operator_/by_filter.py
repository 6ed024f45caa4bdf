"""Changes what a query finds, page by page: while one is changed, the next one is fetched."""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.context import RequestContext
from libs.errors import HostMonitorError, RequestError
from libs.result import Batch
from query.backend import CatalogStale, NotProven
from query.by_filter import ChangesFound, Settings, Tally

_AT_ONCE = 1_000


async def change_all(
    found: AsyncIterator[Batch], store: ChangesFound, settings: Settings, most: int | None, context: RequestContext
) -> Tally:
    """Changes every document whose address the batches hold (their first column), at most `most`.

    Raises what finding and changing raise where nothing was changed; later they stop it, which the tally tells."""
    tally = Tally()
    taken = 0
    try:
        async for batch in found:
            addresses = [str(cell) for cell in batch.columns[0]]
            for start in range(0, len(addresses), _AT_ONCE):
                context.remaining()
                part = addresses[start : start + _AT_ONCE]
                part = part if most is None else part[: most - taken]
                taken += len(part)
                if part:
                    await store.change_found(part, settings, tally, context)
                if tally.stopped is None and most == taken and start + len(part) < len(addresses):
                    tally.stopped = _more(most)
                if tally.stopped is not None:
                    return tally
    except (CatalogStale, NotProven) as error:
        if not tally.matched:
            raise
        tally.stopped = RequestError("The fields of the index change meanwhile.", code="CONFLICT", hint="repeat it")
        tally.stopped.__cause__ = error
    except HostMonitorError as error:
        if not tally.matched:
            raise
        tally.stopped = error
    return tally


def _more(most: int) -> RequestError:
    """Of documents that came after they were counted."""
    message = f"More match by now than the {most} that may be affected."
    return RequestError(message, code="TOO_MANY_AFFECTED", pointer="query/max_affected", hint="repeat it")
