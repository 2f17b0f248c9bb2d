"""What a person reads: the plan, what became of each change, the proof. Foreign text is made harmless by ``plain``.

Every text takes the ``width`` of its lines and gives no colour: marks stand two columns in, where ``cli`` may paint them.
"""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ..converge import Result
from ..diagnosis import DEPTH, TOKEN
from ..diagnosis.naming import named
from ..errors import CloudError
from ..plan import Change, Plan, Refusal
from ..probes import Proof
from ..sending import Applied, Outcome, Refused, Skipped
from ..steps import STEPS, name
from ..verify import Verdict
from .errors import cause
from .plain import plain

WIDTH = 100
SHOWN = 20  # changes of one step in full; the rest are counted, and stand in the JSON document

SIGN = {
    "create": "+", "restore": "+", "add": "+", "grant": "+", "consent": "+",
    "update": "~", "renew": "~", "switch": "~", "repair": "~", "remove": "-",
}  # fmt: skip
COLUMN = max(len(name(step)) for step in STEPS) + 2


def wrapped(text: str, width: int, indent: int = 0, more: int = 0) -> str:
    """One paragraph; ``more`` is how much further in its later lines stand."""
    return textwrap.fill(
        plain(text), max(width, indent + 30), initial_indent=" " * indent, subsequent_indent=" " * (indent + more),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _marked(mark: str, text: str, width: int) -> str:
    """A line with its mark, what follows the first line set in below the text."""
    indent = len(mark)
    return mark + wrapped(text, width, indent)[indent:]


# The plan


def plan(found: Plan, width: int = WIDTH, nothing: str = "The tenant is as the playbook says. Nothing to do.") -> str:
    """The whole plan: each change with what it sets and why; ``nothing`` where there is none."""
    modes = [_marked(f"  {protocol.upper():5}", how, width) for protocol, how in found.modes]
    if found.empty and not found.refused:
        lines = [nothing, *modes]
    else:
        lines = [*modes, *_changes(found, width), *(_refusal(refusal, width) for refusal in found.refused)]
    lines += _drift(found, width)
    if found.empty and not found.refused:
        return "\n".join(lines)
    total = [_count(len(found.changes), "change")] + ([f"{len(found.refused)} refused"] if found.refused else [])
    return "\n".join([*lines, "", f"{', '.join(total)}. Digest {found.digest[:12]}."])


def _drift(found: Plan, width: int) -> list[str]:
    return [_marked("  ? ", f"{drift.step}: {drift.target}: {drift.what}", width) for drift in found.drift]


def _changes(found: Plan, width: int) -> Iterator[str]:
    shown = dict.fromkeys(found.counts(), 0)
    for change in found.changes:
        shown[change.step] += 1
        if shown[change.step] <= SHOWN:
            yield f"  {SIGN[change.verb]} {_title(change)}"
            below = ("; ".join(_values(change)), f"because {change.why}")
            yield from (wrapped(text, width, 4 + COLUMN, 2) for text in below if text)
        elif shown[change.step] == SHOWN + 1:
            rest = found.counts()[change.step] - SHOWN
            yield f"    {change.step:{COLUMN}}… and {rest} more (all of them with --format json)"


def _refusal(refusal: Refusal, width: int) -> str:
    lines = [_marked(f"  ! {refusal.step:{COLUMN}}", f"refused: {refusal.target}: {refusal.what}", width)]
    if refusal.where:
        lines.append(f"{'':{4 + COLUMN}}--> {plain(refusal.where)}")
    return "\n".join([*lines, _marked(f"{'':{4 + COLUMN}}= help: ", refusal.hint, width)])


def _title(change: Change) -> str:
    verb = "" if change.verb == change.step else f"{change.verb} "
    return f"{change.step:{COLUMN}}{verb}{plain(change.target)}"


def doing(change: Change) -> str:
    """A change while it is being made, for a moving line."""
    verb = "" if change.verb == change.step else f"{change.verb} "
    return f"{change.step}: {verb}{plain(change.target)}"


def _values(change: Change) -> Iterator[str]:
    """What is set; what the title says already is left out, and so is what stays as it is."""
    before = change.before if isinstance(change.before, dict) else {}
    after = change.after if isinstance(change.after, dict) else {"": change.after}
    for key, value in after.items():
        shown, label = _plain_value(value), f"{key}: " if key else ""
        if before and key not in before:
            yield f"{label}{shown}"
        elif before and before.get(key) != value:
            yield f"{label}{_plain_value(before.get(key))} -> {shown}"
        elif not before and shown != change.target:
            yield f"{label}{shown}"


def _plain_value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain_value(held)}" for name, held in value.items())
    if isinstance(value, list):
        return ", ".join(_plain_value(held) for held in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# What became of it


def outcome(change: Change, came: Outcome, width: int = WIDTH) -> str:
    """One line as a change is done, more where something must be said."""
    match came:
        case Applied(found):
            lines = [f"  ok       {_title(change)}"]
            return "\n".join(lines + [f"{'':{11 + COLUMN}}it was there: an earlier answer was lost"] * found)
        case Skipped(reason, others_turn):
            mark = "waiting" if others_turn else "skipped"
            return f"  {mark}  {_title(change)}\n{wrapped(reason, width, 11 + COLUMN)}"
        case Refused(error):
            lines = [f"  failed   {_title(change)}", wrapped(error.what, width, 11 + COLUMN)]
            if error.where:
                lines.append(f"{'':{11 + COLUMN}}--> {plain(error.where)}")
            why = named(error) if isinstance(error, CloudError) else None
            if why is not None:
                lines.append(_marked(f"{'':{11 + COLUMN}}= cause: ", cause(why), width))
            if advice := why.fix if why is not None else error.hint:
                lines.append(_marked(f"{'':{11 + COLUMN}}= help: ", advice, width))
            return "\n".join(lines)


def refused_since(result: Result, width: int = WIDTH) -> str:
    """What turned out to be refused on the way, and was not in the plan."""
    known = {(refusal.step, refusal.what) for refusal in result.plan.refused}
    new = [refusal for refusal in result.rest.refused if (refusal.step, refusal.what) not in known]
    return "\n".join(_refusal(refusal, width) for refusal in new)


def applied(result: Result) -> str:
    """How an apply ended, in one line."""
    done = sum(isinstance(o, Applied) for _, o in result.outcomes)
    parts = [f"{done} of {_count(len(result.plan.changes), 'change')} applied"]
    failed = sum(isinstance(o, Refused) for _, o in result.outcomes)
    waiting = sum(isinstance(o, Skipped) and o.others_turn for _, o in result.outcomes)
    skipped = sum(isinstance(o, Skipped) and not o.others_turn for _, o in result.outcomes)
    counted = ((failed, "failed"), (waiting, "waiting for somebody else"), (skipped, "skipped"))
    parts += [f"{number} {what}" for number, what in counted if number]
    if result.rest.refused:
        parts.append(f"{len(result.rest.refused)} refused")
    asked = f"{_count(result.requests['graph'], 'Graph request')} and {_count(result.requests['remoting'], 'pipeline')}"
    return f"{', '.join(parts)}, with {asked}."


# The proof


_CAME = {
    "opened": "opened", "accepted": "accepted", "delivered": "delivered", "refused": "refused", "too-early": "too early",
    "not-provable-here": "not provable here",
}  # fmt: skip


def proof(found: Proof, width: int = WIDTH, longest: int = 0, *, explained: bool = False) -> str:
    """One line a login, with the server's own words; the cause and the fix below where it is not as it must be, unless
    they are ``explained`` further up. ``longest`` is the length of the longest address beside it."""
    probe = found.probe
    came = _CAME.get(
        found.proof or "", f"failed at {found.stage}" if probe.expect == "accept" else f"not refused at {found.stage}"
    )
    line = f"  {'ok' if found.ok else 'NO'}  {plain(probe.mailbox):{longest}}  {probe.protocol:4}  {came:9}"
    server = f"«{plain(found.server)}»" if found.server else ""
    lines = [f"{line}  {server}".rstrip()]
    if len(lines[0]) > width:
        lines = [line.rstrip(), wrapped(server, width, 6, 1)]
    if probe.user != probe.mailbox:
        lines.append(wrapped(f"the login's user name is {probe.user}", width, 6))
    if found.ok and probe.expect == "refuse":
        lines.append(wrapped("As it must be: this mailbox is not the application's to open.", width, 6))
    if found.message_id:
        lines.append(wrapped(f"sent as {found.message_id}", width, 6))
    lines += [_marked("      - ", subject, width) for subject in found.subjects]
    if explained:
        lines.append("      as above")
    else:
        lines += [wrapped(found.cause, width, 6)] if found.cause else []
        lines += [_marked("      = help: ", found.fix, width)] if found.fix else []
    return "\n".join(lines)


def verdict(found: Verdict, width: int = WIDTH) -> str:
    """What the proof amounts to."""
    good = sum(proof.ok for proof in found.proofs)
    untried = {proof.cause: proof for proof in found.proofs if proof.stage == "token"}
    lines = []
    for fault in found.token_faults:
        lines.append(_marked("  NO  ", f"the application's token: {fault}", width))
        first = untried.get(fault)
        lines += [wrapped(f"«{first.server}»", width, 6, 1)] if first and first.server else []
        lines += [_marked("      = help: ", first.fix, width)] if first and first.fix else []
    if not found.converged:
        lines += ["The tenant is not as the playbook says:", plan(found.plan, width), ""]
    elif found.plan.drift:
        lines += ["What the playbook does not say:", *_drift(found.plan, width), ""]
    said = [f"{good} of {_count(len(found.proofs), 'login')} came out right."]
    if found.converged:
        said.insert(0, "The tenant is as the playbook says.")
    if found.converged and found.claims and not found.token_faults and not _at_the_token(found):
        said.append(
            "The application's token is right in audience and roles, and its oid is the ObjectId Exchange holds."
        )
    said += _limits(found)
    return "\n".join([*lines, wrapped(" ".join(said), width), *_causes(found, width)])


def _at_the_token(found: Verdict) -> bool:
    """Whether a login failed for what its token says."""
    inner = DEPTH["entry"]
    return any(TOKEN < proof.depth < inner for proof in found.proofs if not proof.ok)


def _limits(found: Verdict) -> Iterator[str]:
    """What the logins do not prove."""
    if found.sample is not None:
        probed, of, seed = found.sample
        yield f"{probed} of {of} mailboxes were probed (--seed {seed}); of the other {of - probed} nothing is proven."
    early = {p.key for p in found.proofs if p.proof == "too-early"}
    if "not-replicated" in early:
        yield "What was made a moment ago is not everywhere yet; that takes a minute, as a rule."
    if early - {"not-replicated"}:
        yield "Everything is set right, and Exchange does not honour it yet: that can take up to two hours."
    if any(p.proof == "not-provable-here" for p in found.proofs):
        yield "The application's credential cannot be used here, so from here nothing is proven."
    accepted = [p for p in found.proofs if p.proof == "accepted"]
    if any(not p.message_id for p in accepted):
        yield "SMTP accepted the sender; no message was sent, so delivery is not proven."
    elif accepted:
        yield "The messages were taken; their mailbox is not one that IMAP opens here, so arrival is not proven."


def _causes(found: Verdict, width: int) -> Iterator[str]:
    """Where several things are wrong: in which order to mend them."""
    if len(found.causes) < 2:
        return
    yield ""
    yield wrapped("From the outside in; what lies further in may only follow from it:", width)
    for number, one in enumerate(found.causes, 1):
        yield _marked(f"  {number}. ", f"{one.cause} ({_count(one.logins, 'login')})", width)


def sampled(sample: tuple[int, int, int], width: int = WIDTH) -> str:
    probed, of, seed = sample
    return wrapped(f"{probed} of {of} mailboxes are probed, chosen by chance; --seed {seed} repeats the choice.", width)


def consent(link: str) -> str:
    """What the one who may not consent hands to the one who may."""
    return (
        "Somebody else must consent: a Privileged Role Administrator, Cloud Application Administrator or\n"
        f"Application Administrator opens this page and chooses Grant admin consent. Then run apply again.\n  {link}"
    )
