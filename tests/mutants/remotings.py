"""The ways to Exchange: what each must never do, and what the sandbox's side of each must not let pass."""

from mutant import Mutant

API = "tests/sandbox/test_admin_api.py::"
REST, CALL = "sandbox/admin_api.py", "sandbox/admin_api_call.py"
EMULATED = (
    Mutant("the admin API lets an application without a directory role in", REST,
           "        if not held:\n", "        if False:\n", API + "test_who_is_let_in"),
    Mutant("the admin API takes a token for another service", REST,
           "if not fits or not isinstance", "if not isinstance", API + "test_who_is_let_in"),
    Mutant("the admin API serves another tenant's address", REST,
           '        self._same_tenant(found["tenant"])\n        object_id', "        object_id", API + "test_who_is_let_in"),
    Mutant("the admin API says which cmdlets there are", REST,
           'return web.Response(status=403, body=bytes(64), headers={"Content-Encoding": "gzip"})',
           'return web.Response(status=403, text="no such cmdlet")',
           API + "test_a_cmdlet_that_is_not_the_callers_is_zero_bytes[New-ServicePrincipal]"),
    Mutant("a batch may be of any size", REST, "    if len(items) > MOST:\n", "    if False:\n",
           API + "test_a_batch_answers_by_id"),
    Mutant("a batch goes on after an error unasked", REST, "answer.status >= 400 and not goes_on", "False",
           API + "test_a_batch_stops_at_an_error_unless_it_was_asked_to_go_on"),
    Mutant("a batch answers in its own order", REST,
           '        self._tenant.faults.generator("admin-api-lost-item").shuffle(responses)\n', "",
           API + "test_a_batch_answers_by_id"),
    Mutant("a skip token serves any request", REST,
           "if held is None or held[:2] != (caller.object_id, digest):", "if held is None:",
           API + "test_pages_are_read_by_posting_the_same_again"),
    Mutant("a cmdlet's error is the endpoint's", CALL,
           '"message": "Error executing cmdlet",\n            "details"', '"message": failure.message,\n            "details"',
           API + "test_errors_have_two_levels"),
)  # fmt: skip

REMOTINGS = (*EMULATED,)
