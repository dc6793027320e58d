"""What the logger ``gradient_async`` tells while a request is under way."""

from __future__ import annotations

import logging
import re

import pytest
from conftest import AnyClient

from gradient_async import AsyncGradient
from gradient_async.testing import Fault, Simulator


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """The messages of one level, without the address of the server."""
    assert {record.name for record in caplog.records} <= {"gradient_async", "asyncio"}
    ours = [record for record in caplog.records if record.name == "gradient_async"]
    messages = [record.getMessage() for record in ours if record.levelno == level]
    return [re.sub(r"http://[\d.:]+", "", message) for message in messages]


async def test_why_a_request_takes_long(
    client: AnyClient, simulator: Simulator, droplet_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that is tried again and a rate limit that is waited for are told as they happen."""
    caplog.set_level(logging.INFO, "gradient_async")
    simulator.faults.add(Fault.status(503))
    simulator.faults.add(Fault.rate_limited("0.1"))
    await client.backups.list(droplet_id)
    failure, refusal = said(caplog, logging.INFO)
    path = f"/v2/droplets/{droplet_id}/backups"
    assert re.fullmatch(rf"GET {path}: 503 .*; tried again in \d\.\d s", failure)
    closed = r"429 too_many_requests: .*; rate limit closed for 0\.1 s"
    assert re.fullmatch(rf"GET {path}: {closed}", refusal)


async def test_each_answer(
    client: AnyClient, simulator: Simulator, droplet_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """On the level of debugging each answer is told, with the time that it took."""
    caplog.set_level(logging.DEBUG, "gradient_async")
    simulator.faults.add(Fault.redirect(f"/v2/droplets/{droplet_id}/backups?page=1"))
    await client.backups.list(droplet_id)
    path = f"/v2/droplets/{droplet_id}/backups"
    redirected, answered = said(caplog, logging.DEBUG)
    assert re.fullmatch(rf"GET {path}: 302 in \d\.\d{{3}} s", redirected)
    assert re.fullmatch(rf"GET {path}\?page=1: 200 in \d\.\d{{3}} s", answered)


async def test_an_answer_that_is_streamed(
    async_client: AsyncGradient, droplet_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A streamed answer is logged once its headers have come."""
    caplog.set_level(logging.DEBUG, "gradient_async")
    backups = async_client.gpu_droplets.backups
    async with backups.with_streaming_response.list(droplet_id):
        [answered] = said(caplog, logging.DEBUG)
    assert re.fullmatch(r"GET .*/backups: 200 in \d\.\d{3} s", answered)


async def test_nothing_is_told_of_what_goes_well(
    client: AnyClient, droplet_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the level of debugging a request that is answered at once leaves no record."""
    caplog.set_level(logging.INFO, "gradient_async")
    await client.backups.list(droplet_id)
    assert said(caplog, logging.INFO) == []
