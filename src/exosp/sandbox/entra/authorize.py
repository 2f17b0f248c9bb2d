"""Signing in with a browser: /authorize, the pages that it leads through, and the answer to the redirect URI.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow (parameters, answers, errors, ten minutes),
/reference-error-codes; azure-docs#114009 (what a refusal's redirect carries). What the application can mend is sent to it;
what only its owner or an administrator can is shown, as is every refusal before the redirect URI is known to be good.

Not imitated: hybrid and implicit answers, request objects, domain_hint, max_age, claims, passwordless sign-in, a choice of
several accounts, "stay signed in"; the second factor is a button.
"""

import secrets
from urllib.parse import urlencode

from aiohttp import web

from ..aadsts import EntraFault
from ..directory import Entity, digest
from ..people import Code, Pending, Request, User
from ..tenant import Tenant
from . import clients, pages, policy, scopes
from .host import Host
from .wire import not_emulated, read_form

CODE_LIFETIME = 600.0  # sandbox seconds: "about 10 minutes"
PAGE_LIFETIME = 900.0
COOKIE = "ESTSAUTH"
MODES = ("query", "fragment", "form_post")
PROMPTS = ("", "login", "none", "consent", "select_account")


async def authorize(host: Host, request: web.Request) -> web.Response:
    """A browser comes from an application."""
    tenant = host.tenant
    tenant.count("token", "authorize")
    given = await read_form(request) if request.method == "POST" else dict(request.query)
    try:
        name = request.match_info["tenant"]
        if name.lower() not in clients.SHARED:
            host.authority(name)
        application = clients.find(tenant, given.get("client_id", ""), name)
        if not given.get("redirect_uri"):
            raise EntraFault(900144, parameter="redirect_uri")
        kind = clients.redirect(application, given["redirect_uri"])
        if given.get("response_mode", "query") not in MODES:
            raise EntraFault(70007, mode=given["response_mode"])
    except EntraFault as fault:
        return pages.trouble(host.explain(request, fault)["error_description"], fault.code)
    asked = _request(given)
    if {"id_token", "token"} & set(given.get("response_type", "").split()):
        return not_emulated(f"response_type={given['response_type']}")
    if kind == "spa":
        return not_emulated("sign-in of single-page applications")
    try:
        clients.open_to_sign_in(tenant, application)
        _check(tenant, given, asked)
    except EntraFault as fault:
        return _refused(host, request, asked, fault)
    return advance(host, request, Pending(asked, tenant.clock.now() + PAGE_LIFETIME))


def _request(given: dict[str, str]) -> Request:
    return Request(
        client=given["client_id"].lower(), scope=given.get("scope", ""), redirect_uri=given["redirect_uri"],
        response_mode=given.get("response_mode", "query"), state=given.get("state"), nonce=given.get("nonce"),
        challenge=given.get("code_challenge", ""), method=given.get("code_challenge_method", ""),
        prompt=given.get("prompt", ""), login_hint=given.get("login_hint", ""),
    )  # fmt: skip


def _check(tenant: Tenant, given: dict[str, str], asked: Request) -> None:
    if not given.get("response_type"):
        raise EntraFault(900144, parameter="response_type")
    if given["response_type"] != "code":
        raise EntraFault(70005, kind=given["response_type"])
    if asked.prompt not in PROMPTS:
        raise EntraFault(90023, what=f"Unsupported 'prompt' value {asked.prompt!r}.")
    if asked.method not in ("", "plain", "S256"):
        raise EntraFault(50149)
    if (asked.method and not asked.challenge) or (asked.challenge and not 43 <= len(asked.challenge) <= 128):
        raise EntraFault(501491)
    if not asked.scope.strip():
        raise EntraFault(900144, parameter="scope")
    scopes.asked(tenant, asked.scope, asked.client)


# Pages


async def answer(host: Host, request: web.Request) -> web.Response:
    """A button of one of the pages."""
    tenant, form = host.tenant, await read_form(request)
    people, ctx = tenant.directory.people, digest(form.get("ctx", ""))
    pending = people.pending.get(ctx)
    if pending is None or pending.expires <= tenant.clock.now():
        return pages.trouble(host.explain(request, EntraFault(50089))["error_description"], 50089)
    del people.pending[ctx]
    match form.get("action", ""):
        case "cancel":
            return _cancelled(host, request, pending)
        case "signin" if not pending.user:
            return _password(host, request, pending, form)
        case "approve" if pending.user:
            pending.proved_twice = True
            return advance(host, request, pending, fresh=True)
        case "accept" if pending.user:
            pending.consented = True
            user = people.users[pending.user]
            wanted = scopes.asked(tenant, pending.request.scope, pending.request.client)
            scopes.consent(tenant.directory, pending.request.client, user, wanted)
            return advance(host, request, pending)
    return pages.trouble(host.explain(request, EntraFault(90013))["error_description"], 90013)


def _password(host: Host, request: web.Request, pending: Pending, form: dict[str, str]) -> web.Response:
    name = form.get("login", "")
    try:
        pending.user = policy.signed_in(host.tenant, name, form.get("passwd", "")).id
    except EntraFault as fault:
        host.tenant.count("token", f"sign-in refused, AADSTS{fault.code}")
        return _sign_in_page(host, request, pending, name, host.explain(request, fault)["error_description"])
    return advance(host, request, pending, fresh=True)


