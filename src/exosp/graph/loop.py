"""What the SDK needs beneath it and nothing else in exosp does: an event loop in a thread, and an asynchronous transport."""

import asyncio
import ssl
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..clouds import Cloud
from ..transport import is_loopback, trusted

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")


class Loop:
    """One event loop in one thread, for the one library that needs it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="graph", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return not self._loop.is_closed()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # where it was Ctrl-C that ended the wait
            raise

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def transport(cloud: Cloud) -> "httpx.AsyncHTTPTransport":
    """One connection pool. HTTP/1.1: requests come one at a time, and HTTP/2 costs its import. A proxy from the
    environment is used as everywhere, but never for this machine."""
    import httpx

    host = urlsplit(cloud.graph).hostname or ""
    direct = is_loopback(cloud.graph) or bool(proxy_bypass(host))
    proxy = None if direct else getproxies().get("https")
    context = ssl.create_default_context(cafile=trusted(cloud))
    return httpx.AsyncHTTPTransport(verify=context, proxy=proxy)
