"""The list of knobs itself: each is explained, sourced, seeded, on where it should be, and held by a named test."""

import importlib
import inspect
from typing import Any

import pytest
from entra_fixture import caller, running

from exosp.sandbox.faults import KNOBS, Faults, UnknownFault

# knob -> the test that it cannot be disabled without, as module.function
HELD: dict[str, str] = {
    "read-lag": "test_graph.test_read_lag_hides_a_new_object_from_reads_by_id",
    "list-lag": "test_graph.test_list_lag_hides_a_new_object_from_lists_and_keys",
    "backing-application-lag": "test_graph.test_backing_application_lag_refuses_the_principal",
    "backing-application-form": "test_unkind_graph.test_both_forms_of_a_missing_backing_application",
    "read-flap": "test_unkind_graph.test_reads_flap_once_a_new_object_was_seen",
    "assignment-lag": "test_graph.test_assignment_lag_refuses_a_new_principal",
    "secret-lag": "test_entra.test_a_new_secret_lags",
    "consent-lag": "test_unkind_graph.test_a_token_minted_before_consent_keeps_its_old_roles",
    "exchange-sync-lag": "test_unkind_chain.test_exchange_hears_of_an_enterprise_application_late",
    "grant-lag": "test_cmdlets.test_a_grant_shows_at_once_and_holds_later",
    "protocol-switch-lag": "test_unkind_doors.test_a_switch_is_honoured_late",
    "audit-log-lag": "test_audit_graph.test_both_logs_know_of_a_write_later",
    "rbac-cache": "test_rbac.test_a_change_is_honoured_late_and_tries_put_it_off",
    "smtp-claim-and-rbac": "test_rbac.test_the_claim_brings_back_the_check_of_mailbox_permissions",
    "page-size": "test_graph.test_pages_hold_page_size_and_lose_nothing",
    "graph-throttle": "test_unkind_graph.test_refused_for_the_moment",
    "retry-after": "test_unkind_graph.test_refused_for_the_moment",
    "graph-lost-reply": "test_unkind_graph.test_done_and_answered_as_if_not",
    "graph-throttle-bare": "test_unkind_graph.test_refused_for_the_moment",
    "graph-unavailable": "test_unkind_graph.test_refused_for_the_moment",
    "graph-lost-503": "test_unkind_graph.test_done_and_answered_as_if_not",
    "graph-drop": "test_unkind_graph.test_graph_hangs_up",
    "graph-truncated": "test_unkind_graph.test_graph_breaks_off_in_the_middle",
    "batch-throttle": "test_unkind_graph.test_batch_throttle_refuses_one_item",
    "token-throttle": "test_unkind_graph.test_the_token_endpoint_refuses_for_the_moment",
    "token-throttle-bare": "test_unkind_graph.test_the_token_endpoint_refuses_for_the_moment",
    "token-unavailable": "test_unkind_graph.test_the_token_endpoint_refuses_for_the_moment",
    "remoting-throttle": "test_unkind_remoting.test_what_stands_before_the_host_throttles",
    "remoting-throttle-bare": "test_unkind_remoting.test_what_stands_before_the_host_throttles",
    "remoting-busy": "test_unkind_remoting.test_the_host_is_busy",
    "remoting-drop-before": "test_unkind_remoting.test_the_connection_drops_before_the_request",
    "remoting-drop-after": "test_unkind_remoting.test_the_connection_drops_instead_of_the_output",
    "remoting-truncated": "test_unkind_remoting.test_the_output_ends_in_its_middle",
    "remoting-html": "test_unkind_remoting.test_html_instead_of_soap",
    "shell-vanished": "test_unkind_remoting.test_a_shell_vanishes",
    "pwsh-ends-before": "test_pwsh_standin.test_a_process_ends_in_the_middle",
    "pwsh-ends-after": "test_pwsh_standin.test_a_process_ends_in_the_middle",
    "admin-api-throttle": "test_admin_endpoint.test_refused_for_the_moment",
    "admin-api-throttle-bare": "test_admin_endpoint.test_refused_for_the_moment",
    "admin-api-item-throttle": "test_admin_endpoint.test_one_item_of_a_batch_fares_worse",
    "admin-api-unavailable": "test_admin_endpoint.test_refused_for_the_moment",
    "admin-api-lost-503": "test_admin_endpoint.test_done_and_answered_as_if_not",
    "admin-api-lost-500": "test_admin_endpoint.test_done_and_answered_as_if_not",
    "admin-api-drop": "test_admin_endpoint.test_done_and_answered_as_if_not",
    "admin-api-truncated": "test_admin_endpoint.test_done_and_answered_as_if_not",
    "admin-api-lost-item": "test_admin_endpoint.test_one_item_of_a_batch_fares_worse",
    "admin-api-page": "test_admin_endpoint.test_pages_are_read_by_posting_the_same_again",
    "admin-api-region": "test_admin_endpoint.test_the_module_file_may_be_elsewhere",
    "admin-api-anchor": "test_admin_endpoint.test_a_mailbox_is_set_on_its_own_server",
    "admin-api-v1": "test_admin_endpoint.test_v1_may_not_be_served",
    "item-transient": "test_unkind_remoting.test_items_fail_for_a_moment",
    "late-errors": "test_unkind_remoting.test_errors_come_up_to_ten_items_late",
    "object-id-check": "test_cmdlets.test_object_id_check",
    "unknown-identity": "test_cmdlets.test_an_unknown_identity_is_an_error_or_every_row",
    "permission-user": "test_cmdlets.test_permission_user_shows_the_trustee_by_the_knob",
    "permission-trustee": "test_unkind_remoting.test_what_trustee_shows",
    "smtp-without-grant": "test_unkind_doors.test_the_other_form_of_a_missing_grant_comes_after_the_message",
    "send-as-trustee": "test_unkind_doors.test_whose_send_as_counts",
    "send-as-form": "test_submission.test_another_sender_is_refused_in_three_forms",
    "mailbox-full": "test_submission.test_a_full_mailbox_sends_nothing",
    "submission-rate": "test_submission.test_more_than_the_rate_is_carried_over",
    "submission-rate-form": "test_submission.test_more_than_the_rate_may_be_refused",
    "recipients-a-day": "test_submission.test_recipients_a_day_have_a_limit",
    "message-id": "test_submission.test_the_server_may_put_its_own_message_id",
    "delivery-lag": "test_submission.test_what_is_accepted_arrives_later",
    "submission-lost-reply": "test_submission.test_the_answer_to_data_may_be_lost",
    "submission-drop": "test_submission.test_the_answer_to_data_may_be_lost",
    "login-name": "test_unkind_doors.test_which_name_opens_a_mailbox",
    "restored-principal": "test_unkind_graph.test_a_restored_application_may_bring_its_principal_along",
    "policy-no-secrets": "test_unkind_graph.test_a_policy_forbids_secrets",
    "policy-secret-days": "test_unkind_graph.test_a_policy_caps_the_life_of_secrets",
    "conditional-access-block": "test_unkind_graph.test_what_the_tenant_forbids_gets_no_token",
    "person-policy": "test_delegated_sandbox.test_policies_for_people",
    "user-consent": "test_delegated_sandbox.test_user_consent_may_be_an_administrators",
    "device-slow-down": "test_delegated_sandbox.test_a_hasty_poll",
    "smtp-shared-name": "test_delegated_sandbox.test_smtp_under_a_shared_mailboxs_name",
    "principal-disabled": "test_unkind_graph.test_what_the_tenant_forbids_gets_no_token",
    "assignment-required": "test_unkind_graph.test_what_the_tenant_forbids_gets_no_token",
    "dehydrated": "test_unkind_remoting.test_a_dehydrated_organization_refuses_settings_of_its_own",
    "other-cloud": "test_clouds_shapes.test_a_tenant_of_another_cloud_is_refused_in_three_forms",
    "host-key": "test_host.test_a_key_of_the_hosts_certificate_that_cannot_be_used",
    "raw-endpoint": "test_host.test_a_raw_endpoint_may_not_connect",
    "upsert-refused": "test_clouds_shapes.test_an_upsert_is_refused_by_cloud_or_knob",
    "role-ids": "test_graph.test_role_ids_differ_between_clouds",
}


