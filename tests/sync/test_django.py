"""Views of Django that call the blocking client, under WSGI and under ASGI."""

# pyright: basic

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import django  # type: ignore[import-untyped]
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings  # type: ignore[import-untyped]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-untyped]
from django.test import AsyncClient, Client, override_settings  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]

from gradient_async import BlockingCallWarning, Gradient, NotFoundError
from gradient_async.testing import Fleet, Simulator

from .helpers import loop_threads

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["testserver"], SECRET_KEY="only for tests", USE_TZ=True, DEBUG=True
    )
    django.setup()


@pytest.fixture
def urls(client: Gradient) -> Iterator[str]:
    """The name of a module of URLs, whose views share one client."""
    backups = client.gpu_droplets.backups

    def count(droplet_id: int) -> JsonResponse:
        try:
            page = backups.list(droplet_id)
        except NotFoundError as error:
            return JsonResponse({"error": error.request_id}, status=404)
        return JsonResponse({"total": page.meta.total, "thread": threading.get_ident()})

    def view(_: HttpRequest, droplet_id: int) -> JsonResponse:
        return count(droplet_id)

    def fleet_view(_: HttpRequest) -> JsonResponse:
        ids = (number for number, _ in backups.iter_policies())
        return JsonResponse({r.droplet_id: len(r.backups) for r in backups.list_many(ids)})

    async def async_view(_: HttpRequest, droplet_id: int) -> JsonResponse:
        return await sync_to_async(count)(droplet_id)

    async def careless_view(_: HttpRequest, droplet_id: int) -> JsonResponse:
        return count(droplet_id)

    module = ModuleType("urls_of_this_test")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("sync/<int:droplet_id>", view),
        path("async/<int:droplet_id>", async_view),
        path("careless/<int:droplet_id>", careless_view),
        path("fleet", fleet_view),
    ]
    sys.modules[module.__name__] = module
    yield module.__name__
    del sys.modules[module.__name__]


@pytest.fixture(autouse=True)
def configured(urls: str) -> Iterator[None]:
    """Django finds the views of the test."""
    with override_settings(ROOT_URLCONF=urls):
        yield


def body(response: Any) -> dict[str, Any]:
    """Give the JSON of a response."""
    content: dict[str, Any] = json.loads(response.content)
    return content


@pytest.fixture
def total(fleet: Fleet, droplet_id: int) -> int:
    """How many backups the Droplet has."""
    return len(fleet.droplets[droplet_id].backups)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_wsgi(simulator: Simulator, droplet_id: int, total: int, kind: str) -> None:
    """Sync and async views work under WSGI, on one connection."""
    for _ in range(3):
        assert body(Client().get(f"/{kind}/{droplet_id}"))["total"] == total
    assert (simulator.received, simulator.connections, len(loop_threads())) == (3, 1, 1)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_asgi(simulator: Simulator, droplet_id: int, total: int, kind: str) -> None:
    """Sync and async views work under ASGI, on one connection, and not in the loop's thread."""
    for _ in range(3):
        answer = body(await AsyncClient().get(f"/{kind}/{droplet_id}"))
        assert answer["total"] == total
        assert answer["thread"] != threading.get_ident()
    assert (simulator.received, simulator.connections, len(loop_threads())) == (3, 1, 1)


@pytest.mark.blocks_loop
async def test_asgi_without_sync_to_async(droplet_id: int, total: int) -> None:
    """A blocking call in an async view works under ASGI, and warns."""
    with pytest.warns(BlockingCallWarning, match="AsyncGradient"):
        answer = body(await AsyncClient().get(f"/careless/{droplet_id}"))
    assert answer["total"] == total


def expected(fleet: Fleet) -> dict[str, int]:
    """Give how many backups each Droplet has."""
    return {str(droplet.id): len(droplet.backups) for droplet in fleet.droplets.values()}


def test_fan_out_under_wsgi(fleet: Fleet) -> None:
    """A view can ask about the whole fleet under WSGI."""
    assert body(Client().get("/fleet")) == expected(fleet)


async def test_fan_out_under_asgi(fleet: Fleet) -> None:
    """A sync view can ask about the whole fleet under ASGI."""
    assert body(await AsyncClient().get("/fleet")) == expected(fleet)


async def test_errors_under_asgi() -> None:
    """A view can handle the errors of the client as usual."""
    response = await AsyncClient().get("/sync/404")
    assert response.status_code == 404
    assert body(response)["error"]
