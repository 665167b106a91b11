"""The environment of libpq is used for the user's own database, and never for the embedded one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import giftpay
import pytest
from asyncpg import connect_utils
from giftpay.v1 import GetTrialBalanceRequest, OpenWalletRequest
from giftpay_server.__main__ import CANNOT_START
from giftpay_server.app import foundation
from giftpay_server.config import Config

from tests.stories.processes import server_process

# https://www.postgresql.org/docs/current/libpq-envars.html, and what asyncpg reads by itself.
LIBPQ = """
    PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE PGREQUIREAUTH PGCHANNELBINDING
    PGSERVICE PGSERVICEFILE PGOPTIONS PGAPPNAME PGSSLMODE PGREQUIRESSL PGSSLNEGOTIATION
    PGSSLCOMPRESSION PGSSLCERT PGSSLKEY PGSSLCERTMODE PGSSLROOTCERT PGSSLCRL PGSSLCRLDIR PGSSLSNI
    PGREQUIREPEER PGSSLMINPROTOCOLVERSION PGSSLMAXPROTOCOLVERSION PGGSSENCMODE PGKRBSRVNAME PGGSSLIB
    PGGSSDELEGATION PGCONNECT_TIMEOUT PGCLIENTENCODING PGTARGETSESSIONATTRS PGLOADBALANCEHOSTS
    PGMINPROTOCOLVERSION PGMAXPROTOCOLVERSION PGDATESTYLE PGTZ PGGEQO PGSYSCONFDIR PGLOCALEDIR
    PGDATA PG_COLOR PG_COLORS PG_GRANDPARENT_PID
"""
ASYNCPG = re.findall(r"""["'](PG[A-Z]+)["']""", Path(connect_utils.__file__).read_text())
NONSENSE = dict.fromkeys([*LIBPQ.split(), *ASYNCPG], "hostile")
FOR_ANOTHER = NONSENSE | {  # what a database elsewhere may need
    "PGHOST": "db.invalid",
    "PGPORT": "1",
    "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct",
    "PGTARGETSESSIONATTRS": "standby",
    "PGOPTIONS": "-c default_transaction_read_only=on",
}


@pytest.mark.parametrize("environment", [NONSENSE, FOR_ANOTHER], ids=["nonsense", "another"])
@pytest.mark.parametrize("options", [(), ("--processes", "2")], ids=["one process", "two"])
async def test_the_embedded_postgres_ignores_it(
    environment: dict[str, str], options: tuple[str, ...]
) -> None:
    async with server_process(environment, *options) as server:
        async with giftpay.connect(server.address) as client:
            opening = OpenWalletRequest(owner_id="anna", country_code="DE", age_verified=True)
            await client.wallets.OpenWallet(opening)
            await client.admin.GetTrialBalance(GetTrialBalanceRequest())
        assert "Traceback" not in server.log()


# Variables that cannot be used with the tests' Postgres, and the end of the message.
UNUSABLE = [
    ({"PGSSLMODE": "hostile"}, "`sslmode` parameter must be one of: "),
    ({"PGSSLMODE": "verify-full", "HOME": "/nowhere"}, "root certificate file "),
    ({"PGSSLMODE": "verify-full", "PGSSLROOTCERT": __file__}, "no certificate or crl found"),
    ({"PGSSLMODE": "require", "PGSSLCERT": "/nowhere"}, "No such file or directory"),
    ({"PGSSLMODE": "require", "PGSSLMINPROTOCOLVERSION": "x"}, "No such TLS version: x"),
    ({"PGSSLNEGOTIATION": "hostile"}, "`sslnegotiation` parameter must be one of: "),
    ({"PGSSLNEGOTIATION": "direct"}, "direct TLS requires sslmode=require"),
    ({"PGTARGETSESSIONATTRS": "hostile"}, "got 'hostile'"),
    ({"PGTARGETSESSIONATTRS": "standby"}, "None of the hosts match the target attribute"),
    ({"PGGSSLIB": "hostile"}, "gsslib parameter must be either 'gssapi' or 'sspi'"),
    ({"PGHOST": "/nowhere"}, "No such file or directory"),
    ({"PGHOST": "[hostile"}, "invalid IPv6 address in the connection URI: '[hostile'"),
    ({"PGPORT": "hostile"}, "invalid literal for int() with base 10: 'hostile'"),
    ({"PGHOST": "127.0.0.1", "PGPORT": "99999"}, "port must be 0-65535."),
    ({"PGPORT": "1,2,3"}, "could not match 3 port numbers to 1 hosts"),
    ({"PGUSER": "hostile"}, 'password authentication failed for user "hostile"'),
    ({"PGPASSWORD": "hostile"}, 'password authentication failed for user "giftpay"'),
    ({"PGDATABASE": "hostile"}, 'database "hostile" does not exist'),
]


@pytest.fixture
async def named_by_libpq(
    new_database: Callable[[], Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sets the environment of libpq for a new database."""
    url = urlsplit(await new_database())
    place = parse_qs(url.query)
    monkeypatch.setenv("PGHOST", place["host"][0] if "host" in place else f"{url.hostname}")
    monkeypatch.setenv("PGPORT", place["port"][0] if "port" in place else f"{url.port or 5432}")
    monkeypatch.setenv("PGUSER", url.username or "")
    monkeypatch.setenv("PGPASSWORD", url.password or "")
    monkeypatch.setenv("PGDATABASE", url.path.removeprefix("/"))


@pytest.mark.usefixtures("named_by_libpq")
async def test_a_database_of_the_users_own_may_be_named_by_libpq() -> None:
    async with (
        server_process(DATABASE_URL="postgresql://") as server,
        giftpay.connect(server.address) as client,
    ):
        await client.admin.GetTrialBalance(GetTrialBalanceRequest())


@pytest.mark.usefixtures("named_by_libpq")
@pytest.mark.parametrize(("environment", "said"), UNUSABLE, ids=str)
async def test_a_wrong_variable_of_libpq_ends_the_start_with_a_sentence(
    environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(CANNOT_START) as raised:
        async with foundation(Config(database_url="postgresql://")):
            pass
    assert said in str(raised.value)
