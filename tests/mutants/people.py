"""Breaks of sign-in by people: each must be noticed."""

from mutant import Mutant

PEOPLE_TESTS = "tests/test_delegated.py::"
MADE = PEOPLE_TESTS + "test_a_public_client_is_made_and_nothing_more"
PEOPLE = (
    Mutant("an answer with another state is taken", "signin/loopback.py",
           "if self._done or not secrets.compare_digest(told.encode(), self._state.encode()):", "if self._done:",
           PEOPLE_TESTS + "test_an_answer_with_another_state_is_refused"),
    Mutant("a sign-in's answer is taken by any host's name", "browser.py",
           'if self.headers.get("Host", "").partition(":")[0].lower() in ("localhost", "127.0.0.1"):', "if True:",
           PEOPLE_TESTS + "test_an_answer_with_another_state_is_refused"),
    Mutant("a code comes back in an address", "signin/person.py",
           '                response_mode="form_post",\n', "",
           PEOPLE_TESTS + "test_a_browser_signs_the_person_in"),
    Mutant("a person is asked anew for every token", "signin/person.py",
           "        if accounts:\n", "        if False:\n",
           PEOPLE_TESTS + "test_a_later_token_is_refreshed_and_nobody_is_asked_again"),
    Mutant("a token that is held is not refreshed", "signin/person.py",
           "force_refresh=True", "force_refresh=False",
           PEOPLE_TESTS + "test_a_later_token_is_refreshed_and_nobody_is_asked_again"),
    Mutant("the application gets roles where people sign in", "steps/consent.py",
           "for protocol in () if want.delegated else want.claimed():", "for protocol in want.claimed():", MADE),
    Mutant("the application gets mailboxes where people sign in", "steps/grants.py",
           "        if want.delegated:\n            continue\n", "", MADE),
    Mutant("Exchange is told of the application where people sign in", "steps/exchange.py",
           "    if want.delegated:  # no login goes by an entry: people hold their own rights\n", "    if False:\n", MADE),
    Mutant("public client flows are left off", "graph/client.py",
           ', "isFallbackPublicClient": True}', "}",
           PEOPLE_TESTS + "test_a_device_code_signs_the_person_in"),
    Mutant("other redirect URIs are dropped", "steps/application.py",
           "tuple(dict.fromkeys((*app.redirects, REDIRECT)))", "(REDIRECT,)",
           PEOPLE_TESTS + "test_what_others_registered_stays"),
    Mutant("a person is asked without being told to", "cli/wiring.py",
           "if self.want.delegated and self._way is not None:", "if self.want.delegated:",
           PEOPLE_TESTS + "test_without_a_person_nothing_is_proven_and_nobody_is_asked"),
    Mutant("whose FullAccess counts is the application's", "judging.py",
           "ours = person_forms(seen, token) if delegated else known.ours", "ours = known.ours",
           PEOPLE_TESTS + "test_the_persons_own_rights_count"),
)  # fmt: skip
