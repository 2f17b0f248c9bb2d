"""``$batch``: up to twenty requests in one, each served as a request of its own; answers in any order.

Source: learn.microsoft.com/graph/json-batching. Not imitated: bodies that are not JSON.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from .wire import Call, Reply, bad_request

MOST = 20


def check(call: Call) -> list[dict[str, Any]]:
    """The requests of a batch, each with an id of its own and dependencies that stand in it, dependencies first."""
    body = call.json()
    items = body.get("requests")
    if set(body) != {"requests"} or not isinstance(items, list) or not items:
        raise bad_request("Invalid batch payload format.", "BadRequest")
    if len(items) > MOST:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST}.", "MaximumValueExceeded")
    seen: set[str] = set()
    for item in items:
        _check_item(item, seen)
        seen.add(item["id"])
    ordered: list[dict[str, Any]] = []
    waiting = list(items)
    while waiting:
        done = {item["id"] for item in ordered}
        ready = [item for item in waiting if set(item.get("dependsOn", ())) <= done]
        if not ready:
            raise bad_request(
                "Batch requests depend on requests that are not in the batch, or on each other.", "BadRequest"
            )
        ordered += ready
        waiting = [item for item in waiting if item not in ready]
    return ordered


def _check_item(item: Any, seen: set[str]) -> None:
    if not isinstance(item, dict) or not set(item) <= {"id", "method", "url", "headers", "body", "dependsOn"}:
        raise bad_request("Invalid batch payload format.", "BadRequest")
    if not isinstance(item.get("id"), str) or not item["id"] or item["id"] in seen:
        raise bad_request("Every request of a batch needs an 'id' of its own that is a string.", "BadRequest")
    if item.get("method") not in ("GET", "POST", "PATCH", "PUT", "DELETE") or not isinstance(item.get("url"), str):
        raise bad_request(f"Request '{item['id']}' of the batch needs a method and a url.", "BadRequest")
    headers = item.get("headers") or {}
    if not isinstance(headers, dict) or (
        item.get("body") is not None and "content-type" not in {str(name).lower() for name in headers}
    ):
        raise bad_request(
            f"Write request id : {item['id']} does not contain Content-Type header or body.", "BadRequest"
        )


def _call(call: Call, item: dict[str, Any], parse: Callable[[str], dict[str, str]]) -> Call:
    """An item as a call: its url is relative to the version, or absolute on this host."""
    url = urlsplit(item["url"])
    path = url.path
    if url.netloc:
        if f"https://{url.netloc}" != call.base or not path.startswith("/v1.0/"):
            raise bad_request(f"Request '{item['id']}' of the batch names another host or version.", "BadRequest")
        path = path.removeprefix("/v1.0")
    headers = {str(name).lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    return Call(
        item["method"], "/" + path.lstrip("/"), parse(url.query), headers, item.get("body"), call.base, call.claims
    )


async def serve(
    call: Call,
    dispatch: Callable[[Call], Awaitable[Reply]],
    parse: Callable[[str], dict[str, str]],
    shuffle: random.Random,
) -> Reply:
    """Serve every item. One whose dependency failed is answered 424."""
    answers: dict[str, dict[str, Any]] = {}
    for item in check(call):
        if any(answers[name]["status"] >= 400 for name in item.get("dependsOn", ())):
            error = {"code": "FailedDependency", "message": "The request depends on another request that failed."}
            answers[item["id"]] = {"id": item["id"], "status": 424, "headers": {"Content-Type": "application/json"}, "body": {"error": error}}  # fmt: skip
            continue
        reply = await dispatch(_call(call, item, parse))
        answer: dict[str, Any] = {"id": item["id"], "status": reply.status, "headers": dict(reply.headers)}
        if reply.body is not None:
            answer["headers"].setdefault("Content-Type", "application/json")
            answer["body"] = reply.body
        answers[item["id"]] = answer
    rows = list(answers.values())
    shuffle.shuffle(rows)
    return Reply(200, {"responses": rows})
