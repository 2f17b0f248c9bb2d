"""One process that proves many logins as ``exosp verify --in-flight N`` does, from the plan's end on; its cost as JSON.

    python many_logins.py CLOUD_FILE MAILBOXES IN_FLIGHT

The parts are the command's own (the playbook's reader, its session's login, ``prove`` with its judge); only what would be
read of the tenant beforehand, and the token, are made here.
"""

import json
import resource
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exosp.cli.options import Format
from exosp.cli.screen import Screen
from exosp.cli.wiring import Session, read
from exosp.judging import Known
from exosp.patience import Patience, WallClock
from exosp.plan import Plan
from exosp.playbook import Playbook
from exosp.probes import probes
from exosp.snapshot import (
    AppId,
    Application,
    ApplicationObjectId,
    ClaimedObjectId,
    ClientAccess,
    EnterpriseApplication,
    ExchangeEntry,
    Mailbox,
    MailboxId,
    MailboxPermission,
    PrincipalObjectId,
    Snapshot,
    Transport,
)
from exosp.verify import Case, prove

APP, PRINCIPAL = "11111111-1111-1111-1111-111111111111", "33333333-3333-3333-3333-333333333333"
AUDIENCE = "https://outlook.office365.com"


@dataclass(frozen=True)
class Token:
    claims: dict[str, Any]
    expires: datetime
    obtained: datetime

    def reveal(self) -> str:
        return "t" * 1400


class Logins(Session):
    """The command's session, with all that it loads and holds; the token alone is made here."""

    def token(self) -> Any:
        now = datetime.now(UTC)
        roles = ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"]
        claims = {"aud": AUDIENCE, "appid": APP, "oid": PRINCIPAL, "roles": roles}
        return Token(claims, now + timedelta(hours=1), now)


def playbook(folder: Path, mailboxes: int) -> Playbook:
    boxes = "".join(f"  - box{n:05}@contoso.com\n" for n in range(mailboxes))
    path = folder / "many.yaml"
    path.write_text(
        "exosp: 1\ntenant: contoso.onmicrosoft.com\napp:\n  key: many\n  name: Many\n"
        "  credential: {type: secret, valid_for: 180d, save_to: many.env}\n"
        f"protocols: [imap, pop, smtp]\nmailboxes:\n{boxes}",
        encoding="utf-8",
    )
    return read(path, allow_outside=False)


def snapshot(want: Playbook) -> Snapshot:
    """Everything as the playbook says."""
    boxes = {}
    for number, box in enumerate(want.boxes):
        address = box.address
        names = frozenset((address.lower(), f"box{number:05}"))
        boxes[address] = Mailbox(MailboxId(f"id-{number:05}"), address, address, "user", names, names)
    entry = ExchangeEntry(AppId(APP), ClaimedObjectId(PRINCIPAL), "Many", PRINCIPAL, frozenset((PRINCIPAL,)))
    return Snapshot(
        application=Application(ApplicationObjectId("22222222"), AppId(APP), "Many", "exosp-many", "AzureADMyOrg"),
        principal=EnterpriseApplication(PrincipalObjectId(PRINCIPAL), AppId(APP), "Many"),
        entries=(entry,),
        mailboxes=boxes,
        permissions=tuple(MailboxPermission(box.id, PRINCIPAL, frozenset(("FullAccess",))) for box in boxes.values()),
        client_access={box.id: ClientAccess(box.id, True, True, None) for box in boxes.values()},
        transport=Transport(False),
    )


def peak() -> int:
    """The most memory that this process has had, in KiB. Not ru_maxrss, which begins with its parent's."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])


def main(cloud_file: Path, mailboxes: int, in_flight: int) -> None:
    want = playbook(cloud_file.parent, mailboxes)
    seen = snapshot(want)
    known = Known(want, seen, Plan(("", ""), ()), AUDIENCE)
    case = Case(known, probes(want, seen), in_flight=in_flight)
    signed_in = {"AZURE_TENANT_ID": APP, "AZURE_CLIENT_ID": APP, "AZURE_CLIENT_SECRET": "unused"}
    reach = {
        "EXOSP_REMOTING": "winrm://localhost:1/wsman?auth=basic",
        "EXOSP_REMOTING_USER": "u",
        "EXOSP_REMOTING_PASSWORD": "unused",
    }
    screen = Screen(Format.json, quiet=True)
    session = Logins(want, screen, cloud_file=cloud_file, environment=signed_in | reach)
    before = peak()
    begun, cpu = time.monotonic(), time.process_time()
    verdict = prove(case, session, Patience(WallClock(), 900.0, lambda *_: None))
    found = {
        "seconds": time.monotonic() - begun,
        "cpu": time.process_time() - cpu,
        "system": resource.getrusage(resource.RUSAGE_SELF).ru_stime,
        "peak": peak() / 1024,
        "before": before / 1024,
        "logins": len(verdict.proofs),
        "ok": sum(proof.ok for proof in verdict.proofs),
        "wrong": next((f"{p.stage} {p.server} {p.cause}" for p in verdict.proofs if not p.ok), ""),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
