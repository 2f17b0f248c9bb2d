"""Microsoft's own Azure CLI, logged in to the sandbox as to a cloud of its own, and exosp run with it (EXOSP_TEST_AZ=/path/to/az).

Azure Resource Manager, which az asks for subscriptions when somebody logs in, is the test's own: it has none.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console import Console
from desk import Desk
from issuer import Host
from loopback import Authority

AZ = os.environ.get("EXOSP_TEST_AZ", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not AZ, reason="EXOSP_TEST_AZ names no az"),
    pytest.mark.timeout(300),
]

Az = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[Host, Path]]:
    authority = Authority(tmp_path, "manager")
    host = Host(lambda method, path, query, headers, body: (200, {"value": []}), authority.issue())
    yield host, authority.path
    host.close()


@pytest.fixture
def az(desk: Desk, tmp_path: Path, manager: tuple[Host, Path]) -> Az:
    """az with its own folder, the sandbox registered as its cloud, and what it trusts."""
    assert shutil.which(AZ), f"EXOSP_TEST_AZ={AZ} is no program"
    host, authority = manager
    cloud = json.loads(Path(desk.running.environment()["EXOSP_CLOUD"]).read_text())
    bundle = tmp_path / "trusted.pem"
    bundle.write_text(Path(cloud["ca"]).read_text() + authority.read_text())
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "EXOSP_"))}
    environment = clean | {
        "AZURE_CONFIG_DIR": str(tmp_path / "azure"), "AZURE_CORE_COLLECT_TELEMETRY": "no", "REQUESTS_CA_BUNDLE": str(bundle),
        "AZURE_CORE_INSTANCE_DISCOVERY": "false",
    }  # fmt: skip

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([AZ, *words], env=environment, capture_output=True, text=True, timeout=120, check=False)

    endpoints = {
        "activeDirectory": cloud["login"], "activeDirectoryResourceId": "https://management.core.windows.net/",
        "resourceManager": host.address, "management": "https://management.core.windows.net/",
        "microsoftGraphResourceId": cloud["graph"], "activeDirectoryGraphResourceId": cloud["graph"],
    }  # fmt: skip
    config = tmp_path / "cloud.json"
    config.write_text(json.dumps({"endpoints": endpoints, "suffixes": {}}))
    for words in (
        ("cloud", "register", "-n", "Sandbox", "--cloud-config", f"@{config}", "--skip-endpoint-discovery"),
        ("cloud", "set", "-n", "Sandbox"),
    ):
        ran = run(*words)
        assert ran.returncode == 0, ran.stderr
    run.environment = environment  # type: ignore[attr-defined]  # for who starts az otherwise
    return run


def test_exosp_runs_with_a_real_azure_cli(desk: Desk, az: Az, record_property: Callable[[str, object], None]):
    """az login as the provisioning application; plan finds what it finds by the secret, its tokens really az's; logged out, that is
    said with the line that helps."""
    given = desk.running.environment()
    ran = az(
        "login", "--service-principal", "-u", given["AZURE_CLIENT_ID"], "-p", given["AZURE_CLIENT_SECRET"],
        "--tenant", given["AZURE_TENANT_ID"], "--allow-no-subscriptions",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    mine = {name: value for name, value in given.items() if name.startswith("EXOSP_")}
    theirs = {
        name: value
        for name, value in az.environment.items()
        if name.startswith(("AZURE_C", "REQUESTS"))  # type: ignore[attr-defined]  # set above
    }
    path = f"{Path(AZ).parent}{os.pathsep}{os.environ['PATH']}"
    console = Console(desk.folder, mine | theirs | {"PATH": path, "EXOSP_REMOTING": "admin-api"})
    before = desk.requests()["token"].get("client_credentials", 0)
    started = time.monotonic()
    planned = console.run("plan", "playbook.yaml", "--sign-in", "azure-cli", "--format", "json")
    seconds = time.monotonic() - started
    assert planned.code == 3, planned.err
    by_secret = Console(desk.folder, given | {"EXOSP_REMOTING": "admin-api"}).run(
        "plan", "playbook.yaml", "--format", "json"
    )
    assert planned.document["changes"] == by_secret.document["changes"]
    assert desk.requests()["token"]["client_credentials"] > before
    assert az("logout").returncode == 0
    gone = console.run("plan", "playbook.yaml", "--sign-in", "azure-cli")
    assert gone.code == 2
    assert "az login --tenant" in gone.err
    said = az("version", "--output", "tsv", "--query", '"azure-cli"').stdout.strip()
    record_property("figure", f"plan signed in by a real Azure CLI {said}: {seconds:.1f} s")
