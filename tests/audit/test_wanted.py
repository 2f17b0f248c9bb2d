"""Playbooks of a folder, as far as an audit compares a tenant with them."""

from pathlib import Path

import pytest

from exosp.audit.wanted import gather
from exosp.errors import PlaybookError, UsageError

DESK = """\
exosp: 1
tenant: contoso.onmicrosoft.com
app: {key: desk, name: Desk, credential: {type: secret, valid_for: 90d, save_to: desk.env}}
protocols: [imap, smtp]
mailboxes:
  - Support@contoso.com
  - {address: sales@contoso.com, protocols: [smtp], send_as: {from: info@contoso.com}}
"""
ADOPTED = """\
exosp: 1
tenant: 11111111-2222-4333-8444-555555555555
app: {id: AAAAAAAA-0000-4000-8000-000000000001, credential: {type: secret, valid_for: 90d, save_to: a.env}}
protocols: [pop]
mailboxes: [support@contoso.com]
"""
TENANTS = ("contoso.onmicrosoft.com", "11111111-2222-4333-8444-555555555555")


def test_what_a_playbook_wants_is_what_it_says(tmp_path: Path) -> None:
    """Addresses without case, protocols by mailbox, the application by its unique name or its id."""
    (tmp_path / "below").mkdir()
    (tmp_path / "desk.yaml").write_text(DESK)
    (tmp_path / "below" / "adopted.yml").write_text(ADOPTED)
    found, others = gather(tmp_path, {}, TENANTS)
    assert others == ()
    adopted, desk = found
    assert (desk.file, desk.key, desk.unique_name, desk.app_ids) == ("desk.yaml", "desk", "exosp-desk", frozenset())
    assert desk.mailboxes == {
        "support@contoso.com": frozenset({"imap", "smtp"}), "sales@contoso.com": frozenset({"smtp"}),
    }  # fmt: skip
    assert desk.send_as == {"info@contoso.com"}
    assert not desk.smtp_by_rbac
    assert adopted.file == "below/adopted.yml"
    assert (adopted.unique_name, adopted.app_ids) == ("", {"aaaaaaaa-0000-4000-8000-000000000001"})


def test_another_tenants_playbook_and_other_yaml_are_left_out_by_name(tmp_path: Path) -> None:
    """What is not compared is said, never silently skipped."""
    (tmp_path / "other.yaml").write_text(DESK.replace("contoso.onmicrosoft", "fabrikam.onmicrosoft"))
    (tmp_path / "compose.yml").write_text("services: {}\n")
    (tmp_path / "notes.txt").write_text("exosp: 1\n")
    found, others = gather(tmp_path, {}, TENANTS)
    assert found == ()
    assert others == ("compose.yml (no playbook)", "other.yaml (fabrikam.onmicrosoft.com)")


def test_a_broken_playbook_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    """A folder that is half read would call good grants unwanted."""
    (tmp_path / "desk.yaml").write_text(DESK.replace("protocols: [imap, smtp]", "protocol: [imap]"))
    with pytest.raises(PlaybookError):
        gather(tmp_path, {}, TENANTS)
    with pytest.raises(UsageError):
        gather(tmp_path / "nowhere", {}, TENANTS)
