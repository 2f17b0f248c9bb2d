"""The saved credential: what stands in the file, who may read it, and what is never written over."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exosp.errors import CloudError, Error, Forbidden, Throttled, Unreachable, UsageError
from exosp.snapshot import AppId, KeyId, Secret
from exosp.tenant import NewSecret
from exosp.vault import Credential, EnvFile
from exosp.writes import APPLICATION, AddSecret

APP = AppId("6731de76-14a6-49ae-97bc-6eba6914391e")
OTHER = AppId("11111111-2222-3333-4444-555555555555")
TENANT_ID = "9188040d-6c67-4c5b-b112-36a304b66dad"
TEXT = "abc8Q~x.Y_z-0123456789ABCDEFGHIJKLmnopqr"
FRESH = "-".join(("fresh", "secret"))  # nowhere in this file as one word, so that tracebacks can be searched for it
WRITE = AddSecret(APPLICATION, "exosp-support-desk", 15_552_000, "support-desk.env")
ENDS = datetime(2027, 5, 20, 12, 0, tzinfo=UTC)
SECRET = Secret(KeyId("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"), "exosp-support-desk", "abc", ENDS, ENDS)


def issued(tenant_id: str, client_id: str, client_secret: str) -> None:
    """A token endpoint that takes everything."""


class Refusing:
    """A token endpoint that answers with one error, and remembers what it was asked."""

    def __init__(self, error: Error) -> None:
        self.error = error
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, *asked: str) -> None:
        self.asked.append((asked[0], asked[1], asked[2]))
        raise self.error


def new(text: str = TEXT) -> NewSecret:
    return NewSecret(SECRET, text)


def save(path: Path, text: str = TEXT, app_id: AppId = APP) -> None:
    EnvFile(path, issued).save(app_id, TENANT_ID, new(text), WRITE)


def private(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o600)
    return path


@contextmanager
def nobody() -> Iterator[None]:
    """As a user whom permissions bind: root's tests would pass them all."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may walk into, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_the_whole_file(tmp_path):
    """The file holds the three names of the interface, the id of the secret and its end, and nothing else."""
    save(tmp_path / "app.env")
    assert (tmp_path / "app.env").read_text() == (
        "# Saved by exosp. Keep it private. The secret ends 2027-05-20 12:00 UTC."
        " Its key id is aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee.\n"
        f"EXOSP_APP_TENANT_ID={TENANT_ID}\n"
        f"EXOSP_APP_CLIENT_ID={APP}\n"
        f"EXOSP_APP_CLIENT_SECRET={TEXT}\n"
    )
    assert [entry.name for entry in tmp_path.iterdir()] == ["app.env"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_mode_is_0600_whatever_the_umask(tmp_path, umask):
    """Neither a loose umask nor a strict one changes the mode."""
    before = os.umask(umask)
    try:
        EnvFile(tmp_path / "app.env", issued).check()
        save(tmp_path / "app.env")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "app.env").stat().st_mode) == 0o600


def test_saving_again_replaces_an_old_credential_of_the_same_application(tmp_path):
    """The new secret stands there, private, and a stricter old mode is no obstacle."""
    save(tmp_path / "app.env", "old-secret")
    (tmp_path / "app.env").chmod(0o400)
    save(tmp_path / "app.env", "new-secret", AppId(APP.upper()))
    held = EnvFile(tmp_path / "app.env", issued).load()
    assert held == Credential(TENANT_ID, APP.upper(), "new-secret")
    assert stat.S_IMODE((tmp_path / "app.env").stat().st_mode) == 0o600


NASTY = ["it's", "'", "''", 'a"b', "$HOME", "$(touch pwned)", "`touch pwned`", "a\\b\\\\", "~root", "~", "#x", "a #b", "!!", "a b", "*", "é€", "a=b", "-n", "${X}"]  # fmt: skip


@pytest.mark.parametrize("text", [TEXT, *NASTY])
def test_bash_sources_it(tmp_path, text):
    """bash gets every secret to the letter, and none of them runs anything."""
    save(tmp_path / "app.env", text)
    script = 'set -eu; source ./app.env; printf "%s\\0%s\\0%s" "$EXOSP_APP_TENANT_ID" "$EXOSP_APP_CLIENT_ID" "$EXOSP_APP_CLIENT_SECRET"'
    came = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=True)
    assert came.stdout.decode().split("\0") == [TENANT_ID, APP, text]
    assert not (tmp_path / "pwned").exists()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=64))
