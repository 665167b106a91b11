"""Finds the system user that the embedded Postgres runs as, since it refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from giftpay_server.postgres.binaries import EmbeddedPostgresError


@dataclass(frozen=True, slots=True)
class SystemUser:
    """The user of the operating system that Postgres runs as."""

    name: str
    uid: int
    gid: int

    def may_use(self, path: Path) -> bool:
        """Whether the user may enter the folder or run the file, through all parent folders."""
        command = ["/bin/sh", "-c", 'test -x "$1"', "sh", f"{path}"]
        try:
            return subprocess.run(command, cwd="/", **run_as(self)).returncode == 0
        except OSError as error:
            raise EmbeddedPostgresError(
                f"Postgres refuses to run as root, and this process may not become the user "
                f"{self.name} ({error.strerror}). Start giftpay as an ordinary user."
            ) from error


def postgres_user(data: Path) -> SystemUser | None:
    """The owner of the data, else an unprivileged user; None means the user of this process.

    Creates the system user giftpay if we are root and neither it nor postgres exists.
    """
    if os.geteuid() != 0:
        return None
    if data.exists():
        return _owner(data)
    user = _first_user("giftpay", "postgres") or _new_user("giftpay") or _first_user("nobody")
    if user is None:
        raise EmbeddedPostgresError(
            "Postgres refuses to run as root, and there is no other user on this machine. "
            "Add one with: useradd --system giftpay"
        )
    return user


def run_as(user: SystemUser | None) -> dict[str, Any]:
    """The arguments of subprocess that make a child run as the user."""
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user else {}


def _owner(data: Path) -> SystemUser:
    owner = data.stat()
    if owner.st_uid == 0:
        raise EmbeddedPostgresError(
            f"{data} belongs to root, and Postgres refuses to run as root. Give it to the user "
            f"that Postgres shall run as, such as: chown -R postgres {data}"
        )
    try:
        name = pwd.getpwuid(owner.st_uid).pw_name
    except KeyError:
        name = str(owner.st_uid)
    return SystemUser(name, owner.st_uid, owner.st_gid)


def _first_user(*names: str) -> SystemUser | None:
    for name in names:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(name, found.pw_uid, found.pw_gid)
    return None


def _new_user(name: str) -> SystemUser | None:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    try:
        subprocess.run([*command, "--shell", "/usr/sbin/nologin", name], capture_output=True)
    except FileNotFoundError:
        return None  # the system does not have this program, such as Alpine or macOS
    return _first_user(name)
