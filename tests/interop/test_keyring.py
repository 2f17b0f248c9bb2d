"""A person's tokens are kept where this machine encrypts them: a real session bus, a real keyring (gnome-keyring by libsecret),
azure-identity's own cache. Skipped where one of them is not installed, by its name."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from admins import own_client
from desk import Desk

pytestmark = pytest.mark.slow

DISTRIBUTION = Path("/usr/lib/python3/dist-packages")  # where Debian's python3-gi stands
TESTS = Path(__file__).parents[1]

# One run: signs in at the sandbox's pages if a window is opened, and says what came of it.
RUN = """
import json, sys, webbrowser
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from exosp import clouds, signin
from exosp.signin import people
from person import Person

tests, cloud, client, upn, password, folder = sys.argv[1:]
cloud = clouds.find(cloud)
person, windows, said = Person(str(cloud.ca), upn, password), [], []
webbrowser.open = lambda url, *_: windows.append(url) or person.later(url)
why = people.cache()
asked = signin.Asked("browser", {"graph": client, "exchange": client}, terminal=True, folder=Path(folder), tell=said.append)
admin = signin.admin(cloud, {}, asked, tenant="contoso.onmicrosoft.com")
tokens = [admin.exchange_token().reveal(), admin.graph_token().reveal()]
admin.close()
print(json.dumps({"why": why, "windows": len(windows), "said": said, "tokens": tokens}))
"""


def missing() -> list[str]:
    programs = [name for name in ("dbus-run-session", "gnome-keyring-daemon") if shutil.which(name) is None]
    return programs + ([] if importlib.util.find_spec("gi") or (DISTRIBUTION / "gi").is_dir() else ["python3-gi"])


@pytest.fixture
def bus(tmp_path: Path) -> list[str]:
    """A command's beginning: on a session bus of its own, with an unlocked keyring. Only ``gi`` comes from the distribution."""
    if lacking := missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    if importlib.util.find_spec("gi") is None:
        (tmp_path / "path").mkdir()
        (tmp_path / "path" / "gi").symlink_to(DISTRIBUTION / "gi")
    unlocked = 'printf test | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; exec "$@"'
    return ["dbus-run-session", "--", "sh", "-c", unlocked, "sh", sys.executable, "-c"]


def test_a_sign_in_is_kept_in_the_keyring_and_nowhere_else(desk: Desk, tmp_path: Path, bus: list[str]):
    """The first run opens a window, the second none and gets tokens all the same, after a process between them has ended; no file
    holds any part of a token."""
    tenant = desk.running.sandbox.tenant
    home = tmp_path / "home"
    home.mkdir()
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "EXOSP_", "DBUS_", "XDG_"))
    }
    paths = [str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")]
    environment = keep | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    given = [
        str(TESTS), desk.running.environment()["EXOSP_CLOUD"], own_client(desk.running), f"admin@{tenant.domain}",
        tenant.person_password, str(home / "sign-ins"),
    ]  # fmt: skip
    # two processes on one bus: the keyring lives as long as the bus does
    twice = "import subprocess, sys\nfor _ in range(2):\n    subprocess.run([sys.executable, '-c', sys.argv[1], *sys.argv[2:]], check=True)\n"
    ran = subprocess.run(
        [*bus, twice, RUN, *given], env=environment, capture_output=True, text=True, timeout=100, cwd=tmp_path, check=False
    )  # fmt: skip
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if lines and lines[0]["why"]:
        pytest.skip(f"the keyring of this machine does not work: {lines[0]['why']}")
    assert len(lines) == 2, ran.stderr
    first, second = lines
    assert (first["windows"], first["said"]) == (1, [])
    assert (second["windows"], second["said"]) == (0, [])
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert held
    for token in first["tokens"] + second["tokens"]:
        assert not any(part.encode() in held for part in token.split("."))
    [record] = (home / "sign-ins").iterdir()
    assert "admin@contoso.onmicrosoft.com" in record.read_text()