def test_what_is_saved_is_loaded(tmp_path, text):
    """Every secret comes back as it was, or is refused before a file is made; the refusal does not show it."""
    path = tmp_path / "app.env"
    path.unlink(missing_ok=True)
    if text.isprintable():
        save(path, text)
        assert EnvFile(path, issued).load() == Credential(TENANT_ID, APP, text)
    else:
        with pytest.raises(UsageError) as caught:
            save(path, text)
        assert text not in "".join(traceback.format_exception(caught.value)) or len(text) < 3
        assert not path.exists()


def test_entra_secrets_need_no_quotes(tmp_path):
    """What Entra makes stands bare, so that readers that take quotes literally (docker --env-file) agree."""
    save(tmp_path / "app.env")
    assert f"EXOSP_APP_CLIENT_SECRET={TEXT}\n" in (tmp_path / "app.env").read_text()


def test_a_servers_key_id_cannot_add_a_line(tmp_path):
    """An id that is none is left out of the file: it is sourced by shells."""
    odd = NewSecret(replace(SECRET, key_id=KeyId("x\ntouch pwned")), TEXT)
    EnvFile(tmp_path / "app.env", issued).save(APP, TENANT_ID, odd, WRITE)
    assert "pwned" not in (tmp_path / "app.env").read_text()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_vault
Path.replace = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)
test_vault.save(Path({path!r}), "new-secret")
"""


@pytest.mark.parametrize("before", ["", "old-secret"])
def test_killed_before_the_rename(tmp_path, before):
    """The old file stays whole; the next save removes what was left behind."""
    path = tmp_path / "app.env"
    if before:
        save(path, before)
    script = KILLED.format(tests=str(Path(__file__).parent), path=str(path))
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    held = EnvFile(path, issued).load()
    assert (held.reveal() if held else "") == before
    left = [entry for entry in tmp_path.iterdir() if entry != path]
    assert [stat.S_IMODE(entry.stat().st_mode) for entry in left] == [0o600]
    save(path, "newer-secret")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    """Where the new file cannot be brought to disk, the old one stands and the temporary one is gone."""
    save(tmp_path / "app.env", "old-secret")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match="No space left on device") as caught:
        save(tmp_path / "app.env", FRESH)
    assert FRESH not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(UsageError, match="No space left"):
        EnvFile(tmp_path / "app.env", issued).check()
    monkeypatch.undo()
    held = EnvFile(tmp_path / "app.env", issued).load()
    assert held is not None
    assert held.reveal() == "old-secret"
    assert [entry.name for entry in tmp_path.iterdir()] == ["app.env"]


def test_a_save_that_is_under_way_is_not_swept(tmp_path):
    """Two runs at once: the one that ends first leaves the other's temporary file alone."""
    first, second = EnvFile(tmp_path / "app.env", issued), EnvFile(tmp_path / "app.env", issued)
    with first._new_file() as (_, name):
        second.save(APP, TENANT_ID, new(), WRITE)
        assert name.exists()


def test_check_leaves_nothing(tmp_path):
    """A check makes no file that stays and touches none that is there."""
    EnvFile(tmp_path / "app.env", issued).check()
    assert list(tmp_path.iterdir()) == []
    save(tmp_path / "app.env")
    before = (tmp_path / "app.env").stat()
    EnvFile(tmp_path / "app.env", issued).check()
    after = (tmp_path / "app.env").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [entry.name for entry in tmp_path.iterdir()] == ["app.env"]


def test_check_takes_the_longest_name(tmp_path):
    """A file name of 255 bytes can be saved: the temporary name does not grow with it."""
    save(tmp_path / ("x" * 255))
    EnvFile(tmp_path / ("x" * 255), issued).check()


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        EnvFile(path, issued).check()
    assert caught.value.where == str(path)
    return caught.value.what, caught.value.hint


def test_check_refuses_a_missing_folder(tmp_path):
    """The hint makes the folder."""
    assert refusal(tmp_path / "no such" / "app.env") == (
        "the credential cannot be saved: its folder does not exist",
        f"mkdir -p '{tmp_path}/no such'",
    )


