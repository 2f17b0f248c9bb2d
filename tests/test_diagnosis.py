"""The diagnosis table, and the decision for one login."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from exosp.diagnosis import ROWS, RUNGS, ProbeFacts, Since, TokenFacts, diagnose, find, proves_closed, refused
from exosp.diagnosis.timing import span
from exosp.snapshot import (
    EXCHANGE_ONLINE,
    AppId,
    ApplicationObjectId,
    ClaimedObjectId,
    PrincipalObjectId,
    SavedCredential,
)

NOW = datetime(2026, 2, 2, 10, 0, tzinfo=UTC)
APP = AppId("11111111-1111-1111-1111-111111111111")
APPLICATION = ApplicationObjectId("22222222-2222-2222-2222-222222222222")
PRINCIPAL = PrincipalObjectId("33333333-aaaa-3333-3333-333333333333")
AUDIENCE = "https://outlook.office365.com"
CLAIMS = {
    "aud": AUDIENCE,
    "appid": APP,
    "oid": PRINCIPAL,
    "roles": ["IMAP.AccessAsApp", "POP.AccessAsApp", "SMTP.SendAsApp"],
    "exp": NOW.timestamp() + 3599,
}
NO = "NO AUTHENTICATE failed."
BAD = "BAD User is authenticated but not connected."
ERR = "-ERR Authentication failure: unknown user name or bad password."
S535 = "535 5.7.3 Authentication unsuccessful [BN9PR03CA0001.namprd03.prod.outlook.com]"
S430 = "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException"
OFF_TENANT = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit …"
OFF_MAILBOX = OFF_TENANT.replace("Tenant", "Mailbox")

RIGHT = ProbeFacts(
    protocol="imap",
    stage="auth",
    ok=False,
    server=NO,
    claims=CLAIMS,
    now=NOW,
    audience=AUDIENCE,
    entry_object_id=ClaimedObjectId(PRINCIPAL),
    principal_object_id=PRINCIPAL,
    application_object_id=APPLICATION,
    granted=True,
    switched_on=True,
    smtp_auth_disabled_mailbox=False,
    smtp_auth_disabled_tenant=True,
    upn="support@contoso.com",
    address="support@contoso.com",
    plan_empty=True,
    app_id=APP,
    login="support@contoso.com",
)
IMAP_OPEN = replace(RIGHT, stage="open", server=BAD)
POP = replace(RIGHT, protocol="pop", server=ERR)
SMTP = replace(RIGHT, protocol="smtp", server=S535, switched_on=None)
EVERY_DELAY = [
    RIGHT,
    IMAP_OPEN,
    POP,
    replace(POP, stage="open", server="-ERR User is authenticated but not connected."),
    SMTP,
    replace(SMTP, server=OFF_TENANT),
    replace(SMTP, server=OFF_MAILBOX),
    replace(SMTP, stage="sender", server=S430),
]


# The table


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_row_is_reached_by_its_own_text(row):
    """A row's example finds that row first, for each service that says it and at its stage: no other row shadows it."""
    for service in row.where:
        assert find(row.example, service, row.stage)[0].id == row.id
    assert row in find(row.example)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_each_row_says_what_to_do_and_who_says_so(row):
    """No row is without causes, fix, source and certainty; texts that people read are whole and name no other thing."""
    assert re.fullmatch(r"[a-z0-9-]+", row.id)
    assert row.causes
    assert all(row.causes)
    assert row.fix
    assert row.source
    assert row.certainty in set("ABCK?")
    assert row.where


def test_ids_are_unique():
    """An id names one row: ``explain`` and reports refer to it."""
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))


