"""Random messes made by hand, with plan, apply and verify in between: each apply converges, or refuses and says why."""

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hands
import pytest
from crash import Kept
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from shape import LABEL

from desk import QUICKSTART, Desk
from exosp.converge import Applied, Refused, Skipped
from exosp.errors import Error
from exosp.sandbox import catalog
from exosp.sandbox.exchange import Row
from exosp.sandbox.server import Running
from exosp.sandbox.tenant import Options, Tenant

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

WHOLE = QUICKSTART.read_text(encoding="utf-8")
BOXES = st.sampled_from(["support@contoso.com", "sales@contoso.com", "private@contoso.com"])
RIGHTS = st.sampled_from(["FullAccess", "ReadPermission", "SendAs"])
ROLES = st.sampled_from(["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp", "Mail.Read", "full_access_as_app"])
PLAYBOOKS = (
    WHOLE,
    WHOLE + "prune: true\n",
    WHOLE.replace("protocols: [imap, pop, smtp]", "protocols: [imap]"),
    WHOLE.replace("  - support@contoso.com", "  - {address: support@contoso.com, send_as: {from: sales@contoso.com, by: app}}"),
)  # fmt: skip


KINDS = (
    "a foreign application of our name",
    "a foreign application, wrong in Exchange",
    "a grant to somebody",
    "a protocol switched off",
    "the application's object ID in Exchange",
    "nobody's object ID in Exchange",
    "a second entry",
    "the entry removed, its grants orphaned",
    "a grant more, or twice",
    "a deny entry",
    "a consent more",
    "every consent withdrawn",
    "the permissions forgotten",
    "a secret by hand",
    "a secret under our label",
    "every secret removed",
    "the saved copy lost",
    "the enterprise application deleted",
    "the application deleted",
)


