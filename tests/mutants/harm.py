"""Breaks of what holds against servers and clients that mean harm."""

from mutant import Mutant

CUT = "tests/hostile/test_cut_answers.py::"
CLEAR = "tests/hostile/test_before_tls.py::"
BAD = "tests/hostile/test_bad_answers.py::"
PROBES = (
    Mutant("a token goes out before TLS is verified", "mail/line.py",
           "        if not line.verified:\n", "        if False:\n",
           "tests/test_probes.py::test_no_dialogue_can_send_a_token_without_verified_tls"),
    Mutant("mail servers' certificates are not verified", "mail/line.py",
           "context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)", "context = ssl.SSLContext(ssl.PROTOCOL_TLS)",
           CLEAR + "test_tls_that_does_not_verify_gets_nothing"),
    Mutant("a host's name is looked for in the certificate's subject", "mail/line.py",
           "context.hostname_checks_common_name = False", "pass",
           CLEAR + "test_tls_that_does_not_verify_gets_nothing"),
    Mutant("STARTTLS is not followed by TLS", "mail/smtp.py",
           "        self.line.secure()\n", "        self.line.verified = True\n",
           CLEAR + "test_a_server_that_says_go_and_goes_on_in_the_clear_gets_no_token"),
    Mutant("what was said before TLS counts after it", "mail/smtp.py",
           "        client.file = None", "        pass",
           CLEAR + "test_what_is_injected_behind_starttls_is_forgotten"),
    Mutant("half a line is an answer", "mail/line.py",
           "            raise EOFError  #", "            pass  #",
           CUT + "test_a_login_cut_anywhere_is_a_failed_reading"),
    Mutant("half an answer is the server's judgement", "mail/line.py",
           "if decisive and (not line.fault or (line.whole and _JUDGES.match(decisive[-1]))):", "if decisive:",
           CUT + "test_a_login_that_stops_anywhere_meets_the_deadline"),
    Mutant("a silent resolver is waited for", "mail/line.py",
           "    asking.join(seconds)\n", "    asking.join()\n",
           CLEAR + "test_a_resolver_that_is_silent_meets_the_deadline"),
    Mutant("each byte of a server renews the time", "mail/line.py",
           "left = self._deadline - time.monotonic()", "left = self._timeout",
           CUT + "test_a_login_that_drips_meets_the_deadline"),
    Mutant("a server that takes us for logged in is believed", "mail/imap.py",
           'if self.state != "NONAUTH":', "if False:",
           BAD + "test_one_wrong_answer_ends_the_login_there"),
    Mutant("a server may send without end", "mail/line.py",
           "if self._received > self.most:", "if False:",
           "tests/test_probes.py::test_an_endless_server_is_left"),
)  # fmt: skip

CLIENTS = "tests/hostile/test_hostile_clients.py::"
PARSERS = "tests/hostile/test_door_parsers.py::"
TALK = "tests/hostile/test_door_conversations.py::"
DOORS = (
    Mutant("text injected behind STARTTLS waits in the stream's buffer", "sandbox/doors/lines.py",
           "        await self._forget()\n", "        self._buffer.clear()\n",
           CLIENTS + "test_nothing_sent_ahead_of_tls_is_carried_out"),
    Mutant("text injected behind STARTTLS is kept", "sandbox/doors/lines.py",
           "        await self._forget()\n", "",
           CLIENTS + "test_nothing_sent_ahead_of_tls_is_carried_out"),
    Mutant("keys within keys have no bottom", "sandbox/doors/imap_search.py",
           "if not rest or depth > _DEEPEST:", "if not rest:",
           PARSERS + "test_long_and_deep_arguments_are_read_or_malformed"),
    Mutant("parts within parts have no bottom", "sandbox/doors/imap_message.py",
           "<= _MOST_PARTED:", ">= 0:",
           PARSERS + "test_parts_within_parts_have_a_bottom"),
    Mutant("a size beyond ten digits is no literal", "sandbox/doors/imap_syntax.py",
           r'rb"\{(\d+)(\+?)\}\Z"', r'rb"\{(\d{1,10})(\+?)\}\Z"',
           CLIENTS + "test_what_no_client_sends_is_answered_or_ends_the_session"),
    Mutant("control characters are taken in an atom", "sandbox/doors/imap_syntax.py",
           "if inside or _CONTROL.search(line, start, at):", "if inside:",
           TALK + "test_no_answer_repeats_a_control_character"),
    Mutant("a refused literal is held in memory", "sandbox/doors/imap.py",
           "await self.connection.skip(count)", "await self.connection.exactly(count)",
           TALK + "test_no_client_costs_a_door_16_mib"),
    Mutant("a line's end that comes in two pieces is none", "sandbox/doors/lines.py",
           ' - held.endswith(b"\\r")', "",
           TALK + "test_dots_are_taken_out_as_rfc_5321_says"),
    Mutant("a peer that has gone is answered still", "sandbox/doors/lines.py",
           "        await asyncio.sleep(0)\n", "",
           CLIENTS + "test_a_client_that_sends_ahead_and_leaves"),
)  # fmt: skip

HARM = (*PROBES, *DOORS)