# Texts as they were seen, beside the rows' own examples.
SEEN = [
    ("imap", "open", 'BAD User is authenticated but not connected. / * BYE Connection closed. 14', "not-connected"),
    ("imap", "open", "* BYE Connection closed. 14", "imap-closed-14"),
    ("imap", "auth", "NO AUTHENTICATE failed.", "imap-auth-failed"),
    ("pop", "open", "-ERR User is authenticated but not connected.", "not-connected"),
    ("pop", "auth", ERR, "pop-auth-failed"),
    ("pop", "auth", "-ERR Logon failure: unknown user name or bad password.", "pop-logon-failure"),
    ("smtp", "auth", "535 5.7.3 Authentication unsuccessful [AM0PR06CA0126.eurprd06.prod.outlook.com 2024-02-14T14:50:26.590Z 08DC2D372B4C3DED]", "smtp-auth-failed"),
    ("smtp", "auth", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [MN2PR05CA0004.namprd05.prod.outlook.com 2023-09-12T20:59:57.214Z 08DBB276B7E699C4]", "smtp-off-tenant"),
    ("smtp", None, "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed", "smtp-send-as-denied"),
    ("smtp", "sender", "554 5.7.60 SMTP; Client does not have permissions to send as this sender", "smtp-not-the-sender"),
    ("smtp", None, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "smtp-concurrency"),
    ("smtp", None, "421 4.3.2 Service not available", "smtp-temporary"),
    ("smtp", None, "430 4.2.0 STOREDRV; AuthenticationContext has no rights on this session", "smtp-mailbox-logon"),
    ("smtp", "capability", "250-hello / 250 AUTH LOGIN", "smtp-not-offered"),
    ("token", None, "AADSTS7000215: Invalid client secret is provided.", "aadsts7000215"),
    ("token", None, "AADSTS700213: No matching federated identity record found", "aadsts700213"),
    ("graph", None, "The service principal cannot be created, updated, or restored because the service principal name <x> is already in use. Request_MultipleObjectsWithSameKeyValue", "graph-principal-there"),
    ("graph", None, "EntitlementGrant entry already exists.", "graph-role-there"),
    ("graph", None, "When using this permission, the backing application of the service principal being created must in the local tenant", "graph-no-backing-application"),
    ("admin-api", None, "ExBDDC58|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|x", "exchange-not-found"),
    ("remoting", None, "The term 'new-serviceprincipal' is not recognized as the name of a cmdlet, function, script\nfile, or operable program.", "exchange-cmdlet-missing"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "stage", "text", "row"), SEEN)
def test_texts_from_public_reports_find_their_row(service, stage, text, row):
    """What people quote in issues leads to the row that is meant for it."""
    assert find(text, service, stage)[0].id == row


@pytest.mark.parametrize("code", [7000215, 700022, 70011, 700213, 7002138, 90002])
def test_a_code_finds_its_own_row_only(code):
    """AADSTS codes are compared whole: 70011 is not found in 7000112."""
    assert [row.id for row in find(f"AADSTS{code}: text", "token")] == [f"aadsts{code}"]


# Entra's codes that a client of this chain meets (learn.microsoft.com, error codes; public reports).
CODES = (
    700016, 7000215, 7000222, 7000218, 7000112, 90002, 900023, 900382, 900432, 90038, 500011, 50001, 70011, 1002012,
    700022, 65001, 65002, 50105, 53003, 53005, 530032, 50076, 50079, 700027, 50012, 90090, 90033, 50033, 90006, 90012,
    90024, 90055, 50196, 7000229, 50194, 28000, 7000216, 500113, 700213, 7002138,
)  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_chain_has_its_row(code):
    """No code that a token request of this chain can meet is left unexplained."""
    assert find(f"AADSTS{code}: whatever it says today", "token")


def test_words_of_one_service_do_not_explain_another():
    """The same text from a service that never says it finds nothing."""
    assert find(NO, "smtp") == ()
    assert find("AADSTS700016: x", "imap") == ()


def test_a_text_that_nobody_knows_finds_nothing():
    """No row is a catch-all."""
    assert find("the dog ate it") == ()
    assert find("") == ()


# The decision

OTHER = "99999999-9999-9999-9999-999999999999"
WRONG = {
    "expired": ({"exp": NOW.timestamp()}, "expired at 2026-02-02 10:00:00 UTC"),
    "Graph's audience": ({"aud": "https://graph.microsoft.com"}, "audience is https://graph.microsoft.com (Microsoft Graph)"),
    "ps.outlook.com": ({"aud": "https://ps.outlook.com"}, "audience is https://ps.outlook.com, not"),
    "no role": ({"roles": None}, "roles are empty and lack"),
    "EWS's role": ({"roles": ["full_access_as_app"]}, "full_access_as_app is for EWS alone"),
    "another application": ({"appid": OTHER}, f"the token is the application {OTHER}'s"),
    "another tenant's oid": ({"oid": OTHER}, f"the token's oid is {OTHER}"),
}  # fmt: skip


@pytest.mark.parametrize("facts", [RIGHT, POP, SMTP], ids=lambda facts: facts.protocol)
@pytest.mark.parametrize("kind", WRONG)
def test_a_refused_auth_is_explained_by_the_token(facts, kind):
    """Expired, wrong audience, missing role, foreign application or oid: each is named with its evidence, not too early."""
    claims, evidence = WRONG[kind]
    found = diagnose(replace(facts, claims=CLAIMS | claims, plan_empty="role" not in kind))
    assert evidence in found.cause
    assert found.fix
    assert not found.too_early
    assert found.row


@pytest.mark.parametrize("facts", [RIGHT, POP, SMTP], ids=lambda facts: facts.protocol)
def test_a_role_that_is_consented_to_and_not_in_the_token_is_early(facts):
    """Where the plan is empty the consent stands, so a fresh token without the role is a matter of time."""
    found = diagnose(replace(facts, claims=CLAIMS | {"roles": []}))
    assert found.too_early
    assert "does not carry it yet" in found.cause


@pytest.mark.parametrize("facts", [RIGHT, POP, SMTP], ids=lambda facts: facts.protocol)
def test_the_classic_mistake_is_named(facts):
    """An entry with the application's own object ID is told apart from any other wrong one, and both from none."""
    own = diagnose(replace(facts, entry_object_id=ClaimedObjectId(APPLICATION.upper()), plan_empty=False))
    assert "the application's own object ID" in own.cause
    assert APPLICATION in own.cause.lower()
    assert PRINCIPAL in own.cause
    assert f"Remove-ServicePrincipal -Identity {APPLICATION.upper()}" in own.fix
    other = diagnose(replace(facts, entry_object_id=ClaimedObjectId(OTHER), plan_empty=False))
    assert "own object ID" not in other.cause
    assert OTHER in other.cause
    none = diagnose(replace(facts, entry_object_id=None, plan_empty=False))
    assert none.cause == "Exchange has no entry for the application"
    assert f"-ObjectId {PRINCIPAL}" in none.fix


def test_ids_are_compared_whatever_their_case():
    """GUIDs in capitals are the same GUIDs, and an audience may end in a slash or be Exchange's application ID."""
    facts = replace(RIGHT, entry_object_id=ClaimedObjectId(PRINCIPAL.upper()))
    assert diagnose(facts).too_early
    for audience in (AUDIENCE + "/", EXCHANGE_ONLINE):
        assert diagnose(replace(facts, claims=CLAIMS | {"aud": audience})).too_early


@pytest.mark.parametrize(
    ("facts", "cause", "fix"),
    [
        (replace(IMAP_OPEN, switched_on=False), "IMAP is off", "-ImapEnabled $true"),
        (replace(POP, switched_on=False), "POP is off", "-PopEnabled $true"),
        (replace(SMTP, smtp_auth_disabled_mailbox=True), "SMTP AUTH is off for support@contoso.com itself", "-SmtpClientAuthenticationDisabled $false"),
        (replace(SMTP, server=OFF_MAILBOX, smtp_auth_disabled_mailbox=True), "SMTP AUTH is off for support@contoso.com itself", "support@contoso.com"),
        (replace(SMTP, server=OFF_TENANT, smtp_auth_disabled_mailbox=None), "SMTP AUTH is off for the tenant", "-SmtpClientAuthenticationDisabled $false"),
        (replace(IMAP_OPEN, granted=False), "no FullAccess on support@contoso.com", f"-User {PRINCIPAL} -AccessRights FullAccess -AutoMapping $false"),
        (replace(SMTP, granted=False), "no FullAccess", "Add-MailboxPermission"),
        (replace(SMTP, stage="sender", server=S430, granted=False), "no FullAccess", "Add-MailboxPermission"),
        (replace(IMAP_OPEN, upn="s@contoso.com"), "is not the mailbox's UPN, s@contoso.com", "s@contoso.com"),
    ],
)  # fmt: skip
def test_a_closed_mailbox_is_explained_by_switch_permission_or_name(facts, cause, fix):
    """Protocol off, permission missing, another user name: named with the cmdlet that mends this mailbox."""
    found = diagnose(replace(facts, plan_empty=False))
    assert cause in found.cause
    assert fix in found.fix
    assert not found.too_early


def test_it_goes_from_the_outside_in():
    """With everything wrong at once, mending the named cause each time leads through token, entry, permission, switch."""
    facts = replace(
        SMTP, claims=CLAIMS | {"aud": "https://graph.microsoft.com", "roles": []}, entry_object_id=None, granted=False,
        smtp_auth_disabled_mailbox=True, plan_empty=False,
    )  # fmt: skip
    order = []
    for mended in (
        {"claims": CLAIMS | {"roles": []}},
        {"claims": CLAIMS},
        {"entry_object_id": PRINCIPAL},
        {"granted": True},
        {"smtp_auth_disabled_mailbox": False},
        {"plan_empty": True},
    ):
        order.append(diagnose(facts).cause.split(" ")[0:3])
        facts = replace(facts, **mended)
    assert [" ".join(words) for words in order] == [
        "the token's audience",
        "the token's roles",
        "Exchange has no",
        "the application has",
        "SMTP AUTH is",
        "the tenant is",
    ]
    assert diagnose(facts).too_early


@pytest.mark.parametrize("facts", EVERY_DELAY, ids=lambda facts: facts.server[:40])
def test_too_early_is_said_when_all_is_right_and_the_text_is_a_delays(facts):
    """Each text that a mere delay gives, with everything read and right: too early, with how long Exchange may take."""
    found = diagnose(facts)
    assert found.too_early
    assert "Exchange may take up to 2 hours" in found.cause


BROKEN = {
    "claims": None,
    "entry_object_id": None,
    "principal_object_id": None,
    "granted": False,
    "plan_empty": False,
}


@pytest.mark.parametrize("facts", EVERY_DELAY, ids=lambda facts: facts.server[:40])
@pytest.mark.parametrize("name", BROKEN)
def test_too_early_is_never_said_while_anything_is_wrong_or_unread(facts, name):
    """One thing wrong or unread takes "too early" away, whatever the text: waiting would not help, or nobody knows."""
    assert not diagnose(replace(facts, **{name: BROKEN[name]})).too_early


@pytest.mark.parametrize("facts", EVERY_DELAY, ids=lambda facts: facts.server[:40])
def test_too_early_needs_the_switch_to_be_read_and_on(facts):
    """Neither an unread nor a closed switch is right."""
    for off, disabled in ((False, True), (None, None)):
        shut = replace(facts, switched_on=off, smtp_auth_disabled_mailbox=disabled, smtp_auth_disabled_tenant=disabled)
        assert not diagnose(shut).too_early


@pytest.mark.parametrize(
    ("protocol", "stage", "text", "row"),
    [
        ("imap", "connect", "no host named x.invalid was found", "host-unknown"),
        ("imap", "connect", "the connection was refused", "connection-refused"),
        ("pop", "tls", "the server's certificate is not trusted: self-signed certificate", "certificate-untrusted"),
        ("smtp", "tls", "the server's certificate is not trusted: Hostname mismatch, certificate is not valid for 'x'.", "certificate-name"),
        ("imap", "auth", "no answer within 60 s", "no-answer"),
        ("pop", "auth", "-ERR Protocol error. Connection is closed. 10", "pop-protocol-error"),
        ("smtp", "sender", "451 4.7.0 Temporary server error. Please try again later. PRX4", "smtp-temporary"),
        ("smtp", "auth", "432 4.3.2 Concurrent connections limit exceeded.", "smtp-concurrency"),
        ("smtp", "auth", "504 5.7.4 Unrecognized authentication type", "smtp-not-here"),
        ("imap", "open", "* BYE Session invalidated - AccessTokenExpired", "imap-session-expired"),
    ],
)  # fmt: skip
def test_a_text_that_speaks_for_itself_is_taken_at_its_word(protocol, stage, text, row):
    """What no delay gives is never too early, and a wrong thing elsewhere does not distract from it."""
    for facts in (RIGHT, replace(RIGHT, granted=False, entry_object_id=None, plan_empty=False)):
        found = diagnose(replace(facts, protocol=protocol, stage=stage, server=text))
        assert found.row == row
        assert found.cause
        assert found.fix
        assert not found.too_early
        assert "FullAccess" not in found.cause


def test_pop_protocol_error_points_to_the_token_since_we_send_two_lines():
    """For our own login the usual cause is excluded: what is left is the token's length."""
    found = diagnose(replace(POP, server="-ERR Protocol error. Connection is closed. 10"))
    assert "4,096" in found.cause


def test_a_wrong_thing_that_is_usually_worded_otherwise_is_still_named():
    """A missing permission behind a refused IMAP AUTH is said with that reservation, rather than "too early"."""
    found = diagnose(replace(RIGHT, granted=False, plan_empty=False))
    assert found.cause.startswith("the application has no FullAccess")
    assert "otherwise as a rule" in found.cause


def test_unknown_words_are_called_unknown():
    """A text the table lacks has no row and no invented cause; what is wrong is still named."""
    found = diagnose(replace(RIGHT, server="NO the dog ate it"))
    assert (found.row, found.too_early) == ("", False)
    assert "not in exosp's table" in found.cause
    assert "no entry" in diagnose(replace(RIGHT, server="NO dog", entry_object_id=None)).cause


def test_a_login_that_works_needs_no_fix():
    """Nothing to explain, nothing to mend."""
    found = diagnose(replace(RIGHT, ok=True))
    assert (found.cause, found.fix, found.key) == ("the login works", "", "")


@pytest.mark.parametrize(
    ("protocol", "stage", "text", "closed"),
    [
        ("imap", "open", BAD, True),
        ("imap", "auth", NO, True),
        ("pop", "auth", ERR, True),
        ("smtp", "auth", S535, True),
        ("smtp", "sender", S430, True),
        ("smtp", "auth", OFF_TENANT, False),
        ("smtp", "auth", "421 4.3.2 Service not available", False),
        ("imap", "open", "* BYE Session invalidated - AccessTokenExpired", False),
        ("imap", "connect", "the connection was refused", False),
        ("imap", "auth", "NO the dog ate it", False),
    ],
)
def test_only_a_refusal_for_want_of_access_proves_a_mailbox_closed(protocol, stage, text, closed):
    """A busy server, a switch that is off or an expired token say nothing about who may open the mailbox."""
    assert proves_closed(protocol, stage, text) is closed


# How old it is

AGES = [
    (Since(), "age unknown", True, None),
    (Since(at=NOW - timedelta(minutes=12), who="run x"), "granted 12 minutes ago (run x): Exchange may take", True, 720),
    (Since(at=NOW - timedelta(hours=2, minutes=59)), "granted 2 hours ago: Exchange may take", True, 10740),
    (Since(at=NOW - timedelta(hours=3)), "granted 3 hours ago: no longer too early, and unexplained", False, 10800),
    (Since(not_before=NOW - timedelta(minutes=5), who="the application was made then"), "granted at most 5 minutes ago", True, 300),
    (Since(not_before=NOW - timedelta(days=90)), "age unknown", True, None),
    (Since(at=NOW + timedelta(minutes=5)), "granted 0 seconds ago", True, 0),
]  # fmt: skip


@pytest.mark.parametrize(("since", "words", "early", "age"), AGES)
@pytest.mark.parametrize("facts", EVERY_DELAY, ids=lambda facts: facts.server[:40])
def test_too_early_is_told_from_unexplained_by_the_age(facts, since, words, early, age):
    """Right everywhere: what was granted minutes ago may need time, what was granted three hours ago needs a look elsewhere;
    of what nobody knows the age it is said."""
    found = diagnose(replace(facts, since=since))
    assert words in found.cause
    assert (found.too_early, found.age) == (early, age)
    assert found.key == ("not-in-effect-yet" if early else "unexplained")
    assert found.evidence[-1].startswith("the user name")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (59, "59 seconds"), (60, "1 minute"), (3599, "59 minutes"), (3600, "1 hour"), (7200, "2 hours"),
     (86400, "24 hours"), (172800, "2 days")],
)  # fmt: skip
def test_spans_are_said_in_one_unit(seconds, words):
    """Enough for people, and never rounded up."""
    assert span(seconds) == words


