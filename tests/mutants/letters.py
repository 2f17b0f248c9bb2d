"""Breaks of what sends a letter, looks for it, reads subjects and reports to pipelines; and of what is refused after DATA."""

from mutant import Mutant

DELIVERY = "tests/test_delivery.py::"
SUBMISSION = "tests/sandbox/test_submission.py::"
LETTERS = (
    Mutant("a lost answer is taken for a refusal, so that a letter may go twice", "mail/smtp.py",
           "gone = reading.ok or (dialogue.handed and not dialogue.answered)", "gone = reading.ok",
           DELIVERY + "test_a_lost_answer_is_neither_yes_nor_no"),
    Mutant("dots are not stuffed", "mail/smtp.py",
           '_DOTS.sub(b"..", self.letter.data)', "self.letter.data",
           DELIVERY + "test_dots_are_stuffed"),
    Mutant("any hit of SEARCH is the letter", "mail/imap_reading.py",
           "if knows(self.message_id, headers):", "if True:",
           DELIVERY + "test_a_hit_that_is_another_message_proves_nothing"),
    Mutant("a letter is known by its Message-ID alone", "mail/letter.py",
           'return message_id in written or mark(message_id) in headers.get("subject", "")', 'return message_id == headers.get("message-id")',
           DELIVERY + "test_a_letter_whose_id_the_server_replaced_is_found_all_the_same"),
    Mutant("an address may end its header", "mail/letter.py",
           "if not _ADDRESS.fullmatch(address) or not address.isprintable():", "if False:",
           DELIVERY + "test_an_address_that_would_break_out_is_refused"),
    Mutant("reading marks as read", "mail/imap.py",
           "readonly=True", "readonly=False",
           DELIVERY + "test_the_newest_subjects_come_first_and_stay_unread"),
    Mutant("subjects may move the cursor", "mail/imap_reading.py",
           "(self.line.shown(_decoded(raw.get(n, b\"\")), LONGEST_SHOWN) for n in", "(_decoded(raw.get(n, b\"\")) for n in",
           DELIVERY + "test_subjects_are_decoded_and_harmless"),
    Mutant("too early is a pass in JUnit", "report/junit.py",
           "    if proof.ok:", '    if proof.ok or proof.proof == "too-early":',
           "tests/test_junit.py::test_what_is_not_proven_is_a_failure_of_its_kind"),
    Mutant("any sender passes at DATA", "sandbox/doors/submission.py",
           "if not access.may_send_as(", "if False and not access.may_send_as(",
           SUBMISSION + "test_another_sender_is_refused_in_three_forms"),
    Mutant("what is accepted is there at once", "sandbox/doors/store.py",
           "if after > 0:", "if False:",
           SUBMISSION + "test_what_is_accepted_arrives_later"),
)  # fmt: skip
