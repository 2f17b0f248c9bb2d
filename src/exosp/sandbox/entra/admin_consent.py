"""/adminconsent: an administrator consents for everybody to what an application asks for, also to an application that is
registered in another tenant, whose enterprise application is made by that.

Sources: learn.microsoft.com/entra/identity-platform/v2-admin-consent (parameters, answers), v2-permissions-and-consent
(.default: all that is registered for the resource), how-applications-are-added; the vendor's page on OAuth for IMAP, POP and
SMTP. An administrator here is who holds one of ADMINS in this tenant (grant-admin-consent: app roles of other resources than
Microsoft Graph take no Privileged Role Administrator).

Not imitated: permissions other than ``.default``, delegated permissions, admin consent requests, sessions (every consent begins
with signing in), what is asked of one's own tenant where the application is verified.
"""

import secrets
from urllib.parse import urlencode

from aiohttp import web

from ..aadsts import EntraFault
from ..audit_log import Target, assigned
from ..catalog import assignment_properties, principal_properties
from ..directory import Entity, digest
from ..people import Pending, Request
from ..tenant import Tenant
from . import clients, pages, policy
from .host import Host
from .resources import app_resource
from .wire import not_emulated, read_form

ADMINS = frozenset({
    "Global Administrator", "Privileged Role Administrator", "Cloud Application Administrator", "Application Administrator",
})  # fmt: skip
PAGE_LIFETIME = 900.0  # sandbox seconds
SHARED = frozenset({"common", "organizations"})


async def begin(host: Host, request: web.Request) -> web.Response:
    """A browser comes with an application's address. What is wrong before the redirect address is known to be good is shown."""
    tenant, given = host.tenant, dict(request.query)
    tenant.count("token", "adminconsent")
    try:
        name = request.match_info["tenant"]
        if name.lower() not in SHARED:
            host.authority(name)
        application = registration(tenant, given.get("client_id", ""))
        if not given.get("redirect_uri"):
            raise EntraFault(900144, parameter="redirect_uri")
        clients.redirect(application, given["redirect_uri"])
        scope = given.get("scope", "").strip()
        if not scope and "/v2.0/" in request.path:
            raise EntraFault(900144, parameter="scope")
        if any(not word.endswith("/.default") for word in scope.split()):
            return not_emulated(f"adminconsent for {scope}")
        for word in scope.split():
            app_resource(tenant, word)
    except EntraFault as fault:
        return pages.trouble(host.explain(request, fault)["error_description"], fault.code)
    asked = Request(
        client=given["client_id"].lower(), scope=scope, redirect_uri=given["redirect_uri"], state=given.get("state")
    )
    return _sign_in(tenant, Pending(asked, tenant.clock.now() + PAGE_LIFETIME), application)


def registration(tenant: Tenant, client: str) -> Entity:
    """The application: of this tenant, or of another where it is for several."""
    if not client:
        raise EntraFault(900144, parameter="client_id")
    found = tenant.directory.application(client.lower()) or tenant.directory.foreign.get(client.lower())
    if found is None:
        raise EntraFault(700016, client=client)
    return found


async def answer(host: Host, request: web.Request) -> web.Response:
    """A button of one of the pages."""
    tenant, form = host.tenant, await read_form(request)
    key = digest(form.get("ctx", ""))
    pending = tenant.directory.people.pending.pop(key, None)
    if pending is None or pending.expires <= tenant.clock.now():
        return pages.trouble(host.explain(request, EntraFault(50089))["error_description"], 50089)
    application = registration(tenant, pending.request.client)
    match form.get("action", ""):
        case "cancel":
            return _told(pending.request, _refusal(host, request, EntraFault(65004)))
        case "signin" if not pending.user:
            try:
                user = policy.signed_in(tenant, form.get("login", ""), form.get("passwd", ""))
            except EntraFault as fault:
                text = host.explain(request, fault)["error_description"]
                return _sign_in(tenant, pending, application, form.get("login", ""), text)
            if not tenant.directory.directory_roles.get(user.id, set()) & ADMINS:
                return _told(pending.request, _refusal(host, request, EntraFault(90094)))
            pending.user = user.id
            return _permissions(tenant, pending, application)
        case "accept" if pending.user:
            grant(tenant, application, pending.request.scope, pending.user)
            said = {"admin_consent": "True", "tenant": tenant.tenant_id}
            return _told(pending.request, said | ({"scope": pending.request.scope} if pending.request.scope else {}))
    return pages.trouble(host.explain(request, EntraFault(90013))["error_description"], 90013)


