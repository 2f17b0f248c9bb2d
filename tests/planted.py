"""Tenants with something wrong in them, each planted by hand in the sandbox's own state or on the way to it.

A state is written from what an operator does wrong, and from what Exchange and Entra then say; nothing here is taken
from the diagnosis table. ``layer`` is how far out the cause lies, by hand too: of two that are planted together, verify
must name the outer one first. States that touch the same ``place`` exclude each other.
"""

import contextlib
import copy
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from desk import Desk
from exosp.clouds import Endpoint
from exosp.errors import NotHere
from exosp.journal import History, Item, Run
from exosp.letters import NO_WISHES, Wishes
from exosp.sandbox import catalog
from exosp.signin import Token
from exosp.snapshot import Address
from exosp.verify import Verdict, case, prove
from scripted import NOW, Authority, Peer, Stage

PLAYBOOK = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app:
  key: support-desk
  name: Support Desk Mail
  credential: {type: secret, valid_for: 180d, save_to: support-desk.env}
protocols: [imap, pop, smtp]
mailboxes:
  - {address: support@contoso.com, send_as: {from: sales@contoso.com, by: app}}
  - {address: sales@contoso.com, protocols: [imap]}
exchange: {remoting: winrm}
"""
SUPPORT, SALES, PRIVATE = "support@contoso.com", "sales@contoso.com", "private@contoso.com"
LONG_AGO = "2025-01-15T08:00:00Z"  # when the application was made, unless a state says otherwise
SENDING = Wishes(send_to=Address(SALES))


@dataclass
class Ground:
    """A tenant that an apply has finished, and what a state changes of it. ``restore`` brings all of it back."""

    desk: Desk
    session: Any
    stage: Stage
    strange: Authority  # that nobody trusts
    history: History = field(default_factory=History)
    wishes: Wishes = NO_WISHES

    def __post_init__(self) -> None:
        self.tenant = self.desk.running.sandbox.tenant
        for app in self.tenant.directory.applications.values():
            app.properties["createdDateTime"] = LONG_AGO
            for row in app.properties["passwordCredentials"]:
                row["startDateTime"] = LONG_AGO
        for row in self.tenant.directory.app_role_assignments.values():
            row.properties["createdDateTime"] = LONG_AGO
        both = self.desk.folder / "both-ca.pem"
        both.write_text(self.session.cloud.ca.read_text() + self.stage.ca.read_text())
        self.session.cloud = replace(self.session.cloud, ca=both)  # mail only: the rest is connected already
        self._cloud, self._secret = self.session.cloud, self.desk.credential.read_text()
        self._held = self._copy(vars(self.tenant.directory)), self._copy(vars(self.tenant.exchange))
        self._faults = dict(self.tenant.faults._values)

    def _copy(self, held: dict[str, Any]) -> dict[str, Any]:
        return copy.deepcopy({name: value for name, value in held.items() if name not in ("clock", "faults")})

    def restore(self) -> None:
        directory, exchange = self._held
        vars(self.tenant.directory).update(copy.deepcopy(directory))
        vars(self.tenant.exchange).update(copy.deepcopy(exchange))
        self.tenant.faults._values = dict(self._faults)
        self.save(self._secret)
        self.session.cloud = self._cloud
        vars(self.session).pop("token", None)
        self.stage.stop()
        self.history, self.wishes = History(), NO_WISHES

    def verify(self) -> Verdict:
        """One look, and the logins: without waiting, and without making sure of what was read."""
        session = self.session
        found = case(
            session.want, session.tenant, session.patience, audience=session.cloud.exchange_resource,
            history=self.history, wishes=self.wishes, surely=False,
        )  # fmt: skip
        return prove(found, session, session.patience, letters=session)

    # What states speak of

    def save(self, text: str) -> None:
        self.desk.credential.write_text(text)
        self.desk.credential.chmod(0o600)

    @property
    def app(self) -> Any:
        return next(
            a for a in self.tenant.directory.applications.values() if a.properties["uniqueName"] == "exosp-support-desk"
        )

    @property
    def principal(self) -> Any:
        return self.tenant.directory.principal(self.app.properties["appId"])

    @property
    def entry(self) -> Any:
        return self.tenant.exchange.service_principal(self.app.properties["appId"])

    def box(self, address: str = SUPPORT) -> Any:
        return next(m for m in self.tenant.exchange.mailboxes if m.properties["PrimarySmtpAddress"] == address)

    def granted(self, address: str = SUPPORT) -> list[Any]:
        """The application's own rows on a mailbox."""
        return [row for row in self.box(address).permissions if row["_trustee"] == self.principal.id]

    def claims(self, **changes: Any) -> None:
        """Let the tenant mint the application's tokens with other claims."""
        signer, real = self.tenant.signer, type(self.session).token

        def token() -> Token:
            held = real(self.session)
            claims = {**held.claims, **changes}
            claims = {name: value for name, value in claims.items() if value is not None}
            return Token(signer.mint(claims), MappingProxyType(claims), held.obtained, held.expires)

        self.session.token = token

    def served_by(self, protocol: str, endpoint: Endpoint) -> None:
        self.session.cloud = replace(self.session.cloud, **{protocol: endpoint})

    def scripted(self, protocol: str, *lines: str, tls: bool | None = None, **how: Any) -> None:
        """A small server in the place of one of Exchange's doors: it says the first of these, and one more each time it is
        asked."""

        def script(peer: Peer) -> None:
            tag = ""
            for line in lines:
                peer.say(line.replace("{tag}", tag))
                tag = peer.hear().partition(" ")[0]

        server = self.stage.serve(script, tls=protocol != "smtp" if tls is None else tls, **how)
        self.served_by(protocol, server.endpoint)


