"""One answer whose headers have arrived, and the reading of its body."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

import aiohttp

from ._call import Call
from ._config import AccessToken
from ._connections import LoopConnections
from ._deadlines import Deadline
from ._http import Headers, Response, failed_response
from ._wire_errors import WIRE_FAILURES, wire_error
from .errors import APIResponseValidationError

__all__ = ["Exchange", "redacted"]


class Exchange:
    """One answer. It holds its connection, and its place among the requests, until it is closed."""

    def __init__(
        self,
        raw: aiohttp.ClientResponse,
        here: LoopConnections,
        call: Call,
        deadline: Deadline,
        started: float,
    ) -> None:
        self.here = here
        self.status_code: int = raw.status
        self.url: str = call.url
        self.headers: Mapping[str, str] = raw.headers
        self.retries_taken: int = call.sent - 1
        self.closed: bool = False
        self._begun = False
        self._raw = raw
        self._call = call
        self._deadline = deadline
        self._started = started
        self._arrived: bytes | None = None

    def take_what_arrived(self) -> None:
        """Take the body if all of it is there.

        aiohttp has given the connection to others then, and an error of theirs would reach this
        body as long as it is not read.
        """
        if self._arrived is None and self._raw.content.is_eof():
            self._arrived = self._raw.content.read_nowait()

    async def receive(self) -> bytes:
        """Read the whole body and give the connection back; failures are raised as they come.

        Raises:
            APIResponseValidationError: It is larger than ``max_response_bytes``. That of an answer
                with a bad status is cut off there.
        """
        most, pieces, size = self._call.terms.max_response_bytes, list[bytes](), 0
        try:
            self.take_what_arrived()
            if self._arrived and len(self._arrived) <= most:  # as most answers do, with the headers
                return self._arrived
            while piece := await self._piece():
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    return self._cut(pieces, most)
            # What a middleware of the user's session has read is kept by aiohttp.
            return b"".join(pieces) or await self._raw.read()
        finally:
            self.close()

    async def _piece(self) -> bytes:
        """Return the next piece of the body, an empty one at its end."""
        if self._arrived is not None:
            piece, self._arrived = self._arrived, b""
            return piece
        content = self._raw.content
        if content.is_eof():  # its last byte has come, however late it is read
            return content.read_nowait()
        with self._deadline:
            return await content.readany()

    def _cut(self, pieces: list[bytes], most: int) -> bytes:
        if self.status_code >= 300:  # which is what the answer says, more than its body
            return b"".join(pieces)[:most]
        pieces.clear()  # a traceback would show them
        raise APIResponseValidationError(
            f"an answer of more than {most} bytes",
            too_large=True,
            response=failed_response(redacted(self.response(b""), self._call.terms.token)),
            **self._call.about(),
        )

    async def read(self) -> bytes:
        """Read the whole body for the user, who can have it once.

        Raises:
            APIConnectionError: The body broke off, or did not arrive in time.
            APIResponseValidationError: It is larger than ``max_response_bytes``.
            RuntimeError: It was taken before, or the answer is closed.
        """
        self._begin()
        try:
            return await self.here.run(self.receive(), self._call.about)
        except WIRE_FAILURES as error:
            raise wire_error(error, self._call)  # noqa: B904 - it has its cause

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Return the body in pieces, as they arrive; errors as with `read`, but no limit."""
        self._begin()
        try:
            while piece := await self.here.run(self._piece(), self._call.about):
                yield piece
                if self.closed:
                    raise RuntimeError("the block of this answer was left while it was read")
        except WIRE_FAILURES as error:
            raise wire_error(error, self._call)  # noqa: B904 - it has its cause
        finally:
            self.close()

    def _begin(self) -> None:
        if self._begun:
            raise RuntimeError(
                "the body of this answer was already read, in pieces or not to its end: only "
                "`read` keeps it"
            )
        if self.closed:
            raise RuntimeError("the block of this answer was left before its body was read")
        self._begun = True

    def response(self, content: bytes) -> Response:
        """Return the answer as a value, with the body that was read."""
        return Response(
            "GET",
            self.url,
            self.status_code,
            self.headers,
            content,
            time.monotonic() - self._started,
            self.retries_taken,
        )

    def close(self) -> None:
        """Give the connection back, or drop it when the body was not read to its end."""
        if not self.closed:
            self.closed = True
            if self._raw.content.at_eof():
                self._raw.release()
            else:
                self._raw.close()
            self.here.slots.release()

    def close_soon(self) -> None:
        """Close it on its loop, from any thread."""
        with suppress(RuntimeError):  # the loop has ended, and its connections with it
            self.here.deadlines.loop.call_soon_threadsafe(self.close)


def redacted(response: Response, token: AccessToken) -> Response:
    """Mask the token in an answer, should the server have sent it back."""
    headers = {name: token.redact(value) for name, value in response.headers.items()}
    content = token.redact(response.content.decode("utf-8", "surrogateescape"))
    return Response(
        response.method,
        token.redact(response.url),
        response.status_code,
        Headers(headers),
        content.encode("utf-8", "surrogateescape"),
        response.seconds,
        response.retries_taken,
    )
