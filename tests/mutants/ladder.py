"""Breaks of verify's decision: a rung taken away, an age not asked, a try too soon, a proof too many."""

from mutant import Mutant

ALONE = "tests/test_confusion.py::test_a_planted_cause_is_named_with_its_evidence"
PAIR = "tests/test_confusion.py::test_a_few_pairs_at_once"
VERIFY = "tests/test_verify.py::"


def _without(rung: str, line: str, planted: str) -> Mutant:
    return Mutant(
        f"verify does not look at the {rung}", "diagnosis/ladder.py", f"    {line}\n", "", f"{ALONE}[{planted}]"
    )


LADDER = (
    _without("token's application", 'Rung("application", _application, REFUSED),  # whose token it is, before what it says',
             "the file holds another application's credential"),
    _without("audience", 'Rung("audience", _audience, REFUSED),', "the token is for ps.outlook.com"),
    _without("token's tenant", 'Rung("tenant", _tenant, REFUSED),', "the token is another tenant's"),
    _without("token's oid", 'Rung("principal", _principal, REFUSED),', "the enterprise application was made anew"),
    _without("roles", 'Rung("role", _role, REFUSED),', "nobody consented"),
    _without("token's times", 'Rung("times", _times, REFUSED | {"imap-session-expired"}),', "the token has run out"),
    _without("token's length", 'Rung("length", _length, frozenset(("pop-protocol-error", "pop-auth-failed"))),',
             "the token lists so many groups that POP cuts it"),
    _without("entry in Exchange", 'Rung("entry", _entry, REFUSED),', "the entry bears the application's own object ID"),
    _without("kind of mailbox", 'Rung("mailbox", _mailbox, REFUSED | CLOSED),', "the mailbox was deleted last week"),
    _without("permission", 'Rung("permission", _permission, CLOSED | {"smtp-auth-failed"}),', "nobody granted FullAccess"),
    _without("switches", 'Rung("switch", _switch, CLOSED | OFF | {"pop-auth-failed", "smtp-auth-failed"}),',
             "IMAP is off for the mailbox"),
    _without("right to send", 'Rung("sending", _sending, SENDER),  # Exchange asks for it last, at the end of a message',
             "nobody granted SendAs"),
    Mutant("verify overlooks a deny entry", "judging.py", "denied=any(row.deny for row in mine)", "denied=False",
           f"{ALONE}[a deny entry undoes the grant]"),
    Mutant("another application's grant is taken for ours", "judging.py",
           "mine = [row for row in rows if row.user in ours]", "mine = rows",
           f"{ALONE}[the grant went to another application of the same name]"),
    Mutant("whatever is old is too early all the same", "diagnosis/timing.py",
           "return self.seconds is None or self.seconds < PATIENCE", "return True",
           f"{ALONE}[all is right, and granted five hours ago]"),
    Mutant("the way to the servers is not looked at without a token", "judging.py", "if not way.ok:", "if False:", PAIR),
    Mutant("the causes are told in the order of the logins", "verify.py",
           "sorted(failed, key=lambda proof: proof.depth)", "failed", PAIR),
    Mutant("failing logins follow each other at once", "verify.py", "first=case.apart", "first=2.0",
           VERIFY + "test_tries_lie_five_minutes_apart_and_more_each_with_a_token_of_its_own"),
    Mutant("a fresh grant is tried at once", "verify.py", "if 0 < young <= case.apart:", "if False:",
           VERIFY + "test_a_fresh_grant_is_left_alone_before_the_first_try_where_there_is_time"),
    Mutant("a sample may leave a protocol out", "probes.py", "for protocol in want.needed():", "for protocol in ():",
           VERIFY + "test_a_sample_covers_every_protocol_and_can_be_repeated"),
    Mutant("the limit of logins in flight is not kept", "verify.py", "max_workers=self.case.in_flight", "max_workers=8",
           VERIFY + "test_no_more_logins_are_in_flight_than_allowed"),
    Mutant("a fault between two tries ends the wait", "verify.py",
           " or proof.depth < TOKEN)", ")",
           VERIFY + "test_a_fault_between_two_tries_does_not_end_the_wait"),
    Mutant("a refusal where the protocol is off counts", "judging.py",
           "if isinstance(stranger, Mailbox) and self._is_off(probe, stranger):", "if False:",
           VERIFY + "test_a_refusal_where_the_protocol_is_off_says_nothing_of_rights"),
    Mutant("the refusal of a mailbox that is not there counts", "judging.py", "if isinstance(stranger, NoMailbox):",
           "if False:", VERIFY + "test_a_refusal_proves_something_only_where_there_is_a_mailbox"),
    Mutant("a message that was taken counts as delivered", "letters.py",
           "if seen.ok else _lost(proof, seen, to)", "if True else _lost(proof, seen, to)",
           VERIFY + "test_a_letter_that_does_not_arrive_is_not_proven"),
)  # fmt: skip
