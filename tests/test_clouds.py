"""The cloud table itself; then the whole chain in a tenant of each row's shape, where nothing may be hard-coded; and what
the wrong cloud says."""

import dataclasses
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from console import EXOSP, Console
from desk import QUICKSTART, Desk
from exosp import clouds
from exosp.clouds import CLOUDS, TABLE, Cloud
from exosp.diagnosis.naming import named
from exosp.errors import CloudError, UsageError
from exosp.sandbox.clouds import SHAPES
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options

WORLDWIDE = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"  # IMAP.AccessAsApp
GCC_HIGH = "28b54159-e98b-4a00-9d52-10c8c7cbd7f3"


# The table


def test_every_cell_has_a_source_and_a_certainty() -> None:
    """Four rows of the same columns, one for each field of a cloud; no cell stands without where it is from, and how sure
    it is; what is unsure names what else it may be."""
    columns = {field.name for field in dataclasses.fields(Cloud)} - {"name", "ca"}
    assert set(TABLE) == {"global", "gcc-high", "dod", "china"}
    for name, row in TABLE.items():
        assert set(row) == columns, name
        for column, cell in row.items():
            assert cell.value, (name, column)
            assert cell.source, (name, column)
            assert cell.certainty in get_args(clouds.Certainty), (name, column)
            assert cell.also if cell.certainty == "?" else True, (name, column)
            assert cell.value not in cell.also


@pytest.mark.parametrize("name", TABLE)
def test_a_row_is_printed_as_a_cloud_file(name: str, tmp_path: Path) -> None:
    """exosp template cloud --cloud NAME: every value with its source and certainty, and what else is said of it; read back it is
    the row, taken by flag only."""
    ran = Console(tmp_path).here("template", "cloud", "--cloud", name)
    file = tmp_path / "cloud.json"
    file.write_text(ran.out)
    found = json.loads(ran.out)
    assert set(found["sources"]) == set(TABLE[name]) == set(found) - {"schema", "name", "sources"}
    for column, cell in TABLE[name].items():
        told = found["sources"][column]
        assert (found[column], told["source"], told.get("also", [])) == (cell.value, cell.source, list(cell.also))
        assert told["certainty"] == f"{cell.certainty}: {clouds.CERTAIN[cell.certainty]}"
    assert clouds.read_file(file, any_host=True) == CLOUDS[name]
    with pytest.raises(UsageError, match="not loopback"):
        clouds.find(str(file))


def test_a_cloud_that_there_is_not_is_not_printed(tmp_path: Path) -> None:
    """Nor is another template of a cloud."""
    console = Console(tmp_path)
    assert console.here("template", "cloud", "--cloud", "moon").code == 2
    assert console.here("template", "host", "--cloud", "dod").code == 2
    assert json.loads(console.here("template", "cloud").out)["name"] == "global"


def test_what_nobody_confirmed_is_marked() -> None:
    """The DoD's SMTP host rests on one source; the admin API of 21Vianet has two names."""
    assert TABLE["dod"]["smtp"].certainty == "C"
    assert TABLE["china"]["admin_api"].certainty == "?"
    assert TABLE["china"]["admin_api"].also == ("https://outlook.office365.cn",)
    assert {name for name, row in TABLE.items() if row["consent_resource"].certainty == "?"} == set(TABLE) - {"global"}


