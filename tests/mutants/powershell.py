"""PowerShell sessions, local ones and constrained ones: what must never be let pass."""

from mutant import Mutant

SESSIONS, LOCAL = "exchange/sessions.py", "exchange/pwsh.py"
ENDS, PWSH, HOST = "tests/test_endpoints.py::", "tests/test_pwsh.py::", "tests/sandbox/test_host.py::"
STANDIN = "tests/sandbox/test_pwsh_standin.py::"
ALL_WAYS = "tests/audit/test_end_to_end_remotings.py::"

POWERSHELL = (
    Mutant("a connected endpoint is connected again", SESSIONS, "_SIGN: _READY, ", "_SIGN: _PLAIN, ",
           ENDS + "test_each_kind_of_host_is_connected_its_way[Exosp.Ready-asked4-0]"),
    Mutant("a constrained endpoint is taken for a connected one", SESSIONS,
           "_WAYS: Mapping[str, _Way] = {_CONSTRAINED.connect: _CONSTRAINED, ", "_WAYS: Mapping[str, _Way] = {",
           ENDS + "test_what_is_offered_decides[came0-Connect-Exosp]"),
    Mutant("a constrained host gets the token as plain text", "exchange/winrm.py",
           'TaggedValue("SS", cmdlet.parameters[name])', "cmdlet.parameters[name]",
           ENDS + "test_a_constrained_host_gets_the_token_encrypted[Exosp.JEA]"),
    Mutant("a token is minted where the host has a certificate", SESSIONS,
           "if self._certificate is not None and way is _PLAIN:", "if False:",
           ENDS + "test_the_hosts_certificate_connects_without_a_token"),
    Mutant("a person's token goes as an application's", SESSIONS,
           'return {"UserPrincipalName": self.user} if self.user else {"Organization": self.organization}',
           'return {"Organization": self.organization}', ENDS + "test_what_goes_with_the_token"),
    Mutant("an old module is a missing role", SESSIONS, 'if error.code == "NamedParameterNotFound":', "if False:",
           ENDS + "test_the_module_is_missing_or_too_old[2.0.5-too old-Update-Module-Exosp.JEA]"),
    Mutant("the program sees our secrets", LOCAL, "env=_without_ours(environment)", "env=dict(environment)",
           PWSH + "test_nothing_secret_in_arguments_or_environment"),
    Mutant("what a dead process had taken did not happen", LOCAL, "            taken = True\n", "",
           PWSH + "test_a_process_that_dies_in_the_middle"),
    Mutant("a process outlives its session", LOCAL, "        self._process.end(_FAREWELL if self._whole else _CURT)\n", "",
           PWSH + "test_close_leaves_no_process_and_says_goodbye"),
    Mutant("a constrained endpoint offers the module", "sandbox/cmdlets/engine.py",
           "        if runspace.endpoint.wrapped:\n            return self._find_wrapped", "        if False:\n            return self._find_wrapped",
           HOST + "test_nothing_else_is_there[Connect-ExchangeOnline]"),
    Mutant("a wrapper takes any value", "sandbox/cmdlets/engine.py",
           "            if runspace.endpoint.wrapped:\n                endpoints.check", "            if False:\n                endpoints.check",
           HOST + "test_input_is_validated_one_by_one"),
    Mutant("a constrained endpoint's functions are taken for rights", "exchange/online.py", "        if _OFFERS.lower() in held:",
           "        if False:", ENDS + "test_what_the_callers_roles_hold[Exosp.JEA]"),
    Mutant("an auditor's endpoint writes", "sandbox/cmdlets/endpoints.py", "if not endpoint.reads or ", "if True or ",
           HOST + "test_what_changes_anything_is_not_there_for_an_auditor"),
    Mutant("a constrained endpoint shows the whole log", "sandbox/cmdlets/endpoints.py",
           '    "Search-UnifiedAuditLog": ("Operations",),\n', "",
           HOST + "test_wrappers_take_their_own_parameters_and_values[Search-UnifiedAuditLog-parameters10-MissingMandatoryParameter]"),
    Mutant("a constrained endpoint takes no name", "sandbox/cmdlets/endpoints.py", '"Get-User": {"Identity": _NAMED',
           '"Get-User": {"Identity": _ADDRESS', ALL_WAYS + "test_the_same_whatever_the_cmdlets_travel_by[Exosp.JEA]"),
    Mutant("any certificate of the host connects", "sandbox/cmdlets/connection.py",
           'if call.text("CertificateThumbprint") != tenant.host_thumbprint:', "if False:", HOST + "test_the_hosts_certificate"),
    Mutant("a person's token needs no name", "sandbox/cmdlets/connection.py",
           'if (user or "").lower() != name and not (user is None and "idp" in claims):', "if False:", HOST + "test_a_persons_token"),
    Mutant("the stand-in takes a command before its session", "sandbox/outofproc.py",
           'raise _Refused("A command before the session is open.")', "return",
           STANDIN + "test_what_is_no_packet_ends_the_process"),
)  # fmt: skip
