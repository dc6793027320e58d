"""The clients that are compared, each used as its own documentation shows.

Everything is imported where it is used: a process loads no other client than its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from typing import Any, TypeAlias

from .canned import LIMIT, TOKEN

FLOOR = "aiohttp alone, not decoded"
DECODED = "aiohttp, and msgspec into the same classes"
OURS = "gradient_async"
UNPACED = "gradient_async, rate_limit=None"
GRADIENT = "gradient on aiohttp"
GRADIENT_HTTPX = "gradient on httpx"
PYDO = "pydo.aio"
GRADIENT_SYNC = "gradient, sync"
REQUESTS = "requests"
THREADS = "gradient_async, awaited by run_coroutine_threadsafe"

Ask: TypeAlias = Callable[[int, int], Any]
"""Asks for the backups of a Droplet, at most so many to the page."""
AsyncSide: TypeAlias = Callable[[str], AbstractAsyncContextManager[Callable[..., Awaitable[Any]]]]
SyncSide: TypeAlias = Callable[[str], AbstractContextManager[Ask]]


def roomy_limit() -> Any:
    """Give rate limit windows of the usual kind that no benchmark fills."""
    from gradient_async import RateLimit

    return RateLimit(windows=((LIMIT - 1, 60.0), (LIMIT, 3600.0)))


@asynccontextmanager
async def aiohttp_alone(url: str) -> AsyncIterator[Ask]:
    """Send and read, and make nothing of it: what no client on aiohttp can be faster than."""
    import aiohttp

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:

        async def ask(droplet_id: int, per_page: int) -> bytes:
            address = f"{url}/v2/droplets/{droplet_id}/backups?per_page={per_page}"
            async with session.get(address) as answer:
                return await answer.read()

        yield ask


@asynccontextmanager
async def aiohttp_and_msgspec(url: str) -> AsyncIterator[Ask]:
    """Send and read, and have msgspec make our classes of it; nothing is checked, paced, retried.

    What no client on aiohttp that makes these classes can be faster than.
    """
    from msgspec.json import Decoder

    from gradient_async.types import BackupListResponse

    decoder = Decoder(BackupListResponse)
    async with aiohttp_alone(url) as ask:

        async def ask_decoded(droplet_id: int, per_page: int) -> BackupListResponse:
            return decoder.decode(await ask(droplet_id, per_page))

        yield ask_decoded


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Ask]:
    """`AsyncGradient`, paced by windows that are never full."""
    from gradient_async import AsyncGradient

    async with AsyncGradient(TOKEN, base_url=url, rate_limit=roomy_limit()) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@asynccontextmanager
async def ours_unpaced(url: str) -> AsyncIterator[Ask]:
    """`AsyncGradient` without windows."""
    from gradient_async import AsyncGradient

    async with AsyncGradient(TOKEN, base_url=url, rate_limit=None) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@asynccontextmanager
async def gradient_on_aiohttp(url: str) -> AsyncIterator[Ask]:
    """The retired official SDK with the backend that it recommends for concurrency."""
    from gradient import AsyncGradient, DefaultAioHttpClient

    async with AsyncGradient(
        access_token=TOKEN, base_url=url, http_client=DefaultAioHttpClient()
    ) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@asynccontextmanager
async def gradient_on_httpx(url: str) -> AsyncIterator[Ask]:
    """The retired official SDK as it is installed."""
    from gradient import AsyncGradient

    async with AsyncGradient(access_token=TOKEN, base_url=url) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@asynccontextmanager
async def pydo_aio(url: str) -> AsyncIterator[Ask]:
    """Its successor, which answers with plain dicts."""
    from pydo.aio import Client

    async with Client(TOKEN, endpoint=url) as client:
        yield lambda droplet_id, per_page: client.droplets.list_backups(
            droplet_id=droplet_id, per_page=per_page, enforce_https=False
        )


ASYNC_SIDES: dict[str, AsyncSide] = {
    FLOOR: aiohttp_alone,
    DECODED: aiohttp_and_msgspec,
    OURS: ours,
    UNPACED: ours_unpaced,
    GRADIENT: gradient_on_aiohttp,
    GRADIENT_HTTPX: gradient_on_httpx,
    PYDO: pydo_aio,
}


ON_AIOHTTP = (FLOOR, DECODED, OURS, UNPACED)
"""The sides that load nothing but aiohttp and this package."""


@contextmanager
def ours_sync(url: str) -> Iterator[Ask]:
    """`Gradient`."""
    from gradient_async import Gradient

    with Gradient(TOKEN, base_url=url, rate_limit=roomy_limit()) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@contextmanager
def ours_across_threads(url: str) -> Iterator[Ask]:
    """`AsyncGradient` on a loop in another thread: what no client with such a loop goes below."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def wait_for(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    side = AsyncExitStack()
    ask = wait_for(side.enter_async_context(ours(url)))
    try:
        yield lambda droplet_id, per_page: wait_for(ask(droplet_id, per_page))
    finally:
        wait_for(side.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def gradient_sync(url: str) -> Iterator[Ask]:
    """The retired official SDK."""
    from gradient import Gradient

    with Gradient(access_token=TOKEN, base_url=url) as client:
        yield lambda droplet_id, per_page: client.gpu_droplets.backups.list(
            droplet_id, per_page=per_page
        )


@contextmanager
def pydo_sync(url: str) -> Iterator[Ask]:
    """Its successor."""
    from pydo import Client

    with Client(TOKEN, endpoint=url) as client:
        yield lambda droplet_id, per_page: client.droplets.list_backups(
            droplet_id=droplet_id, per_page=per_page, enforce_https=False
        )


@contextmanager
def requests_session(url: str) -> Iterator[Ask]:
    """What a script does without any SDK."""
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        yield lambda droplet_id, per_page: session.get(
            f"{url}/v2/droplets/{droplet_id}/backups", params={"per_page": per_page}
        ).json()


SYNC_SIDES: dict[str, SyncSide] = {
    OURS: ours_sync,
    GRADIENT_SYNC: gradient_sync,
    "pydo, sync": pydo_sync,
    REQUESTS: requests_session,
    THREADS: ours_across_threads,
}
