"""The page at `/` in a real headless browser: what it shows, sends and answers, and that nothing leaves the host."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Request, async_playwright, expect

from apps.keys.records import KeyRecords
from config.settings import Settings
from libs.rest import build
from main import create_app
from unittest_.sample_service import make_api, make_app, running

REMEDY = "no Chromium: on Debian, `apt-get install chromium`"
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
SCREENSHOTS = Path(__file__).parent.parent / "build"


@dataclass
class Visit:
    """One page, and what it did: its requests, console errors and refused loads."""

    page: Page
    url: str
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def foreign(self) -> list[str]:
        """Addresses beyond the service that the page asked for."""
        own = (f"{self.url}/", "data:", "blob:")
        return [request.url for request in self.requests if not request.url.startswith(own)]

    def check(self) -> None:
        assert self.foreign() == []
        assert self.complaints == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail(REMEDY, pytrace=False)
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service() -> AsyncIterator[str]:
    async with running(make_app("swagger")) as url:
        yield url


@asynccontextmanager
async def visiting(browser: Any, url: str) -> AsyncIterator[Visit]:
    """An empty page in a context of its own, watched."""
    context = await browser.new_context(viewport={"width": 1280, "height": 1100})
    page = await context.new_page()
    found = Visit(page, url)
    page.on("request", lambda request: found.requests.append(request))
    page.on("requestfailed", lambda request: found.complaints.append(f"failed: {request.url}"))
    page.on("console", lambda message: found.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    yield found
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Any, service: str) -> AsyncIterator[Visit]:
    async with visiting(browser, service) as found:
        yield found


async def open_page(visit: Visit, suffix: str = "/") -> None:
    await visit.page.goto(visit.url + suffix)
    await expect(visit.page.locator(".opblock").first).to_be_visible(timeout=20_000)


async def execute(block: Locator, **parameters: str) -> Locator:
    """Tries an operation out; the place of its answer, once that is there."""
    await block.locator(".opblock-summary-control").click()
    await block.get_by_role("button", name="Try it out").click()
    for name, value in parameters.items():
        await block.locator(f'[data-param-name="{name}"] input').fill(value)
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response")
    await expect(answer.locator(".response-col_status")).to_contain_text("20", timeout=20_000)
    return answer


async def authorize(visit: Visit, scheme: str, key: str) -> None:
    """Gives the page a key."""
    await visit.page.locator(".auth-wrapper .authorize").first.click()
    dialog = visit.page.locator(".modal-ux .auth-container").filter(has_text=scheme)
    await dialog.locator("input").fill(key)
    await dialog.get_by_role("button", name="Apply").click()
    await visit.page.locator(".modal-ux .close-modal").click()


async def test_the_page_shows_every_operation(visit: Visit) -> None:
    await open_page(visit)
    shown = await visit.page.locator(".opblock").count()
    document = build(make_api())
    assert shown == sum(len(item) for item in document["paths"].values())
    paths = await visit.page.locator(".opblock-summary-path").evaluate_all("all => all.map(one => one.dataset.path)")
    assert set(paths) == set(document["paths"])
    SCREENSHOTS.mkdir(exist_ok=True)
    await visit.page.screenshot(path=SCREENSHOTS / "swagger-all.png")
    visit.check()


async def test_try_it_out_sends_the_example_and_shows_the_answer(visit: Visit) -> None:
    await open_page(visit)
    answer = await execute(visit.page.locator("#operations-es-es-createThing"))
    await expect(answer).to_contain_text('"name": "two"')
    sent = [request for request in visit.requests if request.method == "POST"]
    assert [request.url for request in sent] == [f"{visit.url}/es/thing?limit=5"]
    assert sent[0].post_data_json == {"name": "two", "size": 2}
    await visit.page.screenshot(path=SCREENSHOTS / "swagger-answer.png")
    visit.check()


async def test_a_path_parameter_is_encoded(visit: Visit) -> None:
    await open_page(visit)
    answer = await execute(visit.page.locator("#operations-es-es-getThing"), name="a/b%c")
    await expect(answer).to_contain_text('"name": "a/b%c"')
    assert visit.requests[-1].url == f"{visit.url}/es/a%2Fb%25c"
    visit.check()


@pytest.mark.parametrize(
    ("scheme", "header", "value"), [("bearer", "authorization", "Bearer k-1"), ("apiKey", "x-api-key", "k-1")]
)
async def test_authorize_sends_the_key(visit: Visit, scheme: str, header: str, value: str) -> None:
    await open_page(visit)
    await authorize(visit, scheme, "k-1")
    await execute(visit.page.locator("#operations-es-es-listNodes"))
    assert (await visit.requests[-1].all_headers())[header] == value
    visit.check()


async def test_the_address_of_the_page_chooses_no_other_document(visit: Visit) -> None:
    await open_page(visit, "/?url=https://evil.example/a.json&configUrl=data:application/json,{}&urls.primaryName=x")
    await expect(visit.page.locator(".info .title")).to_contain_text("Sample")
    visit.check()


async def test_a_deep_link_opens_its_operation(visit: Visit) -> None:
    await open_page(visit, "/#/es/es-listThings")
    await expect(visit.page.locator("#operations-es-es-listThings.is-open")).to_be_visible()
    visit.check()


async def test_markup_in_a_description_does_not_run(browser: Any) -> None:
    markup = (
        '<img src="//evil.example/x" onerror="document.title=1"> <script>document.title=2</script> [x](javascript:1)'
    )
    async with running(make_app("markup", description=markup)) as url, visiting(browser, url) as visit:
        await open_page(visit)
        assert await visit.page.title() == "HostMonitor"
        assert await visit.page.locator(".info script, .info [onerror], .info [href^=javascript]").count() == 0


async def test_the_page_works_below_a_base_path(browser: Any) -> None:
    async with running(make_app("gateway", "/hm")) as url, visiting(browser, url) as visit:
        await open_page(visit, "/hm")
        await execute(visit.page.locator("#operations-es-es-listNodes"))
        assert visit.requests[-1].url == f"{url}/hm/es/node"
        visit.check()


async def test_the_service_s_own_page(browser: Any, tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path / "data", log_dir=tmp_path / "logs"), name="own_page")
    app.config.TOUCHUP = False
    document = build(app.ctx.api)
    async with running(app) as url, visiting(browser, url) as visit:
        await open_page(visit)
        await expect(visit.page.locator(".opblock")).to_have_count(
            sum(len(item) for item in document["paths"].values())
        )
        await execute(visit.page.locator("#operations-health-health-live"))
        # Its own origin may write, as long as there is no key, too.
        await execute(visit.page.locator("#operations-es-es-createIndex"))
        assert (await visit.requests[-1].all_headers())["origin"] == url
        _, key = await KeyRecords(app.ctx.state).add("page", ["read"])
        for _ in range(100):
            if (await visit.page.request.get(f"{url}/es/index")).status == 401:
                break
            await asyncio.sleep(0.05)
        await authorize(visit, "bearer", key)
        answer = await execute(visit.page.locator("#operations-es-es-listIndices"))
        await expect(answer).to_contain_text('"index": "events"')
        await visit.page.screenshot(path=SCREENSHOTS / "swagger-service.png")
        visit.check()
