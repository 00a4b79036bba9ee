from pathlib import Path

import pytest

from spendra.arguments import CommandError
from spendra.command.data_dir import DataDir, Organization, write_private


def test_what_is_remembered_is_found_again(tmp_path: Path) -> None:
    made = Organization(org_id="org_1", admin_token="a", sidecar_token="s", snapshot_public_key="p")
    with DataDir(tmp_path / "deep" / "data") as data:
        first = data.secrets
        first.ports["postgres"] = 5000
        first.organizations["embedded"] = made
        data.save()
    with DataDir(tmp_path / "deep" / "data") as data:
        assert data.secrets == first


def test_secrets_are_for_their_owner_only_and_differ_everywhere(tmp_path: Path) -> None:
    with DataDir(tmp_path / "one") as one, DataDir(tmp_path / "two") as two:
        assert (one.path / "secrets.json").stat().st_mode & 0o777 == 0o600
        assert one.secrets.master_key != two.secrets.master_key
        passwords = [one.secrets.postgres_password, one.secrets.redis_password]
        assert len({*passwords, one.secrets.bootstrap_token}) == 3


def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.mkdir(mode=0o750)
    with DataDir(path):
        assert path.stat().st_mode & 0o777 == 0o750


def test_only_one_may_hold_it(tmp_path: Path) -> None:
    with DataDir(tmp_path), pytest.raises(CommandError, match="already runs on") as raised:
        DataDir(tmp_path)
    assert raised.value.code == 69
    with DataDir(tmp_path):
        pass


def test_damaged_secrets_are_not_overwritten(tmp_path: Path) -> None:
    damaged = tmp_path / "secrets.json"
    damaged.write_text('{"ports": 1')
    with pytest.raises(CommandError, match=r"secrets\.json cannot be read"):
        DataDir(tmp_path)
    assert damaged.read_text() == '{"ports": 1'


def test_a_path_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CommandError, match="cannot be used") as raised:
        DataDir(tmp_path / "data")
    assert raised.value.code == 69


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["up.json"]
