"""exosp audit: which applications can open which mailboxes, and what is wrong with it. Writes nothing in the tenant.
Exit 0 done, 1 not all could be read, 4 findings at or above --fail-on."""

import os
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    ClientId,
    CloudFile,
    Deadline,
    Format,
    NoCache,
    NoColor,
    NoInput,
    Quiet,
    SignInOption,
    Verbose,
    seconds,
    signing_in,
)
from .screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..audit.judge import Result
    from ..inventory import Inventory


class Form(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"
    csv_grants = "csv-grants"
    markdown = "markdown"
    sarif = "sarif"
    junit = "junit"
    html = "html"


class Severity(StrEnum):
    info = "info"
    low = "low"
    medium = "medium"
    high = "high"
    critical = "critical"


TenantOption = Annotated[
    str | None,
    typer.Option("--tenant", metavar="DOMAIN", show_default=False,
                 help="The tenant, by its domain or id. Without it, AZURE_TENANT_ID."),
]  # fmt: skip
AppOption = Annotated[
    str | None,
    typer.Option("--app", metavar="NAME|ID", show_default=False,
                 help="Only this application: what it can open, and by which route."),
]  # fmt: skip
MailboxOption = Annotated[
    str | None,
    typer.Option("--mailbox", metavar="ADDRESS", show_default=False,
                 help="Only this mailbox: which applications can open it."),
]  # fmt: skip
Playbooks = Annotated[
    Path | None,
    typer.Option("--playbooks", metavar="DIR", show_default=False,
                 help="What was meant to be: compare the tenant with the playbooks of this folder."),
]  # fmt: skip
Settings = Annotated[
    Path | None,
    typer.Option("--settings", metavar="FILE", show_default=False,
                 help="What to go by: privileged mailboxes, limits, exceptions with a reason and an end (YAML)."),
]  # fmt: skip
Evidence = Annotated[
    bool, typer.Option("--evidence", help="Also who granted what and when, and when each application was last used.")
]
Folders = Annotated[
    bool, typer.Option("--folders", help="Also the permissions of each mailbox's default folders. Takes long.")
]
Snapshot = Annotated[
    Path | None,
    typer.Option("--snapshot", metavar="FILE", show_default=False,
                 help="Keep what is read there (0600); an audit that was interrupted goes on from it."),
]  # fmt: skip
From = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", show_default=False,
                 help="Judge a snapshot again, without the tenant."),
]  # fmt: skip
Baseline = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", show_default=False,
                 help="An earlier report (JSON or SARIF): only what is new is reported."),
]  # fmt: skip
FailOn = Annotated[
    Severity | None,
    typer.Option("--fail-on", show_default=False, help="Exit with 4 where a finding is at least this severe."),
]
FormOption = Annotated[
    Form, typer.Option("--format", help="What stdout gets. All but text: one document, prose on stderr.")
]
Output = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", metavar="FILE", show_default=False,
                 help="Also write the report there, in the form that its name ends in: .json, .csv, .md, .sarif, .xml "
                 "(JUnit), .html or .txt. Repeatable."),
]  # fmt: skip


def audit(
    app: AppOption = None,
    mailbox: MailboxOption = None,
    playbooks: Playbooks = None,
    settings: Settings = None,
    evidence: Evidence = False,
    folders: Folders = False,
    snapshot: Snapshot = None,
    source: From = None,
    baseline: Baseline = None,
    fail_on: FailOn = None,
    output: Output = None,
    form: FormOption = Form.text,
    tenant: TenantOption = None,
    timeout: Deadline = "24h",
    cloud_file: CloudFile = None,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
    sign_in: SignInOption = "auto",
    client_id: ClientId = None,
    no_cache: NoCache = False,
) -> None:
    """Say which applications can read or send as which mailboxes, by which route, and what is wrong with it, for the whole
    tenant. View-only rights are enough; nothing is written there. Exit code 1 where not all could be read, 4 where a finding
    is at least as severe as --fail-on. exosp explain CHECK says what a check means."""
    with ExitStack() as stack:
        shown = Format.json if form is Form.json else Format.text
        screen = stack.enter_context(Screen(
            shown, command="audit", quiet=quiet, verbose=verbose, no_color=no_color, machine=form is not Form.text
        ))  # fmt: skip
        deadline = seconds(timeout, "--timeout")
        with screen.progress("reading the settings"):
            from .. import __version__
            from ..audit import settings as rules
            from ..audit.judge import judge
            from . import outputs
            from .auditing import inventory

            _agree(source, snapshot=snapshot, evidence=evidence, folders=folders, tenant=tenant)
            _view_only(form, output or (), asked=app or mailbox)
            outputs.check(output or (), _ENDS)
            by = rules.read(settings) if settings is not None else rules.Settings()
            before = rules.known(baseline) if baseline is not None else frozenset()
            if source is not None:
                from ..audit.file import read

                screen.working("reading the snapshot")
                found = _again(read(source), playbooks, screen)
            else:
                how = signing_in(sign_in, client_id, no_cache, no_input, screen.note)
                found = inventory(
                    screen, tenant=tenant, cloud_file=cloud_file, deadline=deadline, sign_in=how, folders=folders,
                    evidence=evidence, playbooks=playbooks, snapshot=snapshot,
                )  # fmt: skip
            screen.tenant = found.tenant or found.tenant_id
            screen.working("judging")
            result = judge(found, by.measures, ignores=by.ignores, baseline=before, version=__version__)
        _write(result, form, output or (), app or "", mailbox or "", screen)
        raise typer.Exit(_code(result, fail_on))