@pytest.mark.parametrize("facts", [RIGHT, POP, SMTP], ids=lambda facts: facts.protocol)
def test_a_role_that_stays_away_for_an_hour_is_not_early(facts):
    """Consent shows in tokens after minutes; where it does not within the hour, waiting is no advice."""
    late = Since(at=NOW - timedelta(hours=2))
    found = diagnose(replace(facts, claims=CLAIMS | {"roles": []}, consented=True, consent_since=late))
    assert not found.too_early
    assert "consented to 2 hours ago" in found.cause


# The ladder


def test_each_symptom_that_a_rung_explains_is_a_row_of_the_table():
    """A row that is renamed must not take its rungs' explanations away in silence."""
    ids = {row.id for row in ROWS}
    for rung in RUNGS:
        assert rung.explains <= ids, rung.name


def test_evidence_names_what_was_right_on_the_way_and_then_what_is_wrong():
    """From the outside in, up to the first wrong thing and no further."""
    found = diagnose(replace(IMAP_OPEN, granted=False, plan_empty=False, tenant_id="", switched_on=False))
    said = [text.split(" ")[:3] for text in found.evidence]
    assert [" ".join(words) for words in said] == [
        "the server was",
        "the token is",
        "the token is",
        "the token's oid",
        "the token's roles",
        "the token is",
        "Exchange holds the",
        "the application has",
    ]
    assert found.evidence[-1] == found.cause


