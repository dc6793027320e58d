"""What the simulator answers with: a status, a JSON body, the API's error bodies."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec

__all__ = ["Refusal", "SimulatedAnswer", "encode_json", "error_answer", "html_answer"]

encode_json = msgspec.json.Encoder().encode

ERRORS = {
    400: ("bad_request", "The request could not be understood."),
    401: ("unauthorized", "Unable to authenticate you."),
    403: ("forbidden", "You do not have access for the attempted action."),
    404: ("not_found", "The resource you requested could not be found."),
    405: ("method_not_allowed", "The method is not allowed for the requested resource."),
    408: ("request_timeout", "The request took too long to arrive."),
    409: ("conflict", "The request conflicts with the state of the resource."),
    422: ("unprocessable_entity", "The request could not be processed."),
    429: ("too_many_requests", "API rate limit exceeded."),
    500: ("server_error", "Unexpected server-side error"),
    502: ("bad_gateway", "The server could not be reached."),
    503: ("service_unavailable", "The service is unavailable at the moment."),
    504: ("gateway_timeout", "The server did not answer in time."),
}


class Refusal(Exception):
    """An error answer of the API.

    Args:
        status: HTTP status code.
        message: Error message, by default the usual one of the status.
    """

    def __init__(self, status: int, message: str | None = None) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@attrs.frozen
class SimulatedAnswer:
    """One answer of the API before it is sent.

    Attributes:
        status: HTTP status code.
        body: The body's bytes.
        content_type: Value of the ``Content-Type`` header.
    """

    status: int
    body: bytes
    content_type: str = "application/json; charset=utf-8"


def error_answer(status: int, request_id: str, message: str | None = None) -> SimulatedAnswer:
    """Return the API's error body for ``status``."""
    identifier, usual = ERRORS.get(status, ("error", f"HTTP status {status}"))
    body: dict[str, Any] = {
        "id": identifier,
        "message": usual if message is None else message,
        "request_id": request_id,
    }
    return SimulatedAnswer(status, encode_json(body))


def html_answer(status: int) -> SimulatedAnswer:
    """Return the page of a proxy that stands in front of the API."""
    title = f"{status} {ERRORS.get(status, ('', 'Error'))[0].replace('_', ' ').title()}".strip()
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><h1>{title}</h1></body></html>"
    return SimulatedAnswer(status, page.encode(), "text/html; charset=UTF-8")
