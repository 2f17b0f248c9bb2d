"""What ships: playbooks and templates are found from a wheel, from a wheel that was built from the sdist, and from the
editable install that the tests run in; and a wheel alone is enough to run the demo."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import exosp
from exosp import resources

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = [
    f"{folder}/{path.name}" for folder in ("playbooks", "templates") for path in sorted((ROOT / folder).iterdir())
]

pytestmark = pytest.mark.slow


def python(*words: str, folder: Path, **variables: str) -> str:
    """Run Python off every network and package index; its output. Nothing of the tree is importable but by PYTHONPATH."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("EXOSP_", "AZURE_", "PYTHON", "PIP_"))}
    environment |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | variables
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(source: Path, into: Path, kind: str) -> Path:
    python("-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(into), str(source), folder=into)
    [found] = into.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return found


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module", params=["tree", "sdist"])
def wheel(request: pytest.FixtureRequest, sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the working tree, and one built from nothing but the sdist."""
    into = tmp_path_factory.mktemp(f"wheel-{request.param}")
    if request.param == "tree":
        return build(ROOT, into, "wheel")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    [source] = unpacked.iterdir()
    return build(source, into, "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs; its dependencies come from the tests' own environment."""
    into = tmp_path_factory.mktemp("installed")
    python("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(into), str(wheel), folder=into)
    return into


FIND = """
import sys, exosp
from pathlib import Path
from exosp import resources
print(Path(exosp.__file__).resolve().parent)
for name in sys.argv[1:]:
    found = resources.path(*name.split("/"))
    print(found, found.stat().st_size, sep="|")
"""


def test_an_installed_wheel_finds_what_ships_with_it(installed: Path) -> None:
    """Every playbook and template, inside the package, with the bytes of the tree."""
    place, *found = python("-c", FIND, *SHIPPED, folder=installed, PYTHONPATH=str(installed)).splitlines()
    assert Path(place) == (installed / "exosp").resolve()
    for name, line in zip(SHIPPED, found, strict=True):
        path = Path(line.partition("|")[0])
        assert path.is_relative_to(place)
        assert path.read_bytes() == (ROOT / name).read_bytes()


def test_the_editable_install_finds_them_too() -> None:
    """hatchling's force-include is absent there: they stand beside src."""
    assert Path(exosp.__file__).is_relative_to(ROOT / "src"), "the tests are meant to run on an editable install"
    assert {resources.path(*name.split("/")) for name in SHIPPED} == {ROOT / name for name in SHIPPED}


def test_a_wheel_holds_what_type_checkers_and_the_sandbox_need(wheel: Path) -> None:
    """py.typed, the sandbox's tables, the licence, the command; every module of the tree, and no test."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        [metadata] = [name for name in names if name.endswith(".dist-info/METADATA")]
        [points] = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        said, commands = archive.read(metadata).decode(), archive.read(points).decode()
    tree = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "exosp").rglob("*.py")}
    assert tree <= names
    assert {"exosp/py.typed", "exosp/sandbox/schema/cmdlets.json", "exosp/sandbox/schema/graph-types.json"} <= names
    assert {"exosp/report/html/audit.css", "exosp/report/html/audit.js"} <= names
    assert {f"exosp/{name}" for name in SHIPPED} <= names
    assert not [name for name in names if "test" in name.partition("/")[0] or name.endswith(".pyc")]
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert "exosp = exosp.cli:main" in commands
    assert f"\nVersion: {exosp.__version__}\n" in said
    assert "\nProvides-Extra: sandbox\n" in said


def test_the_sdist_holds_what_its_tests_need(sdist: Path) -> None:
    """Sources, tests with their data, what ships; nothing of caches or version control."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", *SHIPPED} <= names
    assert {str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*") if p.suffix in (".py", ".json")} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".git/", "." + "mypy"))]


def test_a_wheel_alone_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    """From a folder that is not the tree, to the proof."""
    said = python("-m", "exosp", "demo", "--faults", "none", folder=tmp_path, PYTHONPATH=str(installed))
    assert "5 of 5 logins came out right." in said
    assert f"cp {installed}/exosp/templates/playbook.yaml ." in said
    assert list(tmp_path.iterdir()) == []