def test_each_knob_is_held_by_a_test_that_names_it() -> None:
    """No knob without a test; the test exists and its own text names the knob."""
    assert sorted(HELD) == sorted(knob.name for knob in KNOBS)
    for name, place in HELD.items():
        module, _, function = place.partition(".")
        test = getattr(importlib.import_module(module), function)
        assert name in inspect.getsource(test), f"{place} does not name {name}"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.name)
def test_each_knob_is_explained_and_on_by_default(knob: Any) -> None:
    """A meaning, a source; no fault in none, a fault in default, at least as unkind in slow. Choices are a tenant's
    configuration: they may be off."""
    assert len(knob.meaning) > 20
    assert len(knob.source) > 8
    if knob.kind in ("seconds", "count"):
        assert knob.none == 0
        assert 0 < knob.default <= knob.slow
        assert knob.spread >= 1


def lives(name: str, seeds: int = 400, occasions: int = 400) -> list[list[int]]:
    """For each seed the occasions at which a knob of default strikes."""
    found = []
    for seed in range(seeds):
        faults = Faults("default", seed)
        found.append([number for number in range(1, occasions + 1) if faults.strikes(name)])
    return found


@pytest.mark.parametrize("name", [knob.name for knob in KNOBS if knob.kind == "count"])
def test_counts_strike_as_often_as_they_say(name: str) -> None:
    """The mean over many seeds is the knob's value, no life has more than the next whole number, and each strike comes
    within the knob's spread."""
    (knob,) = (knob for knob in KNOBS if knob.name == name)
    found = lives(name)
    assert sum(map(len, found)) / len(found) == pytest.approx(knob.default, abs=0.1)
    assert max(map(len, found)) <= -(-knob.default // 1)
    firsts = [strikes[0] for strikes in found if strikes]
    assert 1 <= min(firsts) <= 2
    assert 0.9 * knob.spread <= max(firsts) <= knob.spread


def test_one_knobs_draws_move_no_others() -> None:
    """A knob asked a thousand times leaves every other knob's strikes and delays as they are."""
    alone, busy = Faults("default", 7), Faults("default", 7)
    for _ in range(1000):
        busy.strikes("graph-drop")
        busy.draw("read-lag")
    for knob in KNOBS:
        if knob.name in ("graph-drop", "read-lag"):
            continue
        assert [alone.draw(knob.name) for _ in range(3)] == [busy.draw(knob.name) for _ in range(3)]
        if knob.kind == "count":
            assert [alone.strikes(knob.name) for _ in range(60)] == [busy.strikes(knob.name) for _ in range(60)]


def _life(seed: int) -> list[object]:
    """What one client meets who always does the same at the same sandbox times: statuses, and the faults that showed
    themselves."""
    with running("default,graph-drop=0,graph-truncated=0,token-throttle=0,token-throttle-bare=0,token-unavailable=0", seed=seed, speed=1e-6) as world:  # fmt: skip
        api, seen = caller(world, "Application.ReadWrite.All"), list[object]()
        for number in range(12):
            reply = api("POST", "/applications", {"displayName": f"n{number}"})
            seen.append((reply.status_code, reply.headers.get("Retry-After")))
            world.tenant.clock.advance(0.5)
            listed = api("GET", "/applications")
            seen.append((listed.status_code, len(listed.json().get("value", ()))))
        return [*seen, dict(world.tenant.faults.fired)]


def test_a_life_with_equal_seed_is_equal() -> None:
    """The same requests meet the same faults under the same seed, and others under another."""
    first, again, others = _life(5), _life(5), [_life(seed) for seed in (6, 7)]
    assert first == again
    assert any(other != first for other in others)


@pytest.mark.parametrize("text", ["default,no-such-knob=1", "gentle", "none,read-lag=soon", "none,read-lag=-1"])
def test_what_is_no_knob_is_refused_by_name(text: str) -> None:
    """An unknown name or preset, a value that is no number from 0."""
    with pytest.raises(UnknownFault):
        Faults.parse(text)
