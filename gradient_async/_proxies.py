"""The proxies that the environment names, for the requests of a client."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ._config import is_loopback
from .errors import ConfigurationError

__all__ = ["proxy_from_environment"]


def proxy_from_environment(base_url: str) -> str | None:
    """Return the proxy that ``HTTPS_PROXY`` and its like name for a URL, if they name one.

    There is none for loopback: another machine would take it for its own.

    Raises:
        ConfigurationError: It is no ``http://`` or ``https://`` URL.
    """
    parts = urlsplit(base_url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    for name in (parts.scheme, "all"):
        if proxy := proxies.get(name, "").strip():
            return _checked_proxy(proxy, f"{name.upper()}_PROXY")
    return None


def _checked_proxy(proxy: str, variable: str) -> str:
    """Return the URL of a proxy; one without a scheme is reached by ``http://``.

    What is wrong is told without the URL, which may have a password in it.
    """
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"{variable} names a proxy that is no http:// or https:// URL",
            "change it, name the host in NO_PROXY, or give a `session` that can use that proxy",
        )
    return url
