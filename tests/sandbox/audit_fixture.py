"""A tenant written by hand, served whole, and two foreign clients for it: plain HTTP to Graph and to the admin endpoint."""

import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

READER: dict[str, Any] = {
    "graph_roles": ["Application.Read.All", "Directory.Read.All", "AuditLog.Read.All", "Policy.Read.All"],
    "exchange_roles": ["Exchange.ManageAsApp"],
    "directory_roles": ["Global Reader"],
}


class Auditor:
    """The application that AZURE_* names, as a client that knows no more than its id, its secret and the addresses."""

    def __init__(self, running: Running) -> None:
        self.sandbox = running.sandbox
        self.cloud = running.sandbox.cloud()
        self.variables = running.environment()
        trust = ssl.create_default_context(cafile=self.cloud["ca"])
        self.client = httpx.Client(verify=trust, trust_env=False, timeout=30)
        self._tokens: dict[str, str] = {}

    @property
    def tenant(self) -> Any:
        return self.sandbox.tenant

    def token(self, scope: str) -> str:
        if scope not in self._tokens:
            form = {
                "client_id": self.variables["AZURE_CLIENT_ID"], "client_secret": self.variables["AZURE_CLIENT_SECRET"],
                "scope": f"{scope}/.default", "grant_type": "client_credentials",
            }  # fmt: skip
            reply = self.client.post(
                f"{self.cloud['login']}/{self.variables['AZURE_TENANT_ID']}/oauth2/v2.0/token", data=form
            )
            assert reply.status_code == 200, reply.text
            self._tokens[scope] = reply.json()["access_token"]
        return self._tokens[scope]

    def graph(self, path: str, method: str = "GET", body: Any = None, **headers: str) -> httpx.Response:
        url = (
            path
            if path.startswith("https:")
            else f"{self.cloud['graph']}{'' if path.startswith('/beta') else '/v1.0'}{path}"
        )
        head = {"Authorization": f"Bearer {self.token(self.tenant.shape.graph)}"} | headers
        return self.client.request(method, url, headers=head, **({"json": body} if body is not None else {}))

    def every(self, path: str) -> list[dict[str, Any]]:
        """All pages of a list."""
        rows: list[dict[str, Any]] = []
        link: str | None = path
        while link is not None:
            reply = self.graph(link)
            assert reply.status_code == 200, reply.text
            rows += reply.json()["value"]
            link = reply.json().get("@odata.nextLink")
        return rows

    def _command(self, cmdlet: str, parameters: dict[str, Any]) -> tuple[str, Any, dict[str, str]]:
        system = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
        headers = {
            "Authorization": f"Bearer {self.token(self.tenant.shape.exchange_resource)}", "Prefer": "odata.maxpagesize=1000",
            "X-ResponseFormat": "json", "X-AnchorMailbox": f"APP:{system}@{self.tenant.tenant_id}",
            "client-request-id": str(uuid.uuid4()),
        }  # fmt: skip
        url = f"{self.cloud['admin_api']}/adminapi/beta/{self.tenant.tenant_id}/InvokeCommand"
        return url, {"CmdletInput": {"CmdletName": cmdlet, "Parameters": parameters}}, headers

    def may(self, cmdlet: str, **parameters: Any) -> bool:
        """Whether the caller has that cmdlet. The refusal's body is no text at all (FACTS §4d)."""
        url, body, headers = self._command(cmdlet, parameters)
        with self.client.stream("POST", url, json=body, headers=headers) as reply:
            return reply.status_code != 403

    def ask(self, cmdlet: str, **parameters: Any) -> httpx.Response:
        """One cmdlet at the admin endpoint, all of its pages in one."""
        url, body, headers = self._command(cmdlet, parameters)
        reply = self.client.post(url, json=body, headers=headers)
        while reply.status_code == 200 and reply.json().get("@odata.nextLink"):
            more = self.client.post(reply.json()["@odata.nextLink"], json=body, headers=headers)
            document = more.json()
            document["value"] = reply.json()["value"] + document["value"]
            document["@adminapi.warnings"] = reply.json()["@adminapi.warnings"] + document["@adminapi.warnings"]
            reply = httpx.Response(more.status_code, json=document)
        return reply

    def rows(self, cmdlet: str, **parameters: Any) -> list[dict[str, Any]]:
        reply = self.ask(cmdlet, **parameters)
        assert reply.status_code == 200, reply.text
        found: list[dict[str, Any]] = reply.json()["value"]
        return found


@contextmanager
def auditing(content: dict[str, Any] | None = None, faults: str = "none", **options: Any) -> Iterator[Auditor]:
    """A tenant of this content whose own application may only read, unless the content says else."""
    whole = {"admin": READER} | (content or {})
    with Running(Options(faults=faults, **options), whole) as running:
        found = Auditor(running)
        try:
            yield found
        finally:
            found.client.close()


def named(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    [row] = [row for row in rows if row.get("displayName", row.get("DisplayName")) == name]
    return row
