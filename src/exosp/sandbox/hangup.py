"""How an HTTP answer fails to arrive: the connection is closed before it, or in its middle. It knows no service."""

from aiohttp import web

__all__ = ["halfway", "silent"]


class _Silence(web.Response):
    """An answer that is never written."""

    async def prepare(self, request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.abort()

    async def write_eof(self, data: bytes = b"") -> None:
        pass


def silent(request: web.Request) -> web.Response:
    """Close the connection instead of answering."""
    if request.transport is not None:
        request.transport.abort()
    return _Silence()


async def halfway(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, close the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    headers = {name: value for name, value in whole.headers.items() if name.lower() not in _OWN}
    cut = web.StreamResponse(status=whole.status, headers=headers)
    cut.content_length = len(body)
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()  # what was written still goes out
    return cut


_OWN = frozenset({"content-length", "transfer-encoding", "content-encoding"})
