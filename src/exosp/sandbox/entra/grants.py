"""Tokens for a person: a code redeemed, a refresh token used, a device code polled, a password.

Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, /v2-oauth2-device-code, /v2-oauth-ropc,
/refresh-tokens (90 days, replaced on use, the old one stays good), /access-token-claims-reference, /id-token-claims-reference,
/reference-error-codes. Texts that no page has: 50148 django-allauth#2916, 501481 PHPAzureADoAuth#18, 70008
azure-sdk-for-java#33235, 70016 ESPTeamsPresence#49, 70020 azure-cli#22251, 700025 canonical/authd#1881.

Not imitated: refresh tokens that end with a changed password, family refresh tokens, claims challenges, tokens bound to keys.
"""

import base64
import hashlib
import json
import secrets
from typing import Any

from aiohttp import web

from ..aadsts import EntraFault
from ..directory import Entity, digest
from ..people import Code, Refresh, User
from ..tenant import Tenant
from . import clients, policy, scopes
from .app_only import ROLE_TEMPLATES
from .device import INTERVAL
from .host import Host
from .wire import origin

LIFETIME = 3599  # sandbox seconds; Entra's own range is 60 to 90 minutes
REFRESH_LIFETIME = 90 * 86400.0
_MEMBER = "b79fbf4d-3ef9-4689-8143-76b194e85509"  # stands in every member's token
AT_HAND = 9002313  # what no request of ours can have: malformed, of another application, of another tenant

Form = dict[str, str]


def _needed(form: Form, *names: str) -> None:
    for name in names:
        if not form.get(name):
            raise EntraFault(900144, parameter=name)


def authorization_code(host: Host, request: web.Request, form: Form, basic: str) -> web.Response:
    tenant = host.tenant
    _needed(form, "client_id", "code")
    application = clients.find(tenant, form["client_id"], request.match_info["tenant"])
    clients.open_to_sign_in(tenant, application)
    client, now = str(application.properties["appId"]), tenant.clock.now()
    held = tenant.directory.people.codes.get(digest(form["code"]))
    if held is None or held.request.client != client:
        raise EntraFault(AT_HAND)
    _needed(form, "redirect_uri")
    if form["redirect_uri"] != held.request.redirect_uri:
        raise EntraFault(500112, given=form["redirect_uri"], asked=held.request.redirect_uri)
    kind = clients.redirect(application, held.request.redirect_uri)
    public = clients.prove(tenant, request, form, application, public=kind == "publicClient", basic=basic)
    if held.expires <= now:
        raise EntraFault(70008)
    if held.redeemed:
        raise EntraFault(54005)
    _check_verifier(held, form.get("code_verifier", ""))
    user = tenant.directory.people.users[held.user]
    scope = form.get("scope", "").strip() or held.request.scope
    answer = _issued(
        host, request, form, application, user, scope,
        public=public, proved_twice=held.proved_twice, nonce=held.request.nonce,
        offline="offline_access" in held.request.scope.split(),
    )  # fmt: skip
    held.redeemed = True
    return answer


def _check_verifier(held: Code, verifier: str) -> None:
    """PKCE (RFC 7636 §4.6): where the sign-in had a challenge, its verifier must come."""
    challenge = held.request.challenge
    if not challenge:
        return
    if not verifier:
        raise EntraFault(50148)
    made = verifier
    if held.request.method == "S256":
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if not secrets.compare_digest(made.encode(), challenge.encode()):
        raise EntraFault(501481)


def refresh_token(host: Host, request: web.Request, form: Form, basic: str) -> web.Response:
    tenant = host.tenant
    _needed(form, "client_id", "refresh_token")
    application = clients.find(tenant, form["client_id"], request.match_info["tenant"])
    clients.open_to_sign_in(tenant, application)
    held = tenant.directory.people.refreshes.get(digest(form["refresh_token"]))
    if held is None or held.client != str(application.properties["appId"]):
        raise EntraFault(AT_HAND)
    public = clients.prove(tenant, request, form, application, public=held.public, basic=basic)
    if held.expires <= tenant.clock.now():
        issued = tenant.clock.iso(held.issued)
        raise EntraFault(700082, issued=issued, idle="90.00:00:00")
    user = tenant.directory.people.users[held.user]
    return _issued(
        host, request, form, application, user, form.get("scope", "").strip() or held.scope,
        public=public, proved_twice=held.proved_twice, nonce=None, offline=True,
    )  # fmt: skip


def device_code(host: Host, request: web.Request, form: Form, basic: str) -> web.Response:
    tenant = host.tenant
    _needed(form, "client_id", "device_code")
    application = clients.find(tenant, form["client_id"], request.match_info["tenant"])
    clients.open_to_sign_in(tenant, application)
    public = clients.prove(tenant, request, form, application, public=clients.falls_back(application), basic=basic)
    held = tenant.directory.people.devices.get(digest(form["device_code"]))
    if held is None or held.client != str(application.properties["appId"]) or held.came == "redeemed":
        raise EntraFault(70000, parameter="device_code").named("bad_verification_code")
    now, last = tenant.clock.now(), held.polled
    held.polled = now
    if held.came == "declined":
        raise EntraFault(65004).named("authorization_declined")
    if held.expires <= now:
        raise EntraFault(70020)
    if held.came == "pending":
        if tenant.faults["device-slow-down"] and now - last < INTERVAL * tenant.clock.speed:
            tenant.faults.note("device-slow-down")
            raise EntraFault(70016).named("slow_down")
        raise EntraFault(70016)
    user = tenant.directory.people.users[held.user]
    answer = _issued(
        host, request, form, application, user, held.scope,
        public=public, proved_twice=held.proved_twice, nonce=None, offline="offline_access" in held.scope.split(),
    )  # fmt: skip
    held.came = "redeemed"
    return answer