class Messes(RuleBasedStateMachine):
    """One tenant, one desk, and hands that know no rule."""

    def __init__(self, running: Running, folder: Path, applied: Kept, counted: Counter[str]) -> None:
        super().__init__()
        running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
        folder.mkdir()
        self.desk, self.tenant, self.counted = Desk(folder, running), running.sandbox.tenant, counted
        self.desk.write(WHOLE)
        self.applied = applied
        self.said = ""  # what the last apply refused, and the drift that it named
        self.ours: set[str] = set()  # every object id that our application ever had, or that an entry of ours bore

    @initialize(begun=st.sampled_from([True, True, True, False]))
    def a_tenant(self, begun: bool) -> None:
        """With the quickstart applied, or empty."""
        if begun:
            self.applied.restore(self.tenant, self.desk.folder)

    def known(self) -> set[str]:
        """Ids whose grants are our application's own, right, wrong or orphaned."""
        app, principal = hands.application(self.tenant), hands.principal(self.tenant)
        self.ours |= {entity.id for entity in (app, principal) if entity is not None}
        self.ours |= {row["ObjectId"] for row in hands.entries(self.tenant)}
        return self.ours

    # Hands

    def mess(self, kind: str, box: str, other: str, right: str, role: str) -> None:
        """One thing that hands do. What is done to our application needs it to be there."""
        app, principal, held = hands.application(self.tenant), hands.principal(self.tenant), hands.entries(self.tenant)
        mailbox = self.tenant.exchange.by_address(box)
        assert mailbox is not None
        match kind:
            case "a foreign application of our name":
                self.foreign_application("Support Desk Mail", box, wrong=False)
            case "a foreign application, wrong in Exchange":
                self.foreign_application("CRM", box, wrong=True)
            case "a grant to somebody":
                self.granted(box, other, right)
            case "a protocol switched off":
                mailbox.cas |= {"ImapEnabled": False, "SmtpClientAuthenticationDisabled": True}
            case _ if app is None or principal is None:
                return
            case "the application's object ID in Exchange":
                hands.wrong_entry(self.tenant, "private@contoso.com", send_as=box)
            case "nobody's object ID in Exchange":
                hands.wrong_entry(self.tenant, box, object_id=str(uuid.UUID(int=len(self.known()) + 1)))
            case "a second entry":
                hands.second_entry(self.tenant, str(uuid.UUID(int=1000 + len(self.known()))))
            case "the entry removed, its grants orphaned":
                exchange = self.tenant.exchange
                exchange.service_principals[:] = [row for row in exchange.service_principals if row not in held]
            case "a grant more, or twice":
                for row in held[:1]:
                    self.granted(box, row["ObjectId"], right)
            case "a deny entry":
                for row in held[:1]:
                    self.tenant.exchange.add_ace(mailbox, row["ObjectId"], ["FullAccess"], deny=True)
            case "a consent more":
                hands.consents(self.tenant, role)
            case "every consent withdrawn":
                rows = self.tenant.directory.app_role_assignments
                for consent in [row for row in rows.values() if row.properties["principalId"] == principal.id]:
                    del rows[consent.id]
            case "the permissions forgotten":
                app.properties["requiredResourceAccess"] = []
            case "a secret by hand":
                catalog.add_secret(self.tenant.directory, app, "by hand")
            case "a secret under our label":
                catalog.add_secret(self.tenant.directory, app, LABEL)
            case "every secret removed":
                app.properties["passwordCredentials"] = []
                app.secrets.clear()
            case "the saved copy lost":
                self.desk.credential.unlink(missing_ok=True)
            case "the enterprise application deleted":
                hands.delete_principal(self.tenant)
            case "the application deleted":
                hands.delete_application(self.tenant)
            case _:
                raise AssertionError(kind)

    def foreign_application(self, name: str, box: str, *, wrong: bool) -> None:
        app, principal = catalog.add_application(self.tenant.directory, name, exchange_roles=("IMAP.AccessAsApp",))
        assert principal is not None
        catalog.add_secret(self.tenant.directory, app, LABEL)
        holder = app if wrong else principal
        self.tenant.exchange.add_service_principal(str(app.properties["appId"]), holder.id, name)
        hands.grant(self.tenant, box, holder.id)

    def granted(self, box: str, trustee: str, right: str) -> None:
        if right == "SendAs":
            hands.grant_send_as(self.tenant, box, trustee)
        else:
            hands.grant(self.tenant, box, trustee, right)

    # The commands

    @rule(text=st.sampled_from(PLAYBOOKS))
    def another_playbook(self, text: str) -> None:
        self.desk.write(text)

    @rule()
    def plan(self) -> None:
        """It writes nothing."""
        before = self.all()
        try:
            self.desk.look()
        except Error as fault:
            named(fault)
        assert self.all() == before

    @rule(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4, unique=True),
        box=BOXES,
        other=BOXES,
        right=RIGHTS,
        role=ROLES,
        verify=st.booleans(),
    )
    def hands_then_apply(self, kinds: list[str], box: str, other: str, right: str, role: str, verify: bool) -> None:
        """What converged is proven by logins, but for access that the playbook does not list, which is said."""
        for kind in kinds:
            self.known()
            self.mess(kind, box, other, right, role)
        if not self.apply_and_judge() or not verify:
            return
        before = self.all()
        verdict = self.desk.verify()
        assert verdict.converged
        assert verdict.token_faults == ()
        assert [proof for proof in verdict.proofs if not proof.ok] == []
        assert verdict.proven or any(drift.access for drift in verdict.plan.drift)
        assert self.all() == before

    def apply_and_judge(self) -> bool:
        """Whether it converged. It has either done so, or said of everything that is left why; others' things stand."""
        self.known()
        before, held = self.foreign(), self.held()
        converged = False
        try:
            result = self.desk.apply()
            self.said = " ".join(f"{r.target}: {r.what}" for r in (*result.rest.refused, *result.rest.drift))
            self.counted.update(change.verb for change, outcome in result.outcomes if isinstance(outcome, Applied))
            reasons = [r.what for r in result.rest.refused]
            reasons += [o.error.what for _, o in result.outcomes if isinstance(o, Refused)]
            reasons += [o.reason for _, o in result.outcomes if isinstance(o, Skipped)]
            if result.rest.empty and not result.rest.refused:
                converged = True
                assert all(isinstance(o, Applied | Skipped) for _, o in result.outcomes)
                rest = self.desk.look()[1]
                assert rest.empty, [(c.verb, c.target, c.why) for c in rest.changes]
                assert not rest.refused
            else:
                assert reasons, [(c.verb, c.target, c.why) for c in result.rest.changes]
                assert all(reasons)
        except Error as fault:
            named(fault)
        self.counted["converged" if converged else "refused"] += 1
        self.known()
        assert self.foreign() == before
        if "prune" not in self.desk.playbook.read_text(encoding="utf-8"):
            assert held <= self.held(), f"lost: {sorted(held - self.held())}"
        named_so = [a for a in self.tenant.directory.applications.values() if a.properties["uniqueName"] == LABEL]
        assert len(named_so) <= 1
        if converged:
            [entry] = hands.entries(self.tenant)
            principal = hands.principal(self.tenant)
            assert principal is not None
            assert entry["ObjectId"] == principal.id
        return converged

    # What must hold

    def all(self) -> Any:
        found = self.desk.state()
        return {name: value for name, value in found.items() if name not in ("now", "advanced")}

    def held(self) -> set[tuple[str, str]]:
        """What entries of ours may do, right or wrong ones."""
        ours = {row["ObjectId"] for row in hands.entries(self.tenant)}
        return {
            (box.properties["PrimarySmtpAddress"], right)
            for box in self.tenant.exchange.mailboxes
            for row in (*box.permissions, *box.recipient_permissions)
            for right in row["AccessRights"]
            if row["_trustee"] in ours and not row.properties.get("Deny")
        }

    def foreign(self) -> Any:
        """What is not our application's: grants of other trustees, other entries, applications, secrets, consents."""
        return others(self.tenant, self.ours)