# What a file's name ends in, for people. report.audit has the forms themselves.
_ENDS = {
    ".json": "the document", ".csv": "CSV (of the grants: .grants.csv)", ".md": "Markdown", ".sarif": "SARIF", ".xml": "JUnit", ".html": "a page",
    ".txt": "text",
}  # fmt: skip


def _agree(source: Path | None, **others: object) -> None:
    """Raise UsageError for what asks a tenant for more where none is asked."""
    from ..errors import UsageError

    named = [f"--{name}" for name, value in others.items() if value]
    if source is not None and named:
        raise UsageError(
            f"{named[0]} asks the tenant, and --from asks none", where="--from", hint=f"leave {named[0]} out"
        )


def _view_only(form: Form, output: "Sequence[Path]", *, asked: str | None) -> None:
    """Raise UsageError for a form that has no view of one application or mailbox."""
    from ..errors import UsageError

    if asked and (form not in (Form.text, Form.json) or output):
        raise UsageError(
            "--app and --mailbox answer as text or json, on stdout", where="--format",
            hint="leave --output out, or leave --app and --mailbox out for the whole report",
        )  # fmt: skip


def _again(found: "Inventory", playbooks: Path | None, screen: Screen) -> "Inventory":
    """A snapshot, compared with the playbooks that are there at present."""
    from dataclasses import replace

    from ..audit.wanted import gather

    if playbooks is None:
        return found
    names = {found.tenant.lower(), found.tenant_id.lower()}
    wanted, others = gather(playbooks, os.environ, names)
    left_out(others, screen)
    return replace(found, wanted=wanted)


def left_out(others: "Sequence[str]", screen: Screen) -> None:
    """Say which files of the folder are compared with nothing."""
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        screen.note(f"Not compared: {', '.join(others[:5])}{more}.")


def _write(result: "Result", form: Form, output: "Sequence[Path]", app: str, mailbox: str, screen: Screen) -> None:
    from ..report import audit_json, audit_text, audit_view
    from ..report.audit import FORMATS, form_of
    from . import outputs

    forms = {path: form_of(path.name) for path in output}
    for path, named in forms.items():
        assert named is not None, "checked before"
        if named == "html":
            from ..report import audit_html

            beside = next((o.name for o, f in forms.items() if f == "json" and o.parent == path.parent), "")
            text = audit_html.render(result, beside=beside)
        else:
            text = FORMATS[named][1](result)
        outputs.save(path, text, mode=0o600)  # who can open what is nobody else's business than the reader's
    if app or mailbox:
        seen = audit_view.view(result, app=app, mailbox=mailbox)
        if screen.json:
            screen.result(audit_json.written(audit_view.document(seen, result)))
        else:
            screen.say(audit_view.text(seen, result, screen.width).removesuffix("\n"))
    elif form is Form.text:
        screen.say(audit_text.render(result, screen.width).removesuffix("\n"))
    else:
        screen.result(FORMATS[form.value][1](result))


def _code(result: "Result", fail_on: Severity | None) -> int:
    """1 comes before 4: an audit that is not whole has not found all there is."""
    from ..finding import SEVERITIES

    if not result.inventory.coverage.whole:
        return 1
    worst = result.worst
    if fail_on is not None and worst is not None and SEVERITIES.index(worst) >= SEVERITIES.index(fail_on.value):
        return 4
    return 0
