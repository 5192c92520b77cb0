"""Network file systems are told from others by what is mounted; SQLite is not written there."""

from collections.abc import Callable
from pathlib import Path

import pytest
from filled import planned

from dfgctl.errors import RegistryError
from dfgctl.registry import Registry, mounts
from dfgctl.registry.mounts import NETWORK, network_kind

Mount = Callable[..., None]


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Say what is mounted where, one line after the other."""
    table = tmp_path / "mounts"
    monkeypatch.setattr(mounts, "MOUNTS", table)

    def mount(*lines: tuple[Path | str, str]) -> None:
        written = [f"server:/x {str(p).replace(' ', chr(92) + '040')} {k} rw 0 0" for p, k in lines]
        table.write_text("\n".join(["/dev/sda1 / ext4 rw 0 0", *written, "odd line"]) + "\n")

    mount()
    return mount


@pytest.mark.parametrize("kind", sorted(NETWORK))
def test_each_kind_is_known(mounted: Mount, tmp_path: Path, kind: str) -> None:
    mounted((tmp_path / "net", kind))
    assert network_kind(tmp_path / "net" / "deep" / "r.sqlite") == kind
    assert network_kind(tmp_path / "network" / "r.sqlite") is None
    assert network_kind(tmp_path / "r.sqlite") is None


@pytest.mark.parametrize("kind", ["ext4", "9p", "overlay", "tmpfs", "virtiofs", "fuse.portal"])
def test_local_kinds_are_not(mounted: Mount, tmp_path: Path, kind: str) -> None:
    mounted((tmp_path, kind))
    assert network_kind(tmp_path / "r.sqlite") is None


def test_the_innermost_and_the_latest_mount_counts(mounted: Mount, tmp_path: Path) -> None:
    net, inner = tmp_path / "net", tmp_path / "net" / "disk"
    mounted((inner, "xfs"), (net, "nfs4"))
    assert network_kind(inner / "r.sqlite") is None
    assert network_kind(net / "r.sqlite") == "nfs4"
    mounted((net, "nfs4"), (net, "ext4"))
    assert network_kind(net / "r.sqlite") is None
    mounted(("/", "nfs"))
    assert network_kind(tmp_path / "r.sqlite") == "nfs"


def test_a_space_in_a_mount_point_and_a_link_on_the_way_are_seen_through(
    mounted: Mount, tmp_path: Path
) -> None:
    share = tmp_path / "my share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    mounted((share, "cifs"))
    assert network_kind(share / "r.sqlite") == "cifs"
    assert network_kind(tmp_path / "link" / "r.sqlite") == "cifs"


def test_where_nothing_is_listed_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "not there")
    assert network_kind(tmp_path) is None
    assert network_kind(tmp_path / "results" / "r.sqlite") is None


@pytest.mark.parametrize("there", [False, True])
def test_a_registry_on_a_network_is_refused_for_writing_with_advice(
    mounted: Mount, tmp_path: Path, there: bool
) -> None:
    file = tmp_path / "net" / "registry.sqlite"
    if there:
        Registry(str(file)).close()
    before = sorted(tmp_path.rglob("*"))
    mounted((tmp_path / "net", "lustre"))
    with pytest.raises(RegistryError, match=r"network file system \(lustre\)") as caught:
        Registry(str(file), create=True)
    assert "local disk" in str(caught.value)
    assert "postgresql://" in str(caught.value)
    assert "pip install 'dfgctl[postgres]'" in str(caught.value)
    assert caught.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_it_can_be_read_there_but_not_changed(mounted: Mount, tmp_path: Path) -> None:
    file = tmp_path / "registry.sqlite"
    registry = Registry(str(file))
    registry.enqueue([planned(0)])
    registry.close()
    mounted((tmp_path, "nfs"))
    opened = Registry(str(file), create=False)
    assert opened.read_only
    assert [run.status for run in opened.runs()] == ["queued"]
    with pytest.raises(RegistryError, match="cannot be written"):
        opened.cancel([planned(0).id])
    opened.close()
