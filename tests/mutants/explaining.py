"""Every rule by which explain reads, ranks and blots out: each taken out."""

from mutant import Mutant

EXPLAIN = "tests/test_explain.py::"
REDACTION = "tests/test_redaction.py::"
WAYS = EXPLAIN + "test_the_answer_survives_the_way_into_a_paste"

EXPLAINING = (
    Mutant("a code counts no more than words", "diagnosis/row.py",
           "if self.code and reading.codes:", "if False:", EXPLAIN + "test_entra_codes_are_answered_by_their_cause"),
    Mutant("JSON's escapes hide words", "diagnosis/reading.py",
           'text = _ESCAPED_BREAK.sub(lambda found: " " if found[0][-1] == "t" else BREAK, text)', "pass", WAYS),
    Mutant("HTML's entities hide words", "diagnosis/reading.py",
           "text = _entities(text)", "pass", WAYS),
    Mutant("an address's escapes hide words", "diagnosis/reading.py",
           'if "%" in text:', "if False:", WAYS),
    Mutant("a reply over several lines is several", "diagnosis/reading.py",
           "return _replies(text)", "return text", EXPLAIN + "test_replies_over_several_lines_are_one_reply"),
    Mutant("a vague refusal stands beside a code", "explaining/answers.py",
           "key=lambda one: (-one.weight, ", "key=lambda one: (", EXPLAIN + "test_an_exact_code_wins_over_words"),
    Mutant("the outermost exception is the cause", "explaining/answers.py",
           "one.report, -one.depth,", "one.report, one.depth,", EXPLAIN + "test_the_innermost_cause_wins"),
    Mutant("a database's refusal is a mail server's", "explaining/topics.py",
           "not self.foreign and", "True and", EXPLAIN + "test_other_peoples_failures_are_unknown"),
    Mutant("a block forgets the lines before it", "explaining/__init__.py",
           "BLOCK = 1 << 17", "BLOCK = 1 << 30", EXPLAIN + "test_a_large_log_is_read_in_little_memory"),
    Mutant("what was pasted is shown as it is", "explaining/__init__.py",
           'cleaned = redact("\\n".join(around)).split("\\n")', "cleaned = around", REDACTION + "test_no_run_of_a_secret_is_printed"),
    Mutant("the end of a wrapped secret stays", "redaction.py",
           "return _TAIL.sub(_cut_off, text)", "return text", REDACTION + "test_no_run_of_a_secret_is_printed"),
    Mutant("a wrong option is repeated with its value", "cli/__init__.py",
           "UsageError(redact(said())", "UsageError(said()", REDACTION + "test_the_command_line_never_repeats_a_secret"),
    Mutant("a token's roles are not looked at", "explaining/tokens.py",
           "yield from _rights(claims, roles)", "pass", REDACTION + "test_a_pasted_token_says_what_is_wrong_with_it"),
    Mutant("a dash begins an option", "cli/explain.py",
           "return super().parse_args(ctx, _parted(args))", "return super().parse_args(ctx, args)",
           "tests/test_explain_cli.py::test_a_servers_line_may_begin_with_a_dash"),
)  # fmt: skip
