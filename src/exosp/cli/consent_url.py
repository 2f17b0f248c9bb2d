"""exosp consent-url: where an administrator of another tenant consents to a multi-tenant application, and with --wait whether
a token of that tenant shows it. Exit 0 printed, or proven; 3 not yet."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import (
    CloudFile,
    Deadline,
    Format,
    FormatOption,
    NoColor,
    OutsideFolder,
    PlaybookPath,
    Quiet,
    Verbose,
    seconds,
)
from .screen import Screen

if TYPE_CHECKING:
    from ..clouds import Cloud
    from ..consent import Address, Waiting
    from ..playbook import Playbook
    from ..snapshot import Protocol

TenantName = Annotated[
    str | None,
    typer.Option(
        "--tenant", metavar="TENANT", show_default=False,
        help="The tenant whose administrator is asked: a domain of it, or its id. Without it the playbook's, where the "
        "application is registered in another one.",
    ),
]  # fmt: skip
Only = Annotated[
    list[str] | None,
    typer.Option("--protocol", metavar="imap|pop|smtp", show_default=False,
                 help="For this protocol alone. Repeatable; without it those of the playbook."),
]  # fmt: skip
Redirect = Annotated[
    str | None,
    typer.Option("--redirect-uri", metavar="URL", show_default=False,
                 help="Where the browser ends, as it is registered. Without it http://localhost."),
]  # fmt: skip
Wait = Annotated[
    bool,
    typer.Option("--wait", help="Listen on localhost for the browser, and go on until a token of that tenant carries every role."),
]  # fmt: skip
Port = Annotated[
    int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Where --wait listens; 0: a free port.")
]


def consent_url(
    playbook: PlaybookPath,
    tenant: TenantName = None,
    protocol: Only = None,
    redirect_uri: Redirect = None,
    wait: Wait = False,
    port: Port = 0,
    form: FormatOption = Format.text,
    timeout: Deadline = "15m",
    cloud_file: CloudFile = None,
    allow_outside: OutsideFolder = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> None:
    """Print the address where an administrator of another tenant consents to the application, for each protocol. Writes
    nothing. With --wait only a token is believed; exit code 3 where none carries every role in time."""
    with Screen(form, command="consent-url", quiet=quiet, verbose=verbose, no_color=no_color) as screen:
        patience = seconds(timeout, "--timeout")
        with screen.progress("reading the playbook"):
            from .. import consent
            from ..errors import UsageError
            from .wiring import cloud_of, read

            want = read(playbook, allow_outside=allow_outside)
            customer = screen.tenant = _tenant(tenant, want)
            cloud = screen.cloud = cloud_of(want, cloud_file, os.environ)
            asked = _protocols(protocol, want)
            if wait and redirect_uri is not None:
                raise UsageError(
                    "--wait listens on this machine, and --redirect-uri leads elsewhere", where="--redirect-uri",
                    hint="leave one of the two out",
                )  # fmt: skip
            screen.working("looking for the application")
            app_id = _app_id(want, screen, cloud_file)
        state = consent.new_state()
        if not wait:
            found = consent.addresses(cloud, customer, app_id, asked, redirect_uri or consent.REDIRECT, state)
            all_ = consent.address(cloud, customer, app_id, asked, redirect_uri or consent.REDIRECT, state)
            if screen.json:
                screen.document(_document(app_id, redirect_uri or consent.REDIRECT, state, found, all_))
            else:
                screen.say(_text(cloud, customer, found))
            return
        waiting = consent.Waiting(_roles(want, cloud, customer), _needed(asked))
        with consent.Listener(state, waiting.answer, port) as listener:
            found = consent.addresses(cloud, customer, app_id, asked, listener.redirect, state)
            all_ = consent.address(cloud, customer, app_id, asked, listener.redirect, state)
            done = waiting.already()
            if not done:
                screen.call(_text(cloud, customer, (all_,)))
                with screen.progress("waiting for consent"):
                    done = waiting.until(listener, patience, screen.working)
            if screen.json:
                body = _document(app_id, listener.redirect, state, found, all_)
                screen.document(body | {"waited": _waited(waiting, listener, done=done)})
            else:
                screen.say(_outcome(waiting, listener, customer, done=done))
        raise typer.Exit(0 if done else 3)


def _tenant(given: str | None, want: "Playbook") -> str:
    """Whose administrator is asked. Raises UsageError."""
    from ..errors import UsageError
    from ..playbook import rules

    if want.app.managed_identity is not None or want.delegated:
        raise UsageError(
            "nobody consents by address to this application", where=str(want.app.place),
            hint="people who sign in consent for themselves, and a managed identity gets its roles from apply",
        )  # fmt: skip
    if want.app.audience != "multi-tenant" and want.app.id is None:
        raise UsageError(
            "the playbook's application is for its own tenant alone", where=str(want.app.place),
            hint="write audience: multi-tenant under app, and apply; in its own tenant apply consents",
        )  # fmt: skip
    if given is None and not want.app.registered_in:
        raise UsageError("which tenant?", where="--tenant", hint="name it: --tenant customer.onmicrosoft.com")
    try:
        return rules.tenant(given) if given is not None else want.tenant
    except rules.Refused as fault:
        raise UsageError(f"{given!r} {fault.what}", where="--tenant", hint=fault.hint) from None


def _protocols(given: list[str] | None, want: "Playbook") -> "tuple[Protocol, ...]":
    from ..errors import UsageError

    for name in given or ():
        if name not in want.claimed():
            raise UsageError(
                f"no mailbox of the playbook needs consent for {name!r}", where="--protocol",
                hint=f"there is {', '.join(want.claimed())}",
            )  # fmt: skip
    return tuple(name for name in want.claimed() if not given or name in given)


def _needed(protocols: "tuple[Protocol, ...]") -> list[str]:
    from ..steps.application import ROLE_OF

    return [ROLE_OF[name] for name in protocols]


def _app_id(want: "Playbook", screen: Screen, cloud_file: Path | None) -> str:
    """The Application (client) ID: the playbook's, the saved credential's, else Graph's. Raises CloudError, UsageError."""
    from ..errors import Missing
    from ..vault import EnvFile
    from .wiring import Session

    if want.app.id is not None:
        return want.app.id
    if want.app.credential is not None:
        kept = EnvFile(want.app.credential.save_to, lambda *_: None).load()
        if kept is not None:
            return kept.client_id
    customer = screen.tenant
    with Session(want, screen, cloud_file=cloud_file) as session:
        found = session.patience.transport(session.tenant.directory.application, want.app.unique_name)
    screen.tenant = customer
    if found is None:
        raise Missing("there is no application yet", service="graph", asked=want.app.unique_name, hint="apply makes it")
    return found.app_id