def test_no_role_id_stands_in_the_client() -> None:
    """Role ids differ between clouds: no file of the client has one, of any cloud that publishes them."""
    known = [WORLDWIDE, GCC_HIGH, "7146a1f0-8703-45b3-9eae-527a64c00995", "cb842b43-da6e-4506-86fe-bb12199c656d"]
    source = Path(clouds.__file__).parent
    files = [path for path in source.rglob("*.py") if "sandbox" not in path.relative_to(source).parts[:1]]
    assert len(files) > 50
    assert not [path.name for path in files for id_ in known if id_ in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize(("tenant", "found"), [
    ("contoso.onmicrosoft.com", ("global",)), ("contoso.onmicrosoft.us", ("gcc-high", "dod")),
    ("contoso.partner.onmschina.cn", ("china",)), ("contoso.com", ()), ("onmicrosoft.us.example", ()),
])  # fmt: skip
def test_an_initial_domain_tells_the_cloud(tenant: str, found: tuple[str, ...]) -> None:
    """GCC High and DoD share one ending; a domain of the tenant's own tells nothing."""
    assert clouds.of_tenant(tenant) == found


def test_a_cloud_file_with_other_hosts_is_taken_by_flag_only(tmp_path: Path) -> None:
    """By name, as EXOSP_CLOUD and the playbook have it, a file must name loopback alone; --cloud-file takes any host."""
    text = {name: cell.value for name, cell in TABLE["gcc-high"].items()}
    path = tmp_path / "cloud.json"
    path.write_text(json.dumps({"schema": "exosp/cloud/1", "name": "ours", **text}), encoding="utf-8")
    with pytest.raises(UsageError, match="not loopback"):
        clouds.find(str(path))
    taken = clouds.read_file(path, any_host=True)
    assert dataclasses.replace(taken, name="gcc-high") == CLOUDS["gcc-high"]
    assert not taken.emulated


# A tenant in each row's shape


# Of the rows that differ most from the worldwide cloud, which every other test is about, in every run.
@pytest.fixture(params=[
    pytest.param(name, marks=() if name in ("gcc-high", "china") else pytest.mark.slow) for name in sorted(TABLE)
])  # fmt: skip
def shaped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """The quickstart at a tenant of one cloud's shape."""
    with Running(Options(faults="none", seed=1, cloud=request.param)) as running:
        way = "" if request.param in ("gcc-high", "china") else "admin-api"
        desk = Desk(tmp_path, running, remoting=way)
        suffix = running.sandbox.tenant.shape.suffix
        desk.write(QUICKSTART.read_text(encoding="utf-8").replace("contoso.onmicrosoft.com", f"contoso.{suffix}"))
        yield desk


def _role_ids(desk: Desk) -> dict[str, str]:
    [exchange] = [p for p in desk.state()["servicePrincipals"] if p["displayName"] == "Office 365 Exchange Online"]
    return {role["value"]: role["id"] for role in exchange["appRoles"]}


def test_the_whole_chain_in_each_clouds_shape(shaped: Desk) -> None:
    """Other role ids, audiences, resource names and environment, and no upsert: plan, apply and verify work all the same,
    a second plan is empty, and there is one application."""
    name = shaped.running.sandbox.tenant.shape.name
    result = shaped.apply()
    assert not result.failed
    verdict = shaped.verify(negative=("private@contoso.com",))
    assert verdict.proven
    assert verdict.claims["aud"] == TABLE[name]["exchange_resource"].value
    assert shaped.look()[1].empty
    [app] = shaped.applications()
    [entry] = app["requiredResourceAccess"]
    asked = {access["id"] for access in entry["resourceAccess"]}
    here = _role_ids(shaped)
    assert asked == {here["IMAP.AccessAsApp"], here["POP.AccessAsApp"], here["SMTP.SendAsApp"]}
    assert (WORLDWIDE in asked) is (name == "global")
    assert (GCC_HIGH in asked) is (name == "gcc-high")
    posted = shaped.requests()["graph"].get("POST /applications", 0)
    assert posted == (0 if name == "global" else 1)


@pytest.mark.parametrize("form", [2, 3])
def test_an_upsert_may_be_refused_in_either_form(form: int, tmp_path: Path) -> None:
    """400 or 404: the application is looked for and made, once, also where apply runs twice."""
    with Running(Options(faults=f"default,upsert-refused={form}", seed=2)) as running:
        desk = Desk(tmp_path, running, remoting="admin-api")
        desk.write(QUICKSTART.read_text(encoding="utf-8"))
        assert not desk.apply().failed
        assert not desk.apply().failed
        assert len(desk.applications()) == 1
        assert desk.verify().proven


def test_the_shape_is_what_the_clients_row_says() -> None:
    """Two tables that share no code, one of the client and one of the sandbox, agree cell by cell."""
    assert set(SHAPES) == set(TABLE)
    for name, shape in SHAPES.items():
        row = TABLE[name]
        assert shape.exchange_resource == row["exchange_resource"].value
        assert shape.environment == row["exchange_environment"].value
        assert shape.graph == row["graph"].value
        assert row["login"].value == f"https://login.{shape.instance}"
        assert name in clouds.of_tenant(f"contoso.{shape.suffix}")


# The wrong cloud


@pytest.mark.parametrize(("form", "code"), [(0, "AADSTS90002"), (1, "AADSTS90038"), (2, "AADSTS900382")])
def test_a_tenant_of_another_cloud_is_diagnosed(form: int, code: str, tmp_path: Path) -> None:
    """Each way in which Entra says it ends the command before anything is written, with the code, and with the clouds to
    name instead."""
    with Running(Options(faults=f"none,other-cloud={form}", seed=1)) as running:
        desk = Desk(tmp_path, running)
        desk.write(QUICKSTART.read_text(encoding="utf-8").replace("contoso.onmicrosoft.com", "fabrikam.onmicrosoft.us"))
        with pytest.raises(CloudError) as caught:
            desk.look()
        assert caught.value.code == code
        why = named(caught.value)
        assert why is not None
        assert why.key == "cloud-wrong"
        assert "gcc-high or dod" in why.fix
        state: dict[str, Any] = desk.state()
        assert len(state["applications"]) == 1


def test_another_clouds_audience_is_refused(tmp_path: Path) -> None:
    """GCC High and DoD share one login host, so there the audience betrays the wrong row: AADSTS500011, and why."""
    with Running(Options(faults="none", seed=1, cloud="dod")) as running:
        desk = Desk(tmp_path, running)
        desk.write(QUICKSTART.read_text(encoding="utf-8").replace("contoso.onmicrosoft.com", "contoso.onmicrosoft.us"))
        held = json.loads(running.sandbox.cloud_path.read_text())
        held["exchange_resource"] = TABLE["gcc-high"]["exchange_resource"].value
        other = tmp_path / "cloud.json"
        other.write_text(json.dumps(held), encoding="utf-8")
        with pytest.raises(CloudError) as caught, desk.session(EXOSP_CLOUD=str(other)):
            pass
        assert caught.value.code == "AADSTS500011"
        assert "cloud" in caught.value.hint


# The command line


def test_a_sandbox_of_a_shape_and_a_document_that_names_it(tmp_path: Path) -> None:
    """sandbox run --cloud-shape gives the command a tenant of that cloud, and plan's document names the cloud; the option
    comes before the tenant file's key, which comes before global."""
    console = Console(tmp_path)
    text = QUICKSTART.read_text(encoding="utf-8")
    console.write(text.replace("contoso.onmicrosoft.com", "contoso.partner.onmschina.cn"))
    (tmp_path / "tenant.yaml").write_text("cloud: china\n", encoding="utf-8")
    sandbox = ("sandbox", "run", "--faults", "none")
    plan = ("--", "sh", "-c", f'"{EXOSP}" plan playbook.yaml --format json > out.json 2> err.txt')
    assert console.here(*sandbox, "--cloud-shape", "china", *plan).code == 3
    document = json.loads((tmp_path / "out.json").read_text())
    assert (document["cloud"], document["emulated"]) == ("sandbox-china", True)
    assert document["changes"]
    for more, name in (((), "sandbox-china"), (("--cloud-shape", "dod"), "sandbox-dod")):
        shown = ("--", "sh", "-c", 'cp "$EXOSP_CLOUD" cloud.json')
        assert console.here(*sandbox, "--tenant", "tenant.yaml", *more, *shown).code == 0
        assert json.loads((tmp_path / "cloud.json").read_text())["name"] == name
    assert console.here(*sandbox, "--cloud-shape", "dod", *plan).code != 0
    assert json.loads((tmp_path / "out.json").read_text())["cloud"] == "sandbox-dod"
    assert "AADSTS90002" in (tmp_path / "err.txt").read_text()


@pytest.mark.slow
def test_every_document_names_its_cloud(desk: Desk) -> None:
    """Each command's, one that an error ends too; and on a screen the head of a plan and of a preflight."""
    console = Console(desk.folder, desk.running.environment() | {"EXOSP_REMOTING": "admin-api"})
    runs = [
        ("preflight", "playbook.yaml"), ("plan", "playbook.yaml"), ("apply", "playbook.yaml", "--yes"), ("verify", "playbook.yaml"),
        ("plan", "playbook.yaml", "--sign-in", "certificate"), ("undo", "playbook.yaml", "--yes"),
        ("apply", "playbook.yaml", "--yes"), ("destroy", "playbook.yaml", "--yes"),
    ]  # fmt: skip
    for words in runs:
        ran = console.here(*words, "--format", "json")
        document = ran.document
        assert (document["schema"], document["cloud"]) == (f"exosp/{words[0]}/1", "sandbox"), ran.err
        assert document["tenant"] == "contoso.onmicrosoft.com"
        assert document["emulated"] is True
    for command in ("preflight", "plan"):
        assert "cloud sandbox" in " ".join(console.here(command, "playbook.yaml").out.split())


def test_a_shape_that_is_none(tmp_path: Path) -> None:
    """A misspelt cloud ends with exit code 2 and the names there are, from option and from tenant file."""
    console = Console(tmp_path)
    (tmp_path / "tenant.yaml").write_text("cloud: mars\n", encoding="utf-8")
    for given in (["--cloud-shape", "mars"], ["--tenant", "tenant.yaml"]):
        done = console.here("sandbox", "run", *given, "--", "true")
        assert done.code == 2
        assert "global, gcc-high, dod, china" in done.err


def test_a_reset_keeps_the_shape() -> None:
    """Clients hold the addresses and names of the cloud that was started, so a reset into another one is refused."""
    with Running(Options(faults="none", cloud="gcc-high")) as running:
        place = running.environment()["EXOSP_SANDBOX"] + "/reset"
        came = []
        for tenant in ("cloud: dod", "cloud: gcc-high", "{}"):
            body = json.dumps({"tenant": tenant}).encode()
            try:
                with urllib.request.urlopen(urllib.request.Request(place, body), timeout=10) as reply:
                    came.append(reply.status)
            except urllib.error.HTTPError as refused:
                came.append(refused.code)
        assert came == [400, 200, 200]
        assert running.sandbox.tenant.domain == "contoso.onmicrosoft.us"