# A token that was not issued

UNISSUED = TokenFacts("", "what Entra said", "", NOW, SavedCredential("refused"))
ISSUE = {
    "AADSTS7000222": "secret-expired",
    "AADSTS7000216": "secret-missing",
    "AADSTS7000112": "app-disabled",
    "AADSTS7000229": "app-not-in-tenant",
    "AADSTS90002": "tenant-wrong",
    "AADSTS500011": "resource-missing",
    "AADSTS53003": "conditional-access",
    "AADSTS700016": "client-id-wrong",
    "AADSTS7000215": "secret-wrong",
}


@pytest.mark.parametrize("code", ISSUE)
def test_each_code_of_entras_has_its_cause(code):
    """With what to do, and Entra's own words as evidence."""
    found = refused(replace(UNISSUED, code=code, what=f"{code}: what Entra said"))
    assert found.key == ISSUE[code]
    assert found.fix
    assert f"{code}: what Entra said" in found.evidence
    assert not found.too_early


def test_a_code_that_nobody_knows_is_shown_in_entras_words():
    """No cause is made up."""
    found = refused(replace(UNISSUED, code="AADSTS999999", what="AADSTS999999: the dog ate it", hint="look it up"))
    assert (found.key, found.cause, found.fix) == ("unknown", "AADSTS999999: the dog ate it", "look it up")