def _roles(want: "Playbook", cloud: "Cloud", tenant: str) -> Any:
    """What mints a token in that tenant with the saved credential. Raises UsageError where there is none."""
    from ..errors import Missing, UsageError
    from ..patience import Patience, WallClock
    from ..signin import app_token
    from ..vault import EnvFile

    kept = EnvFile(want.app.credential.save_to, lambda *_: None).load() if want.app.credential is not None else None
    if kept is None:
        raise UsageError(
            "--wait believes only a token, and there is no saved credential to ask for one with", where="--wait",
            hint="apply saves one; without it leave --wait out, and let verify in that tenant tell",
        )  # fmt: skip
    patience = Patience(WallClock(), 120.0, lambda why, pause: None)

    def roles() -> frozenset[str]:
        try:
            token = patience.transport(lambda: app_token(cloud, tenant, kept.client_id, kept.reveal()))
        except Missing as fault:
            if fault.code in ("AADSTS700016", "AADSTS7000229"):  # no enterprise application there yet
                return frozenset()
            raise
        held = token.claims.get("roles")
        return frozenset(str(role) for role in held) if isinstance(held, list) else frozenset()

    return roles


# What is said


def _document(app_id: str, redirect: str, state: str, found: "tuple[Address, ...]", all_: "Address") -> dict[str, Any]:
    return {
        "client_id": app_id, "redirect_uri": redirect, "state": state, "url": all_.url, "scope": all_.scope,
        "addresses": [{"protocols": list(a.protocols), "scope": a.scope, "url": a.url} for a in found],
    }  # fmt: skip


def _waited(waiting: "Waiting", listener: Any, *, done: bool) -> dict[str, Any]:
    told = listener.told
    error = {} if told is None or not told.error else {
        "error": told.error, "error_description": told.description, "fix": told.fix,
    }  # fmt: skip
    return {"consented": done, "roles": sorted(waiting.held), "missing": list(waiting.missing), **error}


def _text(cloud: "Cloud", tenant: str, found: "tuple[Address, ...]") -> str:
    from ..clouds import TABLE

    lines = [f"An administrator of {tenant} opens this address, signs in and accepts (cloud {cloud.name}):", ""]
    for one in found:
        name = ", ".join(protocol.upper() for protocol in one.protocols)
        lines += [f"{name}{' only' if one.protocols == ('smtp',) else ''}:", f"  {one.url}", ""]
    if len(found) > 1:
        lines += [
            "Both name Exchange Online, so one of them asks for everything that the application is registered with.",
            "",
        ]
    cell = TABLE.get(cloud.name, {}).get("consent_resource")
    if cell is not None and cell.certainty == "?" and any(cloud.consent_resource in one.scope for one in found):
        lines += [f"No source says that {cell.value} is known in this cloud. If it is refused (AADSTS500011), replace it by "
                  f"{cell.also[0]} in the address.", ""]  # fmt: skip
    return "\n".join(lines).rstrip()


def _outcome(waiting: "Waiting", listener: Any, tenant: str, *, done: bool) -> str:
    if done:
        return f"Consent is in force: a token of {tenant} carries {', '.join(sorted(waiting.held))}."
    told = listener.told
    lines = [f"Not yet: no token of {tenant} carries {', '.join(waiting.missing)}."]
    if told is not None and told.error:
        lines += [
            f"  {told.error}: {told.description}".replace("\r", " ").replace("\n", " "),
            f"  What to do: {told.fix}",
        ]
    elif told is not None:
        lines += ["  Microsoft says that consent was given; roles can take some minutes to show. Run this again."]
    return "\n".join(lines)