def test_check_refuses_a_read_only_folder(open_folder):
    """Found by trying, as the user who runs it."""
    open_folder.chmod(0o555)
    with nobody():
        what, hint = refusal(open_folder / "app.env")
    assert what == "the credential cannot be saved: cannot create a file in its folder: Permission denied"
    assert hint == "make the folder writable, or name another file under save_to"


def test_check_refuses_what_is_no_file_of_ours(tmp_path):
    """A folder, links (also those that lead nowhere), pipes, a file as folder, somebody's settings: each by name."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    save(tmp_path / "real")
    (tmp_path / "live link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe", 0o600)
    private(tmp_path / "settings", "DB_PASSWORD=hunter2\n")
    private(tmp_path / "more", (tmp_path / "real").read_text() + "IMAP_HOST=localhost\n")
    why = {name: refusal(tmp_path / name)[0].partition("saved: ")[2] for name in
           ("folder", "link", "live link", "pipe", "settings", "more", "real/app.env")}  # fmt: skip
    assert why == {
        "folder": "it is a folder",
        "link": "it is a symbolic link",
        "live link": "it is a symbolic link",
        "pipe": "it is no regular file",
        "settings": "it is no saved credential: EXOSP_APP_TENANT_ID, EXOSP_APP_CLIENT_ID, EXOSP_APP_CLIENT_SECRET are missing",
        "more": "it holds more than the credential: IMAP_HOST",
        "real/app.env": "it cannot be read: Not a directory",
    }
    assert not (tmp_path / "elsewhere").exists()


def test_save_refuses_too(tmp_path):
    """Save judges once more: another application's file, a link and a folder stay as they are."""
    save(tmp_path / "other.env", app_id=OTHER)
    (tmp_path / "link.env").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "folder.env").mkdir()
    before = (tmp_path / "other.env").read_text()
    for name in ("other.env", "link.env", "folder.env"):
        with pytest.raises(UsageError) as caught:
            save(tmp_path / name, FRESH)
        assert FRESH not in "".join(traceback.format_exception(caught.value))
    assert (tmp_path / "other.env").read_text() == before
    assert not (tmp_path / "elsewhere").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.env", "link.env", "other.env"]


def state(path: Path, app_id: AppId | None = APP, error: Error | None = None) -> tuple[str, str]:
    found = EnvFile(path, Refusing(error) if error else issued).state(app_id)
    return found.state, found.why


def test_state_absent_and_works(tmp_path):
    """No file, or an empty one, is absent; one that a token is issued for works, whatever the id's case."""
    assert state(tmp_path / "app.env") == ("absent", "")
    (tmp_path / "app.env").touch(0o644)
    assert state(tmp_path / "app.env") == ("absent", "")
    save(tmp_path / "app.env")
    assert state(tmp_path / "app.env", AppId(APP.upper())) == ("works", "")


def test_state_asks_with_what_is_saved(tmp_path):
    """The token is asked for by the tenant, application and secret of the file."""
    save(tmp_path / "app.env")
    endpoint = Refusing(Forbidden("no", service="token"))
    EnvFile(tmp_path / "app.env", endpoint).state(APP)
    assert endpoint.asked == [(TENANT_ID, APP, TEXT)]


def test_state_refused(tmp_path):
    """A refusal's text is passed on, never the secret."""
    save(tmp_path / "app.env")
    error = CloudError(f"AADSTS7000215: Invalid client secret {TEXT}", service="token", status=401)
    assert state(tmp_path / "app.env", error=error) == ("refused", "AADSTS7000215: Invalid client secret …")


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no answer", may_have_happened=False, service="token"),
        Throttled("slow down", service="token"),
        CloudError("broken", service="token", status=503),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_is_no_refusal(tmp_path, error):
    """An endpoint that is away or throttles says nothing of the credential."""
    save(tmp_path / "app.env")
    with pytest.raises(type(error)):
        state(tmp_path / "app.env", error=error)


