"""Which sign-in ``auto`` takes, from what the machine has: by the environment, then Azure CLI, then a person on a terminal; nothing
is sent, and nobody is ever asked off a terminal."""

import pytest

from exosp.errors import UsageError
from exosp.signin import choice
from exosp.signin.choice import NAMES, Asked, _way

SECRET = {"AZURE_CLIENT_SECRET": "s"}
CERTIFICATE = {"AZURE_CLIENT_CERTIFICATE_PATH": "/c.pem"}
FILE = {"AZURE_FEDERATED_TOKEN_FILE": "/token"}
GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}
PIPELINE = {"SYSTEM_OIDCREQUESTURI": "https://x", "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "1"}
MACHINE = {"IDENTITY_ENDPOINT": "http://x"}
NAMED = {"AZURE_CLIENT_ID": "i", "AZURE_TENANT_ID": "t"}
SCREEN = {"DISPLAY": ":0"}

ROWS: list[tuple[dict[str, str], bool, bool, str]] = [
    # the environment, az on PATH, a terminal: what is taken
    (NAMED | SECRET | CERTIFICATE | FILE | PIPELINE | MACHINE, True, True, "secret"),
    (NAMED | CERTIFICATE | FILE | PIPELINE | MACHINE, True, True, "certificate"),
    (NAMED | FILE | PIPELINE | MACHINE, True, True, "workload-identity"),
    (NAMED | GITHUB, True, True, "workload-identity"),
    (GITHUB, True, False, "azure-cli"),  # every GitHub job with id-token: write has them: nobody was named
    (PIPELINE | MACHINE, True, True, "azure-pipelines"),
    (MACHINE, True, True, "managed-identity"),
    ({}, True, True, "azure-cli"),
    ({}, True, False, "azure-cli"),
    (SCREEN, False, True, "browser"),
    (SCREEN | {"SSH_TTY": "/dev/pts/0"}, False, True, "device-code"),
    ({}, False, True, "device-code"),
]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("given", "az", "terminal", "taken"), ROWS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_auto_takes_the_first_that_is_there(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], az: bool, terminal: bool, taken: str
):
    monkeypatch.setattr(choice, "installed", lambda program: az)
    assert _way(given, Asked(terminal=terminal)).name == taken


def test_every_sign_in_is_one_that_auto_can_take():
    """The names that the issue lists, and no other; each of them comes up in the table above."""
    assert set(NAMES) == {
        "auto", "azure-cli", "browser", "device-code", "secret", "certificate", "workload-identity", "azure-pipelines",
        "managed-identity",
    }  # fmt: skip
    assert {row[3] for row in ROWS} == set(NAMES) - {"auto"}


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("given", [{}, SCREEN, NAMED, NAMED | SCREEN])
def test_off_a_terminal_nobody_is_asked_and_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
):
    """No az, no terminal: a usage error with the variables to set; an application that is named without a proof is not
    replaced by anybody, on a terminal either."""
    monkeypatch.setattr(choice, "installed", lambda program: False)
    for terminal in (False, *((True,) if given.get("AZURE_CLIENT_ID") else ())):
        with pytest.raises(UsageError) as caught:
            _way(given, Asked(terminal=terminal))
        assert "AZURE_CLIENT_SECRET or AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE" in caught.value.what