@dataclass(frozen=True)
class State:
    """``key`` and ``words``: what verify must name, and what its cause must say. ``places``: what it touches.
    ``early``: waiting mends it."""

    name: str
    layer: float
    key: str
    words: str
    places: frozenset[str]
    plant: Callable[[Ground], None]
    early: bool = False

    def named_by(self, cause: Any) -> bool:
        return bool(cause.key == self.key and re.search(self.words, cause.cause))


STATES: list[State] = []


def state(name: str, layer: float, key: str, words: str, places: str, *, early: bool = False) -> Any:
    def keep(plant: Callable[[Ground], None]) -> Callable[[Ground], None]:
        STATES.append(State(name, layer, key, words, frozenset(places.split()), plant, early))
        return plant

    return keep


# The way there: layer 0 to 3


@state("IMAP's host name does not exist", 0, "name-not-resolved", "misspelt|resolve", "imap-way")
def _(ground: Ground) -> None:
    ground.served_by("imap", Endpoint("outlook..office365.com", 993))


@state("nobody listens on POP's port", 1, "connection-refused", "port|refused", "pop-way")
def _(ground: Ground) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    ground.served_by("pop", Endpoint("localhost", port))


@state("the server hangs up at once", 3, "connection-cut", "cut|restarting|overloaded", "imap-way")
def _(ground: Ground) -> None:
    server = ground.stage.serve(lambda peer: None)
    ground.served_by("imap", server.endpoint)


@state("the certificate is for another name", 2, "certificate-name", "name", "imap-way")
def _(ground: Ground) -> None:
    ground.scripted("imap", "* OK ready", context=ground.stage.authority.server("mail.example.org"))


@state("the certificate has expired", 2, "certificate-out-of-date", "expired|date", "pop-way")
def _(ground: Ground) -> None:
    ground.scripted("pop", "+OK ready", context=ground.stage.authority.server(until=NOW - timedelta(days=1)))


@state("a proxy that nobody trusts inspects TLS", 2, "certificate-untrusted", "proxy|trust", "pop-way")
def _(ground: Ground) -> None:
    ground.scripted("pop", "+OK ready", context=ground.strange.server())