def password(host: Host, request: web.Request, form: Form, basic: str) -> web.Response:
    """Resource owner password credentials: no page, so neither consent nor a second factor can be given."""
    tenant = host.tenant
    _needed(form, "client_id", "username", "password")
    user = policy.signed_in(tenant, form["username"], form["password"])
    application = clients.find(tenant, form["client_id"], request.match_info["tenant"])
    clients.open_to_sign_in(tenant, application)
    _needed(form, "scope")
    public = clients.prove(tenant, request, form, application, public=clients.falls_back(application), basic=basic)
    return _issued(
        host, request, form, application, user, form["scope"],
        public=public, proved_twice=False, nonce=None, offline="offline_access" in form["scope"].split(),
    )  # fmt: skip


GRANTS = {
    "authorization_code": authorization_code,
    "refresh_token": refresh_token,
    "urn:ietf:params:oauth:grant-type:device_code": device_code,
    "device_code": device_code,
    "password": password,
}


# What is issued


def _issued(
    host: Host, request: web.Request, form: Form, application: Entity, user: User, scope: str,
    *, public: bool, proved_twice: bool, nonce: str | None, offline: bool,
) -> web.Response:  # fmt: skip
    tenant, client = host.tenant, str(application.properties["appId"])
    policy.lets_in(tenant, user, application, proved_twice=proved_twice)
    wanted = scopes.one(tenant, scope, client)
    if scopes.lacking(tenant.directory, client, user, [wanted]):
        policy.may_come(tenant, user, application)
        raise EntraFault(65001, client=client, name=str(application.properties["displayName"]))
    # Whatever was consented to on the resource is in the token, asked for or not.
    held = sorted(scopes.held(tenant.directory, client, wanted.resource, user.id) or set(wanted.values))
    tenant.directory.signed_in(client.lower(), person=True)
    expires = max(1, int(LIFETIME / max(tenant.clock.speed, 1e-9)))
    openid = scopes.openid(scope)
    claims = _claims(tenant, application, user, wanted.audience, held, public=public, proved_twice=proved_twice)
    body: dict[str, Any] = {
        "token_type": "Bearer", "scope": " ".join(f"{wanted.audience}/{value}" for value in held),
        "expires_in": expires, "ext_expires_in": expires, "access_token": tenant.signer.mint(claims, LIFETIME),
    }  # fmt: skip
    if offline:
        token, now = f"1.{secrets.token_urlsafe(192)}", tenant.clock.now()
        tenant.directory.people.refreshes[digest(token)] = Refresh(
            client, user.id, scope, now, now + REFRESH_LIFETIME, public, proved_twice
        )
        body["refresh_token"] = token
    if "openid" in openid:
        body["id_token"] = _id_token(host, request, client, user, nonce, profile="profile" in openid)
    if form.get("client_info") == "1":
        told = json.dumps({"uid": user.id, "utid": user.home or tenant.tenant_id}).encode()
        body["client_info"] = base64.urlsafe_b64encode(told).rstrip(b"=").decode()
    return web.json_response(body)


def _subject(user: User, of: str) -> str:
    """The pairwise subject: another one for every application."""
    return base64.urlsafe_b64encode(hashlib.sha256(f"{user.id}{of}".encode()).digest()).rstrip(b"=").decode()


def _claims(
    tenant: Tenant, application: Entity, user: User, audience: str, held: list[str], *, public: bool, proved_twice: bool
) -> dict[str, Any]:
    """A person's access token, version 1.0 as Exchange Online asks for: ``scp`` and no ``roles``, the person's ``oid``, and in
    ``wids`` the directory roles that are active. A partner's names who signed them in (``idp``), and has no ``upn`` here."""
    client = str(application.properties["appId"])
    roles = sorted(tenant.directory.directory_roles.get(user.id, ()))
    wids = [ROLE_TEMPLATES[role] for role in roles if role in ROLE_TEMPLATES]
    whose = {"idp": f"https://sts.windows.net/{user.home}/"} if user.home else {"upn": user.upn}
    return whose | {
        "aud": audience, "acr": "1", "amr": ["pwd", "mfa"] if proved_twice else ["pwd"], "appid": client,
        "appidacr": "0" if public else "1", "app_displayname": application.properties["displayName"],
        "idtyp": "user", "name": user.name, "oid": user.id, "puid": user.puid, "scp": " ".join(held),
        "sid": secrets.token_hex(16), "sub": _subject(user, audience), "tenant_region_scope": "EU",
        "unique_name": user.upn, "wids": [*wids, *(() if user.home else (_MEMBER,))],
    }  # fmt: skip


def _id_token(host: Host, request: web.Request, client: str, user: User, nonce: str | None, *, profile: bool) -> str:
    tenant = host.tenant
    claims: dict[str, Any] = {
        "aud": client, "iss": f"{origin(request)}/{tenant.tenant_id}/v2.0", "ver": "2.0", "sub": _subject(user, client),
    }  # fmt: skip
    if profile:
        claims |= {"name": user.name, "oid": user.id, "preferred_username": user.upn}
    if nonce:
        claims["nonce"] = nonce
    return tenant.signer.mint(claims, LIFETIME)