def test_state_foreign(tmp_path):
    """Whatever is not this application's credential is foreign: it is never asked with, and must not be written over."""
    save(tmp_path / "other.env", app_id=OTHER)
    whole = (tmp_path / "other.env").read_text()
    (tmp_path / "folder.env").mkdir()
    (tmp_path / "link.env").symlink_to(tmp_path / "other.env")
    private(tmp_path / "prose.env", "hello there\n")
    private(tmp_path / "twice.env", whole + whole)
    private(tmp_path / "quote.env", whole.replace(TEXT, "'open"))
    private(tmp_path / "words.env", whole.replace(TEXT, "a; touch pwned"))
    private(tmp_path / "id.env", whole.replace(OTHER, "../common"))
    (tmp_path / "bytes.env").write_bytes(b"\xff\xfe")
    (tmp_path / "bytes.env").chmod(0o600)
    private(tmp_path / "large.env", "#" * 70_000)
    another = (
        "foreign",
        "it holds the credential of another application, 11111111-2222-3333-4444-555555555555",
    )
    endpoint = Refusing(Forbidden("no", service="token"))
    found = {}
    for path in sorted(tmp_path.iterdir()):
        saved = EnvFile(path, endpoint).state(APP)
        found[path.stem] = (saved.state, saved.why)
    assert found == {
        "bytes": ("foreign", "it is no text, so no saved credential"),
        "folder": ("foreign", "it is a folder"),
        "id": ("foreign", "EXOSP_APP_TENANT_ID or EXOSP_APP_CLIENT_ID holds no id"),
        "large": ("foreign", "it is too large to be a saved credential"),
        "link": ("foreign", "it is a symbolic link"),
        "other": another,
        "prose": ("foreign", "line 1 is no assignment, so it is no saved credential"),
        "quote": ("foreign", "the value of EXOSP_APP_CLIENT_SECRET has a quote that is not closed"),
        "twice": ("foreign", "it assigns EXOSP_APP_TENANT_ID twice"),
        "words": ("foreign", "the value of EXOSP_APP_CLIENT_SECRET is more than one word"),
    }
    assert endpoint.asked == []
    assert state(tmp_path / "other.env", None) == another


def test_a_refused_credential_with_company_is_foreign(tmp_path):
    """Other settings in the file would be lost by writing it anew; while it works they do no harm."""
    save(tmp_path / "app.env")
    private(tmp_path / "app.env", (tmp_path / "app.env").read_text() + "export IMAP_HOST=localhost\n")
    assert state(tmp_path / "app.env") == ("works", "")
    assert state(tmp_path / "app.env", error=Forbidden("no", service="token")) == (
        "foreign",
        "its secret is refused, and it holds more than that: IMAP_HOST",
    )


def test_unreadable_for_this_user(open_folder):
    """A file of somebody else's is foreign, with the system's reason."""
    save(open_folder / "app.env")
    if os.geteuid() != 0:
        (open_folder / "app.env").chmod(0o000)
    with nobody():
        assert state(open_folder / "app.env") == ("foreign", "it cannot be read: Permission denied")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644])
def test_others_may_not_read_it(tmp_path, mode):
    """A file that others can read or write is an error that says chmod 600, for every reader."""
    save(tmp_path / "app.env")
    (tmp_path / "app.env").chmod(mode)
    file = EnvFile(tmp_path / "app.env", issued)
    for use in (lambda: file.state(APP), file.load, file.check):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.what == f"others may read the saved credential: its mode is {mode:04o}"
        assert caught.value.hint.startswith(f"chmod 600 {tmp_path}/app.env; ")


def test_load_explains(tmp_path):
    """load gives None for no file, and says why where a file cannot be used."""
    assert EnvFile(tmp_path / "app.env", issued).load() is None
    private(tmp_path / "app.env", "hello there\n")
    with pytest.raises(UsageError, match="cannot be used: line 1 is no assignment"):
        EnvFile(tmp_path / "app.env", issued).load()


def test_hand_written_forms_are_read(tmp_path):
    """export, quotes, Windows line ends, a byte order mark and comments are all fine."""
    private(tmp_path / "app.env", (
        "\ufeff# mine\r\n\r\n"
        f"export EXOSP_APP_TENANT_ID='{TENANT_ID}'\r\n"
        f'EXOSP_APP_CLIENT_ID="{APP}"\r\n'
        f"  EXOSP_APP_CLIENT_SECRET={TEXT}\r\n"
    ))  # fmt: skip
    assert EnvFile(tmp_path / "app.env", issued).load() == Credential(TENANT_ID, APP, TEXT)


def test_no_repr_shows_a_secret(tmp_path):
    """Neither the credential nor the vault tells it."""
    save(tmp_path / "app.env")
    vault = EnvFile(tmp_path / "app.env", issued)
    held = vault.load()
    assert held is not None
    assert TEXT not in repr(held) + str(held) + repr(vault) + repr(vault.__dict__)
    assert held.reveal() == TEXT