@state("the port speaks no TLS", 2, "wrong-tls-mode", "TLS", "imap-way")
def _(ground: Ground) -> None:
    server = ground.stage.serve(lambda peer: peer.say("* OK ready"), tls=False)
    ground.served_by("imap", server.endpoint)


@state("IMAP offers no XOAUTH2", 3, "auth-not-offered", "", "imap-way")
def _(ground: Ground) -> None:
    ground.scripted("imap", "* OK ready", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done")


@state("a gateway strips STARTTLS", 3, "auth-not-offered", "", "smtp-way")
def _(ground: Ground) -> None:
    ground.scripted("smtp", "220 gateway ESMTP", "250-gateway\r\n250-AUTH LOGIN XOAUTH2\r\n250 SIZE 1000000")


# The token's issue: layer 4


@state("the saved secret has a letter too few", 4, "secret-wrong", "not one of the application's", "credential")
def _(ground: Ground) -> None:
    ground.save(re.sub(r"(SECRET='?)(.)", r"\1", ground.desk.credential.read_text()))


@state("the secret's ID was saved for its value", 4, "secret-id-for-value", "form of a secret's ID", "credential")
def _(ground: Ground) -> None:
    [row] = ground.app.properties["passwordCredentials"]
    ground.save(re.sub(r"SECRET=.*", f"SECRET='{row['keyId']}'", ground.desk.credential.read_text()))


@state("the secret was removed and another made", 4, "secret-wrong", "none of the application's any more", "credential")
def _(ground: Ground) -> None:
    app = ground.app
    app.properties["passwordCredentials"], app.secrets = [], {}
    catalog.add_secret(ground.tenant.directory, app, "by somebody else")


@state("the secret has expired", 4, "secret-expired", "it ended at 2026-01-02", "credential")
def _(ground: Ground) -> None:
    ground.app.properties["passwordCredentials"][0]["endDateTime"] = "2026-01-02T00:00:00Z"


@state("the secret is a minute old", 4, "not-replicated", "does not know it yet", "credential", early=True)
def _(ground: Ground) -> None:
    [row] = ground.app.properties["passwordCredentials"]
    now = ground.tenant.clock.now()
    row["startDateTime"] = ground.tenant.clock.iso(now - 60)
    ground.app.secret_usable_at[row["keyId"]] = now + 60


@state("the credential was never brought here", 4, "credential-elsewhere", "nothing is saved here", "credential")
def _(ground: Ground) -> None:
    ground.desk.credential.unlink()


@state("the credential is federated with a pipeline", 4, "credential-elsewhere", "federated", "credential")
def _(ground: Ground) -> None:
    def token() -> Token:
        raise NotHere(
            "the application's credential is federated with a pipeline",
            service="token",
            hint="run verify in that pipeline",
        )

    ground.session.token = token


@state("the file names another tenant", 4, "tenant-wrong", "tenant", "credential")
def _(ground: Ground) -> None:
    ground.save(re.sub(r"(TENANT_ID=).*", r"\1fabrikam.onmicrosoft.com", ground.desk.credential.read_text()))


@state("the file holds a client ID that nobody has", 4, "client-id-wrong", "no application of the tenant", "credential")
def _(ground: Ground) -> None:
    other = "99999999-1111-4111-8111-999999999999"
    ground.save(re.sub(r"(CLIENT_ID=).*", rf"\g<1>{other}", ground.desk.credential.read_text()))


@state(
    "the file holds another application's credential",
    3.9,
    "client-id-wrong",
    "the token is the application",
    "credential",
)
def _(ground: Ground) -> None:
    other, _ = catalog.add_application(ground.tenant.directory, "Support Desk Mail", exchange_roles=ALL)
    secret = catalog.add_secret(ground.tenant.directory, other, "theirs")
    text = re.sub(r"(CLIENT_ID=).*", rf"\g<1>{other.properties['appId']}", ground.desk.credential.read_text())
    ground.save(re.sub(r"SECRET=.*", f"SECRET='{secret}'", text))


ALL = ("IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp")


@state(
    "the enterprise application was deleted",
    4,
    "app-not-in-tenant",
    "no enterprise application",
    "principal",
)
def _(ground: Ground) -> None:
    del ground.tenant.directory.service_principals[ground.principal.id]


@state("sign-in to the application is switched off", 4, "app-disabled", "accountEnabled is false", "principal")
def _(ground: Ground) -> None:
    ground.principal.properties["accountEnabled"] = False


@state("Conditional Access blocks the application", 4, "conditional-access", "Conditional Access", "principal")
def _(ground: Ground) -> None:
    ground.tenant.faults.set("conditional-access-block", 1)


@state("Exchange admits assigned applications only", 4, "assignment-required", "assigned applications only", "consent")
def _(ground: Ground) -> None:
    ground.tenant.directory.principal(catalog.EXCHANGE_ONLINE).properties["appRoleAssignmentRequired"] = True
    _withdraw(ground, *ALL)


# What the token says: layer 5


@state("the token is for Microsoft Graph", 5.0, "wrong-audience", "Microsoft Graph", "claims")
def _(ground: Ground) -> None:
    ground.session.cloud = replace(ground.session.cloud, exchange_resource="https://graph.microsoft.com")


@state("the token is for ps.outlook.com", 5.0, "wrong-audience", "ps.outlook.com", "claims")
def _(ground: Ground) -> None:
    ground.claims(aud="https://ps.outlook.com")


@state("the token is another tenant's", 5.1, "tenant-wrong", "of the tenant 11111111-", "claims")
def _(ground: Ground) -> None:
    ground.claims(tid="11111111-2222-4333-8444-555555555555", oid="66666666-2222-4333-8444-555555555555")


@state("the enterprise application was made anew", 5.3, "tenant-wrong", "token's oid is 66666666-", "claims")
def _(ground: Ground) -> None:
    ground.claims(oid="66666666-2222-4333-8444-555555555555")


@state("nobody consented", 5.4, "role-missing", "roles are empty", "consent")
def _(ground: Ground) -> None:
    _withdraw(ground, *ALL)


@state(
    "only the other protocols' roles are consented to",
    5.4,
    "wrong-permission",
    "and lack IMAP.AccessAsApp; what it has is for other",
    "consent",
)
def _(ground: Ground) -> None:
    _withdraw(ground, "IMAP.AccessAsApp")


@state("the role is EWS's", 5.4, "wrong-permission", "full_access_as_app is for EWS", "consent")
def _(ground: Ground) -> None:
    _withdraw(ground, *ALL)
    catalog.assign(ground.tenant.directory, ground.principal, catalog.EXCHANGE_ONLINE, "full_access_as_app")


@state("the consent is a minute old", 5.4, "not-in-effect-yet", "consented to 1 minute ago", "consent", early=True)
def _(ground: Ground) -> None:
    now = ground.tenant.clock.now()
    for row in ground.tenant.directory.app_role_assignments.values():
        if row.properties["principalId"] == ground.principal.id:
            row.usable_at, row.properties["createdDateTime"] = now + 300, ground.tenant.clock.iso(now - 60)


@state("the token has run out", 5.5, "token-expired", "expired at", "claims")
def _(ground: Ground) -> None:
    ground.claims(exp=int(ground.tenant.clock.now()) - 600)


@state("the token is not valid yet", 5.5, "clock-wrong", "not valid before", "claims")
def _(ground: Ground) -> None:
    ground.claims(nbf=int(ground.tenant.clock.now()) + 3600)


@state("the token lists so many groups that POP cuts it", 5.6, "token-too-long", "it lists groups", "claims")
def _(ground: Ground) -> None:
    ground.claims(groups=[f"{number:08x}-2222-4333-8444-555555555555" for number in range(120)])


# Exchange's entry: layer 6


@state("Exchange was never told of the application", 6, "no-exchange-entry", "has no entry", "entry")
def _(ground: Ground) -> None:
    ground.tenant.exchange.remove_service_principal(ground.entry)


@state("the entry bears the application's own object ID", 6, "wrong-object-id", "own object ID", "entry")
def _(ground: Ground) -> None:
    _entered(ground, ground.app.id)


@state("the entry bears the appId for an object ID", 6, "wrong-object-id", "appId \\(client ID\\)", "entry")
def _(ground: Ground) -> None:
    _entered(ground, ground.app.properties["appId"])


@state("the entry bears another application's object ID", 6, "wrong-object-id", "enterprise application, CRM", "entry")
def _(ground: Ground) -> None:
    _, other = catalog.add_application(ground.tenant.directory, "CRM")
    _entered(ground, other.id)


@state("the entry bears a secret's ID", 6, "wrong-object-id", "one of the application's secrets", "entry")
def _(ground: Ground) -> None:
    _entered(ground, ground.app.properties["passwordCredentials"][0]["keyId"])


@state("the entry bears an ID of before", 6, "wrong-object-id", "nothing of this application", "entry")
def _(ground: Ground) -> None:
    _entered(ground, "77777777-2222-4333-8444-555555555555")


# The mailbox: layer 7


@state("the mailbox is misspelt", 7, "no-mailbox", "no mailbox has this address", "support")
def _(ground: Ground) -> None:
    _renamed(ground.box(), "suport@contoso.com")
    _reindex(ground)


@state("the mailbox was deleted last week", 7, "no-mailbox", "soft-deleted", "support")
def _(ground: Ground) -> None:
    ground.box().soft_deleted = True


@state("the mailbox is on premises still", 7, "no-mailbox", "mail user", "support")
def _(ground: Ground) -> None:
    _kind(ground.box(), "MailUser", "MailUser")


@state("the address is a group's", 7, "no-mailbox", "group", "support support-grant")
def _(ground: Ground) -> None:
    _kind(ground.box(), "GroupMailbox", "MailUniversalDistributionGroup")
    _ungrant(ground)  # for nothing of ours grants there


# Rights on it: layer 8


@state(
    "nobody granted FullAccess",
    8,
    "no-mailbox-permission",
    "has no FullAccess on support@contoso.com$",
    "support support-grant",
)
def _(ground: Ground) -> None:
    _ungrant(ground)


@state(
    "the grant went to another application of the same name",
    8,
    "no-mailbox-permission",
    "of the same name",
    "support support-grant",
)
def _(ground: Ground) -> None:
    directory, exchange = ground.tenant.directory, ground.tenant.exchange
    _, other = catalog.add_application(directory, "Support Desk Mail")
    _ungrant(ground)
    entry = exchange.add_service_principal(other.properties["appId"], other.id, "Support Desk Mail")
    exchange.add_permission(ground.box(), entry)


@state(
    "the grant is on the other mailbox only",
    8,
    "no-mailbox-permission",
    "no FullAccess on sales@contoso.com",
    "sales-grant",
)
def _(ground: Ground) -> None:
    _ungrant(ground, SALES)


@state("a deny entry undoes the grant", 8, "no-mailbox-permission", "deny entry", "support support-grant")
def _(ground: Ground) -> None:
    ground.tenant.exchange.add_ace(ground.box(), ground.principal.id, ["FullAccess"], deny=True)


@state(
    "the right granted is ReadPermission", 8, "no-mailbox-permission", "only ReadPermission", "support support-grant"
)
def _(ground: Ground) -> None:
    for row in ground.granted():
        row.properties["AccessRights"] = ["ReadPermission"]


@state("SendAs was granted, FullAccess was not", 8, "no-mailbox-permission", "no FullAccess on sales", "sales-grant")
def _(ground: Ground) -> None:
    _ungrant(ground, SALES)
    assert ground.box(SALES).recipient_permissions


@state(
    "SMTP lets the login in and refuses the message",
    8,
    "no-mailbox-permission",
    "no FullAccess on support",
    "support support-grant",
)
def _(ground: Ground) -> None:
    ground.tenant.faults.set("smtp-without-grant", 1)
    _ungrant(ground)
    ground.wishes = SENDING


# The switches: layer 9


@state("IMAP is off for the mailbox", 9, "protocol-off", "IMAP is off for sales", "imap-switch")
def _(ground: Ground) -> None:
    ground.box(SALES).cas["ImapEnabled"] = False


@state("POP is off for the mailbox", 9, "protocol-off", "POP is off for support", "support pop-switch")
def _(ground: Ground) -> None:
    ground.box().cas["PopEnabled"] = False


@state(
    "SMTP AUTH is off for the mailbox", 9, "smtp-auth-off-mailbox", "support@contoso.com itself", "support smtp-switch"
)
def _(ground: Ground) -> None:
    ground.box().cas["SmtpClientAuthenticationDisabled"] = True


@state("SMTP AUTH is off for the tenant", 9, "smtp-auth-off-tenant", "the tenant, and support", "support smtp-switch")
def _(ground: Ground) -> None:
    ground.box().cas["SmtpClientAuthenticationDisabled"] = None


# At the end of a message: layer 10


@state("nobody granted SendAs", 10, "send-as-missing", "sends as sales@contoso.com", "send-as time")
def _(ground: Ground) -> None:
    ground.box(SALES).recipient_permissions.clear()
    ground.wishes = SENDING


# Time: layer 11


@state(
    "all is right, and granted 12 minutes ago", 11, "not-in-effect-yet", "granted 12 minutes ago", "time", early=True
)
def _(ground: Ground) -> None:
    _not_honoured(ground, timedelta(minutes=12))


@state("all is right, and nobody knows since when", 11, "not-in-effect-yet", "age unknown", "time", early=True)
def _(ground: Ground) -> None:
    _not_honoured(ground, None)


@state("all is right, and granted five hours ago", 12, "unexplained", "granted 5 hours ago", "time")
def _(ground: Ground) -> None:
    _not_honoured(ground, timedelta(hours=5))


# Of each kind one or two, to be planted in pairs: every pair of all the states would take a quarter of an hour.
PAIRED = (
    "IMAP's host name does not exist", "nobody listens on POP's port", "the certificate is for another name",
    "a gateway strips STARTTLS", "the secret's ID was saved for its value", "the credential was never brought here",
    "sign-in to the application is switched off", "the file holds another application's credential",
    "the token is for ps.outlook.com", "nobody consented", "only the other protocols' roles are consented to",
    "the token lists so many groups that POP cuts it", "Exchange was never told of the application",
    "the entry bears the application's own object ID", "the mailbox was deleted last week", "nobody granted FullAccess",
    "nobody granted SendAs", "IMAP is off for the mailbox",
    "POP is off for the mailbox", "SMTP AUTH is off for the tenant", "all is right, and granted 12 minutes ago",
)  # fmt: skip

# Right all the same: what looks like one of the above and is none.

RIGHT: dict[str, Callable[[Ground], None]] = {}


def right(name: str) -> Any:
    def keep(plant: Callable[[Ground], None]) -> Callable[[Ground], None]:
        RIGHT[name] = plant
        return plant

    return keep


@right("nothing was planted")
def _(ground: Ground) -> None:
    pass


@right("the tenant's SMTP AUTH is off, and the mailbox's own is on")
def _(ground: Ground) -> None:
    assert ground.tenant.exchange.transport_config["SmtpClientAuthenticationDisabled"]
    assert ground.box().cas["SmtpClientAuthenticationDisabled"] is False


@right("IMAP and POP are off on a mailbox that is not the application's")
def _(ground: Ground) -> None:
    ground.box(PRIVATE).cas.update({"ImapEnabled": False, "PopEnabled": False})


@right("POP is off where only IMAP is wanted")
def _(ground: Ground) -> None:
    ground.box(SALES).cas["PopEnabled"] = False


@right("permission rows show a display name that two applications bear")
def _(ground: Ground) -> None:
    _, other = catalog.add_application(ground.tenant.directory, "Support Desk Mail")
    ground.tenant.exchange.add_service_principal(other.properties["appId"], other.id, "Support Desk Mail")
    ground.tenant.faults.set("permission-user", 1)


@right("a deny entry names another application")
def _(ground: Ground) -> None:
    _, other = catalog.add_application(ground.tenant.directory, "CRM")
    entry = ground.tenant.exchange.add_service_principal(other.properties["appId"], other.id, "CRM")
    ground.tenant.exchange.add_ace(ground.box(), entry["ObjectId"], ["FullAccess"], deny=True)


@right("the mailbox's UPN is another name than its address")
def _(ground: Ground) -> None:
    ground.box().properties["UserPrincipalName"] = "s1@contoso.onmicrosoft.com"
    _reindex(ground)
    ground.tenant.faults.set("login-name", 1)


@right("the secret's last day is today")
def _(ground: Ground) -> None:
    soon = ground.tenant.clock.iso(ground.tenant.clock.now() + 7200)
    ground.app.properties["passwordCredentials"][0]["endDateTime"] = soon


# Hands


def _entered(ground: Ground, object_id: str) -> None:
    """Exchange holds the application under that ID; it was never compared with Entra (knob object-id-check)."""
    ground.tenant.exchange.remove_service_principal(ground.entry)
    ground.tenant.exchange.add_service_principal(ground.app.properties["appId"], object_id, "Support Desk Mail")


def _withdraw(ground: Ground, *roles: str) -> None:
    directory = ground.tenant.directory
    resource = directory.principal(catalog.EXCHANGE_ONLINE)
    ids = {role["id"] for role in resource.properties["appRoles"] if role["value"] in roles}
    for row in list(directory.app_role_assignments.values()):
        if row.properties["principalId"] == ground.principal.id and row.properties["appRoleId"] in ids:
            del directory.app_role_assignments[row.id]


def _ungrant(ground: Ground, address: str = SUPPORT) -> None:
    box = ground.box(address)
    box.permissions = [row for row in box.permissions if row["_trustee"] != ground.principal.id]


def _kind(box: Any, details: str, kind: str) -> None:
    box.kind = details
    box.properties["RecipientTypeDetails"], box.properties["RecipientType"] = details, kind


def _renamed(box: Any, address: str) -> None:
    box.properties.update(
        {"PrimarySmtpAddress": address, "UserPrincipalName": address, "WindowsEmailAddress": address,
         "Alias": address.partition("@")[0], "EmailAddresses": [f"SMTP:{address}"]}
    )  # fmt: skip


def _reindex(ground: Ground) -> None:
    ground.tenant.exchange._index, ground.tenant.exchange._indexed = {}, 0


def _not_honoured(ground: Ground, ago: timedelta | None) -> None:
    """Every grant stands, no login honours it; a journal says since when, or there is none."""
    now = ground.tenant.clock.now()
    ids = []
    for address in (SUPPORT, SALES):
        for row in ground.granted(address):
            row.effective_at = now + 86400
            ids.append(ground.box(address).properties["ExternalDirectoryObjectId"])
    if ago is None:
        return
    at = datetime.fromtimestamp(now, UTC) - ago - timedelta(seconds=20)
    write = {"write": "AddMailboxPermission", "trustee": ground.principal.id, "rights": ["FullAccess"]}
    items = tuple(Item(1, i, "grants", {**write, "mailbox": id_}, None, "done", at=at) for i, id_ in enumerate(ids))
    ground.history = History((Run("20260101T000000Z-00000000", "apply", Path("j.jsonl"), items, "done"),))


@contextlib.contextmanager
def planted(ground: Ground, *states: State) -> Iterator[Verdict]:
    """The verdict on a tenant with these states, and the tenant as it was afterwards."""
    try:
        for one in states:
            one.plant(ground)
        yield ground.verify()
    finally:
        ground.restore()
