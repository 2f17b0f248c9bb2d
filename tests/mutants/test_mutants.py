"""Break the code on purpose: each named break must turn a named test red. The list is printed at the end.

A break is one replacement in one file of a copy of the project. A test that stays green under its break proves nothing,
and a replacement whose text is no longer there is an error, so the list cannot rot.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.mutants, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutant:
    """``file`` below src/exosp, ``old`` once in it, and the test that must notice."""

    name: str
    file: str
    old: str
    new: str
    test: str


CHAIN = "tests/test_chain.py::"
CLIENT = (
    Mutant("the application's own object ID is sent to Exchange", "exchange/online.py",
           '"ObjectId": object_id.value(seen)', '"ObjectId": seen.application.object_id',
           CHAIN + "test_the_quickstart_ends_in_working_logins"),
    Mutant("Get-ServicePrincipal is believed unfiltered", "exchange/online.py",
           'if shown(row, "AppId").lower() == app_id.lower()', "if True",
           "tests/test_exchange_rows.py::test_entries_are_filtered_here"),
    Mutant("POP AUTH goes in one line", "mail/pop.py",
           'self.client.command("AUTH XOAUTH2")', 'self.client.command("AUTH XOAUTH2 " + answer.decode())',
           CHAIN + "test_the_quickstart_ends_in_working_logins"),
    Mutant("the SDK repeats a POST by itself", "graph/client.py",
           'GraphClientFactory.create_with_custom_middleware(\n            [ParametersNameDecodingHandler()], client=client\n        )',
           "GraphClientFactory.create_with_default_middleware(client=client)",
           "tests/test_graph_client.py::test_throttling_is_told_and_never_repeated_here"),
    Mutant("a lost reply to a POST is answered with the same POST", "patience.py",
           "if isinstance(fault, Unreachable) and fault.may_have_happened and not idempotent:", "if False:",
           "tests/test_patience.py::test_a_write_that_may_have_happened_is_not_repeated_blindly"),
    Mutant("the token is not renewed after consent", "verify.py",
           "        if final:\n            token = patience.transport(logins.token)", "        pass",
           CHAIN + "test_verify_mints_a_new_token_after_consent"),
    Mutant("a Graph token is used for mail", "signin/identity.py",
           "return _ask(credential, wire, cloud.exchange_scope, asked)[0]", "return _ask(credential, wire, cloud.graph_scope, asked)[0]",
           CHAIN + "test_the_quickstart_ends_in_working_logins"),
    Mutant("other entries of requiredResourceAccess are dropped", "steps/application.py",
           "return (*required, RequiredResource(", "return (RequiredResource(",
           CHAIN + "test_other_permissions_of_the_application_stay"),
    Mutant("role ids are hard-coded", "steps/consent.py",
           "role = seen.resource.roles.get(value)", 'role = "5e5addcd-3e8d-4e90-baf5-964efab2b20a"',
           CHAIN + "test_role_ids_are_looked_up"),
    Mutant("a second secret is added where a live one is lost", "steps/credential.py",
           "    if alive:", "    if False:",
           CHAIN + "test_a_lost_saved_secret_is_not_answered_with_another"),
    Mutant("a secret whose reply was lost stays alive", "converge.py",
           "strays = [s for s in live(self.want, self.seen) if s.key_id not in self._known and s.key_id != self._kept]", "strays: list[Secret] = []",
           CHAIN + "test_a_lost_secret_leaves_no_second_one"),
    Mutant("another application's credential file is written over", "steps/credential.py",
           'if saved.state == "foreign":', "if False:",
           CHAIN + "test_a_foreign_credential_file_is_not_written_over"),
    Mutant("the credential file can be read by others", "vault.py",
           "MODE = 0o600", "MODE = 0o644",
           CHAIN + "test_the_secret_is_in_its_file_and_nowhere_else"),
    Mutant("a deny entry is overlooked", "steps/grants.py",
           "        if any(row.deny for row in rows):\n            yield", "        if False:\n            yield",
           CHAIN + "test_a_deny_entry_is_named_and_not_granted_over"),
    Mutant("a login that must be refused and works is passed", "verify.py",
           'fix = f"Get-MailboxPermission -Identity {probe.mailbox} shows who granted what; remove what is too much"\n            return Proof(probe, reading.stage, False,',
           'fix = ""\n            return Proof(probe, reading.stage, True,',
           CHAIN + "test_a_mailbox_that_must_be_refused_and_opens_is_a_failure"),
    Mutant("mail servers' host names are not checked", "mail/line.py",
           "context.minimum_version = ssl.TLSVersion.TLSv1_2", "context.check_hostname = False",
           "tests/test_probes.py::test_a_certificate_that_does_not_verify_gets_no_token"),
    Mutant("an application's display name identifies it", "steps/application.py",
           "tenant.directory.application(want.app.unique_name)", "tenant.directory.application(want.app.name)",
           CHAIN + "test_plan_after_apply_is_empty_and_a_second_apply_writes_nothing"),
    Mutant("SMTP AUTH is taken for on where only the tenant says off", "steps/protocols.py",
           "access.smtp_auth_disabled is None and tenant_off", "access.smtp_auth_disabled is None and False",
           CHAIN + "test_the_quickstart_ends_in_working_logins"),
)  # fmt: skip

ACCESS = "tests/sandbox/test_access.py::"
KINDER = (
    Mutant("mail takes a token for any audience", "sandbox/doors/access.py",
           'audience.removesuffix("/") not in AUDIENCES', "not audience",
           ACCESS + "test_a_token_that_is_not_for_exchange_is_refused_at_auth"),
    Mutant("mail asks for no role", "sandbox/doors/access.py",
           "ROLES[protocol] not in roles", "False",
           ACCESS + "test_each_protocol_needs_its_own_role"),
    Mutant("Exchange's ObjectId need not be the token's oid", "sandbox/doors/access.py",
           'and row["ObjectId"].lower() == object_id and', "and",
           ACCESS + "test_an_entry_with_the_applications_own_object_id_lets_nobody_in"),
    Mutant("a mailbox opens without FullAccess", "sandbox/doors/access.py",
           'if holds(mailbox.permissions, "FullAccess", {object_id}, tenant.clock.now()):', "if True:",
           ACCESS + "test_without_a_grant_the_gate_is_as_the_rules_say"),
    Mutant("a grant counts before its time", "sandbox/doors/access.py",
           '        and row.effective_at <= at\n', "",
           ACCESS + "test_a_delayed_grant_is_no_grant_until_its_time"),
    Mutant("a protocol that is off is served", "sandbox/doors/access.py",
           "return None if exchange.honoured(", "return None if True or exchange.honoured(",
           ACCESS + "test_a_protocol_switched_off_closes_that_protocol_only"),
    Mutant("tokens are taken unsigned", "sandbox/tokens.py",
           '"verify_exp": False,', '"verify_signature": False, "verify_exp": False,',
           ACCESS + "test_a_forged_token_is_refused"),
    Mutant("tokens never expire", "sandbox/tokens.py",
           'if now >= float(claims.get("exp", 0)):', "if False:",
           "tests/sandbox/test_graph.py::test_a_token_expires_in_sandbox_time"),
    Mutant("POP takes AUTH in one line", "sandbox/doors/pop.py",
           "if len(arguments) > 1:", "if False:",
           "tests/sandbox/test_pop_door.py::test_auth_on_one_line_ends_the_connection"),
    Mutant("a new secret works at once", "sandbox/entra.py",
           "if holder.secret_usable_at.get(key, 0.0) > now:", "if False:",
           "tests/sandbox/test_entra.py::test_a_new_secret_lags"),
    Mutant("Graph takes unknown properties", "sandbox/odata.py",
           "        if key not in known:\n            raise Refused(", "        if key not in known:\n            continue\n            raise Refused(",
           "tests/sandbox/test_graph.py::test_a_body_is_held_against_the_metadata"),
    Mutant("what was just made can be read at once", "sandbox/graph/wire.py",
           "if entity.readable_at > self.now():", "if False:",
           "tests/sandbox/test_graph.py::test_read_lag_hides_a_new_object_from_reads_by_id"),
    Mutant("an application may have two enterprise applications", "sandbox/graph/principals.py",
           "    if directory.principal(app_id):\n", "    if False:\n",
           "tests/sandbox/test_graph.py::test_a_principal_needs_an_application_and_is_one"),
    Mutant("New-ServicePrincipal takes any ObjectId whatever the knob says", "sandbox/cmdlets/principals.py",
           'if tenant.faults["object-id-check"] and not', "if False and not",
           "tests/sandbox/test_cmdlets.py::test_object_id_check"),
    Mutant("cmdlets take unknown parameters", "sandbox/cmdlets/binding.py",
           "raise binding(f\"A parameter cannot be found that matches parameter name '{name}'.\", \"NamedParameterNotFound\")",
           "return next(iter(cmdlet.parameters.values())), False",
           "tests/sandbox/test_cmdlets.py::test_binding_errors_are_powershell_s"),
)  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project that tests import from."""
    folder = tmp_path_factory.mktemp("mutants")
    skipped = shutil.ignore_patterns("__pycache__")
    for name in ("src", "tests", "playbooks", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-n", "0", "-m", "", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_named_tests_pass_on_the_code_as_it_is(copy: Path) -> None:
    """Otherwise a red test under a break would say nothing."""
    where = subprocess.run(
        [sys.executable, "-c", "import exosp; print(exosp.__file__)"],
        env=os.environ | {"PYTHONPATH": str(copy / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(copy))
    came = run(copy, *sorted({mutant.test for mutant in (*CLIENT, *KINDER)}))
    assert came.returncode == 0, came.stdout[-3000:]


@pytest.mark.parametrize("mutant", [*CLIENT, *KINDER], ids=lambda mutant: mutant.name)
def test_a_break_turns_its_test_red(copy: Path, mutant: Mutant, record_property: Callable[[str, object], None]) -> None:
    """The named test fails, and by its own assertion or error, not because it could not be collected."""
    file = copy / "src" / "exosp" / mutant.file
    whole = file.read_text(encoding="utf-8")
    assert whole.count(mutant.old) == 1, f"{mutant.file} does not hold the text once"
    file.write_text(whole.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        came = run(copy, mutant.test)
    finally:
        file.write_text(whole, encoding="utf-8")
    colour = "red" if came.returncode == 1 else "GREEN"
    record_property("figure", f"{colour}: {mutant.name} -> {mutant.test.partition('::')[2]}")
    assert came.returncode == 1, came.stdout[-2000:]
    assert "failed" in came.stdout
