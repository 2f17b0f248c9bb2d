"""The ways to Exchange: what each must never do, and what the sandbox's side of each must not let pass."""

from mutant import Mutant

API = "tests/sandbox/test_admin_endpoint.py::"
REST, CALL = "sandbox/admin_api.py", "sandbox/admin_api_call.py"
EMULATED = (
    Mutant("the admin API lets an application without a directory role in", REST,
           "        if not held:\n", "        if False:\n", API + "test_who_is_let_in"),
    Mutant("the admin API takes a token for another service", REST,
           "if not fits or not may:", "if not may:", API + "test_who_is_let_in"),
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


CLIENT, WIRE = "exchange/admin_api.py", "tests/test_admin_api.py::"
ANSWERS = "exchange/rest_answers.py"
OPEN = WIRE + "test_what_leaves_open_whether_it_was_done"
REST_CLIENT = (
    Mutant("a next page may be anywhere", CLIENT,
           "if link in seen or not self._is_here(link):", "if link in seen:",
           WIRE + "test_no_token_goes_to_another_port_of_the_host"),
    Mutant("a next page may come again and again", CLIENT,
           "if link in seen or not self._is_here(link):", "if not self._is_here(link):",
           WIRE + "test_a_next_page_elsewhere_is_not_asked_for[same]"),
    Mutant("the module file may be anywhere", CLIENT,
           '        if not host.endswith(f".{home.hostname}"):\n            return None\n', "",
           WIRE + "test_where_the_token_may_go"),
    Mutant("a region is any host that ends alike", CLIENT,
           'host.endswith(f".{home.hostname}")', 'host.endswith(f"{home.hostname}")', WIRE + "test_where_the_token_may_go"),
    Mutant("a region may be without TLS", CLIENT,
           'if place.scheme != "https" or place.username is not None:', "if place.username is not None:",
           WIRE + "test_where_the_token_may_go"),
    Mutant("responses are matched by their place", ANSWERS,
           '            name = str(one.get("id"))\n', "            name = str(len(found))\n",
           WIRE + "test_an_item_has_its_own_error_and_no_other"),
    Mutant("a response that comes twice is believed", ANSWERS,
           "for name, reply in found.items() if name not in twice", "for name, reply in found.items()",
           WIRE + "test_an_item_has_its_own_error_and_no_other"),
    Mutant("a batch may stop at an error", CLIENT, ";odata.continue-on-error", "", WIRE + "test_many_items_go_by_ten"),
    Mutant("an error of the endpoint's own is a refusal", ANSWERS,
           "    if reply.status >= 500 and not told:\n        return None", "    if False:\n        return None",
           OPEN + "[reply3-True]"),
    Mutant("an answer that cannot be read did nothing", ANSWERS,
           "may_have_happened=reply.status >= 500 or reply.good", "may_have_happened=False", OPEN + "[reply1-True]"),
    Mutant("a token that is refused is kept", CLIENT, "            self._forget(signed)\n", "",
           WIRE + "test_a_token_that_worked_and_is_refused_is_renewed_by_the_next_run"),
    Mutant("errors may show the token", CLIENT,
           'text = text.replace(signed.token.token.encode() or b"\\0\\0", b"...")', "pass",
           WIRE + "test_a_server_that_repeats_the_token_does_not_have_it_shown"),
    Mutant("every request leads to the system mailbox's server", CLIENT,
           'anchor = f"UPN:{item.anchor}" if item is not None and _is_header(item.anchor) else signed.anchor',
           "anchor = signed.anchor", "tests/test_ways_to_exchange.py::test_the_chain"),
)  # fmt: skip

SPREAD, MANY = "exchange/spreading.py", "tests/test_spreading.py::"
SPREADING = (
    Mutant("one request at a time", SPREAD, "number < max(1.0, self._bears)", "number < 1",
           MANY + "test_eight_are_under_way_at_once_and_no_more"),
    Mutant("throttling changes nothing", SPREAD, "self._bears = max(1.0, self._bears / 2)", "pass",
           MANY + "test_throttling_halves_how_many_are_under_way"),
    Mutant("what was refused together counts each", SPREAD, "if began == self._halved:", "if True:",
           MANY + "test_throttling_halves_how_many_are_under_way"),
    Mutant("it goes on before the time that was asked for", SPREAD, "while later is not None and load.pieces:", "while False:",
           MANY + "test_nothing_more_is_sent_before_the_time_that_was_asked_for"),
    Mutant("a few items start threads", SPREAD, "count // max(1, self.least)", "count",
           MANY + "test_few_items_start_no_thread"),
    Mutant("wrong usage in one thread does not stop the others", SPREAD,
           "                load.fault = load.fault or fault\n                load.pieces.clear()\n", "                load.fault = load.fault or fault\n",
           MANY + "test_what_a_remoting_raises_is_raised_and_stops_the_rest"),
    Mutant("nothing sent is told only of one piece", "exchange/online.py",
           "    if len(unsent) == len(answers):\n", "    if len(unsent) == len(answers) == 1:\n",
           MANY + "test_nothing_sent_in_any_piece_is_one_error"),
)  # fmt: skip

ROWS = "tests/test_exchange_rows.py::test_of_a_read_that_is_repeated_only_what_was_refused_is_asked_again"
READING = (
    Mutant("a read that is repeated begins anew", "exchange/online.py",
           "found = dict(self._begun.answers) if self._begun.whole == whole else {}", "found: dict[int, Answer] = {}", ROWS),
    Mutant("what an earlier read answered stands after another one", "exchange/online.py",
           "        self._begun = _Begun()\n        before", "        before", ROWS),
    Mutant("the scope of each mailbox is asked one after the other", "exchange/online.py",
           "answers = self._ask(cmdlet, [Item(mailbox.id, frozenset()) for mailbox in mailboxes])",
           "answers = [self._ask(cmdlet, [Item(mailbox.id, frozenset())])[0] for mailbox in mailboxes]",
           "tests/test_smtp_rbac.py::test_the_scope_of_many_mailboxes_is_asked_several_at_once"),
)  # fmt: skip

REMOTINGS = (*READING, *EMULATED, *REST_CLIENT, *SPREADING)