def advance(host: Host, request: web.Request, pending: Pending, *, fresh: bool = False) -> web.Response:
    """The next page, or the answer. ``fresh``: the person has just shown who it is, so a session begins."""
    tenant, asked = host.tenant, pending.request
    people = tenant.directory.people
    if not pending.user and asked.prompt not in ("login", "select_account"):
        pending.user, pending.proved_twice = people.sessions.get(digest(request.cookies.get(COOKIE, "")), ("", False))
    user = people.users.get(pending.user)
    if user is None:
        if asked.prompt == "none":
            return _refused(host, request, asked, EntraFault(50058))
        return _sign_in_page(host, request, pending, asked.login_hint)
    response = _after_sign_in(host, request, pending, user)
    if fresh:
        cookie = secrets.token_urlsafe(32)
        people.sessions[digest(cookie)] = (user.id, pending.proved_twice)
        response.set_cookie(COOKIE, cookie, secure=True, httponly=True, samesite="None", path="/")
    return response


def _after_sign_in(host: Host, request: web.Request, pending: Pending, user: User) -> web.Response:
    tenant, asked = host.tenant, pending.request
    application = clients.find(tenant, asked.client)
    try:
        policy.lets_in(tenant, user, application, proved_twice=pending.proved_twice)
    except EntraFault as fault:
        if asked.prompt == "none":
            return _refused(host, request, asked, fault)
        if fault.code == 50076:
            return pages.second_factor(_action(host), _open(tenant, pending))
        return _shown(host, request, pending, fault)
    wanted = scopes.asked(tenant, asked.scope, asked.client)
    lacking = scopes.lacking(tenant.directory, asked.client, user, wanted)
    if lacking or (asked.prompt == "consent" and not pending.consented):
        name = str(application.properties["displayName"])
        if asked.prompt == "none":
            return _refused(
                host, request, asked, EntraFault(65001, client=asked.client, name=name).named("interaction_required")
            )
        if lacking and user.home:
            try:
                policy.may_come(tenant, user, application)
            except EntraFault as fault:
                return _shown(host, request, pending, fault)
        if lacking and not policy.may_consent(tenant, lacking):
            return _shown(host, request, pending, EntraFault(90094))
        offline = "offline_access" in asked.scope.split()
        return pages.permissions(
            _action(host), _open(tenant, pending), name, user.upn, lacking or wanted, offline=offline
        )
    return _done(host, pending, user, application)


def _done(host: Host, pending: Pending, user: User, application: Entity) -> web.Response:
    tenant, asked = host.tenant, pending.request
    people, now = tenant.directory.people, tenant.clock.now()
    if asked.device:
        device = people.devices[asked.device]
        if device.came == "pending" and device.expires > now:
            device.came, device.user, device.proved_twice = "approved", user.id, pending.proved_twice
        name = application.properties["displayName"]
        return pages.message(
            "You have signed in", f"You have signed in to {name} on your device. You may close this window."
        )
    code = f"1.{secrets.token_urlsafe(96)}"
    people.codes[digest(code)] = Code(asked, user.id, now + CODE_LIFETIME, pending.proved_twice)
    return send(asked, {"code": code, "session_state": secrets.token_hex(16)})


def _sign_in_page(host: Host, request: web.Request, pending: Pending, login: str, wrong: str = "") -> web.Response:
    name = str(clients.find(host.tenant, pending.request.client).properties["displayName"])
    return pages.sign_in(_action(host), _open(host.tenant, pending), name, login, wrong)


def _shown(host: Host, request: web.Request, pending: Pending, fault: EntraFault) -> web.Response:
    """A refusal on a page, with a button that tells the application of it."""
    text = host.explain(request, fault)["error_description"]
    return pages.trouble(text, fault.code, (_action(host), _open(host.tenant, pending)))


def _action(host: Host) -> str:
    return f"/{host.tenant.tenant_id}/login"


def _open(tenant: Tenant, pending: Pending) -> str:
    """Remember a page that is shown; what its form gives back."""
    people, ctx = tenant.directory.people, secrets.token_urlsafe(32)
    people.pending = {key: held for key, held in people.pending.items() if held.expires > tenant.clock.now()}
    people.pending[digest(ctx)] = pending
    return ctx


# Answers to the application


def _cancelled(host: Host, request: web.Request, pending: Pending) -> web.Response:
    asked = pending.request
    if asked.device:
        host.tenant.directory.people.devices[asked.device].came = "declined"
        return pages.message("You have cancelled", "The device is not signed in. You may close this window.")
    return _refused(host, request, asked, EntraFault(65004))


def _refused(host: Host, request: web.Request, asked: Request, fault: EntraFault) -> web.Response:
    told = host.explain(request, fault)
    if asked.device:
        return pages.trouble(told["error_description"], fault.code)
    return send(asked, {key: told[key] for key in ("error", "error_description", "error_uri")})


def send(asked: Request, values: dict[str, str]) -> web.Response:
    """An answer to the redirect URI, in the way that was asked for."""
    if asked.state is not None:
        values = values | {"state": asked.state}
    uri = clients.returned(asked.redirect_uri, asked.response_mode)
    if asked.response_mode == "form_post":
        return pages.posting(uri, values)
    mark = "#" if asked.response_mode == "fragment" else "&" if "?" in uri else "?"
    return web.Response(status=302, headers={"Location": f"{uri}{mark}{urlencode(values)}"})