def grant(tenant: Tenant, application: Entity, scope: str, by: str) -> None:
    """Give every app role that the registration lists for the scope's resources; all of them where there is no scope. Roles are
    listed by id, of this cloud. What is given already stays. ``by``: the administrator's object id, for the audit log."""
    directory, faults, now = tenant.directory, tenant.faults, tenant.clock.now()
    client = str(application.properties["appId"])
    principal = directory.principal(client)
    if principal is None:
        owner = directory.tenant_id if directory.application(client) else application.properties["_home"]
        properties = principal_properties(client, str(application.properties["displayName"]), str(owner))
        principal = Entity(properties | {"signInAudience": application.properties["signInAudience"]}, now)
        principal.readable_at = now + faults.draw("read-lag")
        principal.listed_at = now + faults.draw("list-lag")
        principal.flap = faults.draw("read-flap")
        principal.synced_at = now + faults.draw("exchange-sync-lag")
        directory.service_principals[principal.id] = principal
    wanted = {app_resource(tenant, word)[1].id for word in scope.split()}
    held = {
        (row.properties["resourceId"], row.properties["appRoleId"])
        for row in directory.app_role_assignments.values()
        if row.properties["principalId"] == principal.id
    }
    for resource, role in _listed(tenant, application):
        if (wanted and resource.id not in wanted) or (resource.id, role["id"]) in held:
            continue
        row = Entity(assignment_properties(principal, resource, role["id"], tenant.clock.iso()), now)
        row.readable_at = now + faults.draw("read-lag")
        row.listed_at = now + faults.draw("list-lag")
        row.usable_at = now + faults.draw("consent-lag")
        directory.app_role_assignments[row.id] = row
        targets = assigned(row, role["value"], client)
        directory.note("Add app role assignment to service principal", "Assign", directory.actor(by), *targets)
    directory.note(
        "Consent to application", "Assign", directory.actor(by),
        Target(principal.id, str(principal.properties["displayName"]), "ServicePrincipal"),
    )  # fmt: skip


def _listed(tenant: Tenant, application: Entity) -> list[tuple[Entity, dict[str, str]]]:
    """The app roles that a registration lists, each with its resource here."""
    found = []
    for entry in application.properties["requiredResourceAccess"]:
        resource = tenant.directory.principal(entry["resourceAppId"])
        ids = {access["id"].lower() for access in entry["resourceAccess"] if access["type"] == "Role"}
        if resource is not None:
            found += [(resource, role) for role in resource.properties["appRoles"] if role["id"].lower() in ids]
    return found


def _sign_in(tenant: Tenant, pending: Pending, application: Entity, login: str = "", wrong: str = "") -> web.Response:
    return pages.sign_in(
        _action(tenant), _open(tenant, pending), str(application.properties["displayName"]), login, wrong
    )


def _permissions(tenant: Tenant, pending: Pending, application: Entity) -> web.Response:
    rows = [f"{r.properties['displayName']}: {role['displayName']}" for r, role in _listed(tenant, application)]
    name = str(application.properties["displayName"])
    return pages.for_everybody(_action(tenant), _open(tenant, pending), name, tenant.domain, rows)


def _action(tenant: Tenant) -> str:
    return f"/{tenant.tenant_id}/adminconsent"


def _open(tenant: Tenant, pending: Pending) -> str:
    people, ctx = tenant.directory.people, secrets.token_urlsafe(32)
    people.pending = {key: held for key, held in people.pending.items() if held.expires > tenant.clock.now()}
    people.pending[digest(ctx)] = pending
    return ctx


def _refusal(host: Host, request: web.Request, fault: EntraFault) -> dict[str, str]:
    told = host.explain(request, fault)
    return {"error": "access_denied", "error_description": told["error_description"], "error_uri": told["error_uri"]}


def _told(asked: Request, values: dict[str, str]) -> web.Response:
    """An answer to the redirect address, always in its query."""
    if asked.state is not None:
        values = values | {"state": asked.state}
    uri = clients.returned(asked.redirect_uri, "query")
    return web.Response(status=302, headers={"Location": f"{uri}{'&' if '?' in uri else '?'}{urlencode(values)}"})