def others(tenant: Tenant, ours: set[str]) -> Any:
    exchange, directory = tenant.exchange, tenant.directory
    rows = itertools.chain.from_iterable((*box.permissions, *box.recipient_permissions) for box in exchange.mailboxes)
    app = hands.application(tenant)
    number = app.properties["appId"] if app else ""
    return {
        "grants": sorted(str(shown(row)) for row in rows if row["_trustee"] not in ours),
        "entries": [shown(row) for row in exchange.service_principals if row["ObjectId"] not in ours],
        "applications": [
            (a.properties["appId"], str(a.properties), sorted(a.secrets))
            for a in directory.applications.values()
            if a.id not in ours and a.properties["appId"] != number
        ],
        "principals": [
            str(p.properties) for p in directory.service_principals.values() if not mine(p.id, p, ours, number)
        ],
        "consents": [
            str(row.properties)
            for row in directory.app_role_assignments.values()
            if row.properties["principalId"] not in ours
        ],
        "tenant": dict(exchange.transport_config),
    }


def shown(row: Row) -> dict[str, Any]:
    """A row without what the emulator notes for itself."""
    return {name: value for name, value in row.properties.items() if not name.startswith("_")}


def mine(object_id: str, principal: Any, ours: set[str], number: str) -> bool:
    return object_id in ours or (bool(number) and principal.properties["appId"] == number)


def named(fault: Error) -> None:
    """A refusal says what, where it asks for something, and what to do."""
    assert fault.what
    assert fault.hint, fault.what


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running(Options(faults="none")) as found:
        yield found


@pytest.fixture(scope="module")
def applied(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A tenant and a desk with the quickstart applied."""
    folder = tmp_path_factory.mktemp("applied")
    running.reset(seed=1, faults="none", mailboxes=0, service_principals=0, mess=None)
    (folder / "desk").mkdir()
    desk = Desk(folder / "desk", running)
    desk.write(WHOLE)
    assert desk.apply().rest.empty
    return Kept.of(running.sandbox.tenant, desk.folder, folder / "kept")


REFUSED = {"a deny entry", "the saved copy lost"}  # of everything else that hands did, apply makes the playbook's state
SAID = {  # what a refusal, or a drift that stays, must speak of
    "a deny entry": "deny",
    "the saved copy lost": "live secret of ours",
    "a secret under our label": "secret",
    "a consent more": "Mail.Read",
    "a grant more, or twice": "SendAs",
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_mess_alone(kind: str, running: Running, applied: Kept, tmp_path: Path) -> None:
    """One thing by hand after the quickstart, the application holding more than the playbook lists: as in any order."""
    one = Messes(running, tmp_path / "desk", applied, Counter())
    one.a_tenant(begun=True)
    one.mess("a grant more, or twice", "private@contoso.com", "", "ReadPermission", "")
    one.mess(kind, "support@contoso.com", "sales@contoso.com", "SendAs", "Mail.Read")
    assert one.apply_and_judge() == (kind not in REFUSED)
    assert SAID.get(kind, "") in one.said


def test_whatever_hands_did_apply_converges_or_says_why(
    running: Running, applied: Kept, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Wrong, second and removed entries, grants more, twice and denied, consents withdrawn, secrets added and lost,
    deletions, foreign applications of our name and foreign grants, in any order: never is anything foreign lost or changed,
    never are there two applications of ours, and every apply ends converged or with its reasons."""
    counted: Counter[str] = Counter()
    folders = (tmp_path / str(number) for number in itertools.count())
    run_state_machine_as_test(
        lambda: Messes(running, next(folders), applied, counted),
        settings=settings(
            max_examples=40, stateful_step_count=6, derandomize=True, database=None, deadline=None,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,),  # shrinking takes minutes
        ),
    )  # fmt: skip
    record_property(
        "figure", f"messes: {counted['converged']} applies converged, {counted['refused']} refused with a reason"
    )
    done = ", ".join(f"{verb} {count}" for verb, count in counted.most_common() if verb not in ("converged", "refused"))
    record_property("figure", f"messes: changes made: {done}")
    assert counted["converged"] > 10
    assert counted["refused"] > 0
