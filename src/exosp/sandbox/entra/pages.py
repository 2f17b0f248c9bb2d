"""The login host's pages, as plain as they can be and each saying that it is emulated. Field names are Entra's own where it
has them (``login``, ``passwd``, ``ctx``, ``otc``), so that a script can fill them in. Every value is escaped."""

from html import escape

from aiohttp import web

from ..aadsts import ERRORS
from .scopes import Asked

_FRAME = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title} (emulated)</title>
<style>body{{font:16px sans-serif;max-width:36em;margin:4em auto;padding:0 1em}}label,button{{display:block;margin:.6em 0}}
.note{{background:#ffd;padding:.4em .8em}}.error{{color:#a00}}</style></head>
<body><p class="note">This is an emulated sign-in page of exosp's sandbox. It is not Microsoft's: give it no real password.</p>
<h1>{title}</h1>
{body}
</body></html>
"""


def page(title: str, body: str, status: int = 200) -> web.Response:
    return web.Response(
        text=_FRAME.format(title=escape(title), body=body), status=status, content_type="text/html", charset="utf-8",
        headers={"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"},
    )  # fmt: skip


def _form(action: str, fields: dict[str, str], body: str) -> str:
    hidden = "".join(f'<input type="hidden" name="{escape(k)}" value="{escape(v)}">' for k, v in fields.items())
    return f'<form method="post" action="{escape(action)}">{hidden}{body}</form>'


def _button(action: str, text: str) -> str:
    return f'<button name="action" value="{action}">{escape(text)}</button>'


def sign_in(action: str, ctx: str, app: str, login: str, wrong: str = "") -> web.Response:
    body = (
        (f'<p class="error">{escape(wrong)}</p>' if wrong else "")
        + f"<p>to continue to {escape(app)}</p>"
        + f'<label>User name <input name="login" autocomplete="username" value="{escape(login)}"></label>'
        + '<label>Password <input name="passwd" type="password" autocomplete="current-password"></label>'
        + _button("signin", "Sign in")
        + _button("cancel", "Cancel")
    )
    return page("Sign in", _form(action, {"ctx": ctx}, body))


def second_factor(action: str, ctx: str) -> web.Response:
    body = "<p>Your organization asks for a second factor. Here this button stands for it.</p>"
    body += _button("approve", "Approve") + _button("cancel", "Cancel")
    return page("Approve sign in", _form(action, {"ctx": ctx}, body))


def permissions(action: str, ctx: str, app: str, user: str, wanted: list[Asked], *, offline: bool) -> web.Response:
    rows = [f"{item.resource.properties['displayName']}: {value}" for item in wanted for value in item.values]
    rows += ["Maintain access to data you have given it access to"] if offline else []
    body = f"<p>{escape(app)} would like to, for {escape(user)}:</p>"
    body += "<ul>" + "".join(f"<li>{escape(row)}</li>" for row in rows) + "</ul>"
    body += _button("accept", "Accept") + _button("cancel", "Cancel")
    return page("Permissions requested", _form(action, {"ctx": ctx}, body))


def for_everybody(action: str, ctx: str, app: str, organization: str, rows: list[str]) -> web.Response:
    """Consent of an administrator for the whole organization."""
    body = f"<p>{escape(app)} would like to, for everybody in {escape(organization)}:</p>"
    body += "<ul>" + "".join(f"<li>{escape(row)}</li>" for row in rows) + "</ul>"
    body += _button("accept", "Accept") + _button("cancel", "Cancel")
    return page("Permissions requested: review for your organization", _form(action, {"ctx": ctx}, body))


def device_code(action: str, wrong: str = "") -> web.Response:
    body = f'<p class="error">{escape(wrong)}</p>' if wrong else ""
    body += "<p>Only enter a code from a source that you trust.</p>"
    body += '<label>Code <input name="otc" autocomplete="off"></label>' + _button("next", "Next")
    return page("Enter code", _form(action, {}, body))


def message(title: str, text: str) -> web.Response:
    return page(title, f"<p>{escape(text)}</p>")


def trouble(description: str, code: int, back: tuple[str, str] | None = None) -> web.Response:
    """A refusal that is shown. ``back``: where a button leads to that tells the application of it."""
    body = f'<p class="error" id="AADSTS{code}">{escape(description)}</p>'
    if back:
        body += _form(back[0], {"ctx": back[1]}, _button("cancel", "Return to the application"))
    return page("Sorry, but we're having trouble signing you in.", body, 400 if code in ERRORS and not back else 200)


def posting(uri: str, values: dict[str, str]) -> web.Response:
    """response_mode=form_post: a form that sends itself (OAuth 2.0 Form Post Response Mode)."""
    body = _form(uri, values, "<noscript><button>Continue</button></noscript>")
    return page("Working...", body + "<script>document.forms[0].submit()</script>")
