"""A tenant's state without what every run makes anew: ids stand as whose they are, times and hashes not at all.

Two tenants that were brought to the same end by different ways compare equal; everything else they hold is compared too.
"""

import json
import re
from typing import Any

State = dict[str, Any]

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|S-1-5-21-[0-9-]+")
_MADE_ANEW = {"now", "advanced", "tenantId", "createdDateTime", "startDateTime", "endDateTime", "deletedDateTime",
              "creationTimestamp", "createdByAppId", "sha256", "hint", "keyId", "appRoles", "oauth2PermissionScopes",
              "InheritanceType"}  # fmt: skip
LABEL = "exosp-support-desk"


def normal(state: State) -> State:
    """The same state with names for ids, in an order of its own."""
    names = _names(state)
    rows = [{name: value for name, value in row.items() if name != "id"} for row in state["appRoleAssignments"]]
    text = json.dumps(_without({**state, "appRoleAssignments": rows}, _MADE_ANEW))
    # A secret's label bears the id of the run that made it.
    text = re.sub(rf'"{LABEL} [^"]*"', f'"{LABEL}"', text)
    found: State = _sorted(json.loads(_ID.sub(lambda id_: names.get(id_[0].lower(), "?"), text)))
    return found


def _names(state: State) -> dict[str, str]:
    names = {}
    for app in state["applications"]:
        who = app["uniqueName"] or app["displayName"]
        names |= {app["id"].lower(): f"application of {who}", app["appId"].lower(): f"appId of {who}"}
    for principal in state["servicePrincipals"]:
        who = names.get(principal["appId"].lower(), principal["displayName"]).removeprefix("appId of ")
        names[principal["id"].lower()] = f"enterprise application of {who}"
    for resource in state["servicePrincipals"]:
        names |= {role["id"].lower(): role["value"] for role in resource.get("appRoles") or []}
    exchange = state["exchange"]
    for entry in exchange["servicePrincipals"]:
        who = names.get(entry["ObjectId"].lower(), "nobody")
        names |= {entry[form].lower(): f"Exchange's entry with {who}" for form in ("Identity", "Guid")}
    for box in exchange["casMailboxes"]:
        names |= {box[form].lower(): box["PrimarySmtpAddress"] for form in ("Identity", "Guid")}
    for row in exchange["mailboxPermissions"]:
        who = names.get(row["User"].lower(), "nobody" if _ID.fullmatch(row["User"]) else row["User"])
        names[row["UserSid"].lower()] = f"SID of {who}"
    return names


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(held, keys) for name, held in value.items() if name not in keys}
    return [_without(item, keys) for item in value] if isinstance(value, list) else value


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(held) for name, held in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def differences(found: Any, wanted: Any, path: str = "") -> list[str]:
    """Where two normal states differ, a line each."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            line
            for name in sorted({*found, *wanted})
            for line in differences(found.get(name), wanted.get(name), f"{path}.{name}")
        ]
    if isinstance(found, list) and isinstance(wanted, list):
        more, less = list(found), []
        for item in wanted:
            if item in more:
                more.remove(item)
            else:
                less.append(item)
        return [f"{path}: + {_short(item)}" for item in more] + [f"{path}: - {_short(item)}" for item in less]
    return [] if found == wanted else [f"{path}: {_short(found)}, not {_short(wanted)}"]


def _short(value: Any) -> str:
    return json.dumps(value, sort_keys=True)[:400]
