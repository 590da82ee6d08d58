import logging
from pathlib import Path

import pytest

from landscope.runs.filesystem import filesystem_type, is_network, journal_mode

MOUNTS = r"""
sysfs /sys sysfs rw,nosuid 0 0
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb1 /home/local xfs rw 0 0
//nas/share /mnt/My\040Share cifs rw 0 0
user@host: /mnt/ssh fuse.sshfs rw 0 0
scratch /scratch lustre rw 0 0
drvfs /mnt/c 9p rw 0 0
/dev/sdc1 /mnt/usb fuseblk rw 0 0
tmpfs /over tmpfs rw 0 0
server:/over /over nfs rw 0 0
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/runs", "ext4", False),
        ("/home/me/runs", "nfs4", True),
        ("/home", "nfs4", True),
        ("/homework", "ext4", False),
        ("/home/local/runs", "xfs", False),
        ("/mnt/My Share/runs", "cifs", True),
        ("/mnt/ssh/runs", "fuse.sshfs", True),
        ("/scratch/u/runs", "lustre", True),
        ("/mnt/c/runs", "9p", True),
        ("/mnt/usb/runs", "fuseblk", False),
        ("/over/runs", "nfs", True),
    ],
)
def test_the_longest_and_topmost_mount_decides(path, kind, network):
    assert filesystem_type(Path(path), MOUNTS) == kind
    assert is_network(kind) is network
    assert journal_mode(Path(path), MOUNTS) == ("TRUNCATE" if network else "WAL")


def test_without_mounts_a_local_disk_is_assumed():
    assert filesystem_type(Path("/x"), "") == ""
    assert journal_mode(Path("/x"), "") == "WAL"


def test_links_are_followed(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "net")
    mounts = f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path.resolve()}/net nfs rw 0 0\n"
    assert journal_mode(tmp_path / "link" / "runs", mounts) == "TRUNCATE"


def test_a_network_file_system_is_warned_of_once(caplog):
    with caplog.at_level(logging.WARNING):
        journal_mode(Path("/home/me"), MOUNTS)
    assert len(caplog.records) == 1
    assert "network file system (nfs4)" in caplog.text


def test_this_machine_is_read():
    assert journal_mode(Path("/proc/self")) in ("WAL", "TRUNCATE")
