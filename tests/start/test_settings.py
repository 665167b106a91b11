"""Each setting is read within its bounds, passed to the workers, and named if it is invalid."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from giftpay_server.__main__ import main
from giftpay_server.app import foundation
from giftpay_server.config import OTHER_VARIABLES, Config, Limits, from_environment
from giftpay_server.settings import ConfigError, Setting, settings_of, written_settings
from giftpay_server.supervisor import worker_environment

SETTINGS = list(settings_of(Config))
BOUNDS = re.compile(r"([0-9.]+) to ([0-9.]+) \w+")
NUMBERS = [each for each in SETTINGS if BOUNDS.fullmatch(each.form.allowed)]

# A value other than the default, of each setting that is no number.
TEXTS = {
    "GIFTPAY_DATABASE_URL": "postgresql://anna:s%2F@one:5432,[::1]:1/giftpay?sslmode=require",
    "GIFTPAY_MIGRATE_URL": "postgres://owner@/giftpay?host=/run/postgresql&port=5433",
    "GIFTPAY_STATE": "/srv/giftpay",
    "GIFTPAY_LISTEN": "[::]:0",
    "GIFTPAY_INSECURE": "1",
    "GIFTPAY_SANDBOX_URL": "https://provider.example",
    "GIFTPAY_SAMPLE_CATALOG": "1",
    "GIFTPAY_TRUSTED_CALLERS": "anna,local",
}

NO_NUMBERS = (
    "nan",
    "inf",
    "1e3",
    "-1",
    "+1",
    "1_0",
    "0x1",
    "1.",
    ".5",
    "1,5",
    "\u0663",
    "\u00bd",
    "9" * 5_000,
)


def bounds(number: Setting) -> tuple[str, str]:
    """The documented minimum and maximum."""
    found = BOUNDS.fullmatch(number.form.allowed)
    assert found is not None
    return found[1], found[2]


def refusal(**settings: str) -> str:
    """The error of these settings, named without GIFTPAY_."""
    with pytest.raises(ConfigError) as raised:
        from_environment({f"GIFTPAY_{name}": text for name, text in settings.items()})
    return str(raised.value)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number.variable)
def test_a_number_is_taken_at_both_bounds_and_refused_beyond_them(number: Setting) -> None:
    least, most = bounds(number)
    for text in (least, most):
        assert number.form.read(number.variable, text) == float(text)
    for beyond in (str(float(least) * 0.9), f"{float(most) + 1:g}", "1" + most, *NO_NUMBERS):
        with pytest.raises(ConfigError) as raised:
            from_environment({number.variable: beyond})
        named = f"{number.variable} must be {number.form.allowed}, not {beyond[:60]!r}"
        assert str(raised.value) == named


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_an_empty_value_is_the_default_and_so_is_the_default_itself(setting: Setting) -> None:
    assert from_environment({setting.variable: " "}) == from_environment({})
    assert from_environment({setting.variable: setting.default_text}) == from_environment({})


def test_every_setting_reaches_the_workers() -> None:
    texts = TEXTS | {number.variable: bounds(number)[1] for number in NUMBERS}
    config = from_environment(texts)
    environment = worker_environment(config, config.listen)
    for each in SETTINGS:
        value = each.form.read(each.variable, environment[each.variable])
        assert value == each.form.read(each.variable, texts[each.variable]) != each.default
    assert from_environment(written_settings(config)) == config


def test_help_lists_every_setting_within_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["giftpay-server", "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {f"  {each.variable}={each.default_text}" for each in SETTINGS} <= set(lines)


def test_a_worker_listens_where_its_parent_has_reserved_the_port() -> None:
    environment = worker_environment(Config(listen="127.0.0.1:0"), "127.0.0.1:4711")
    assert environment["GIFTPAY_LISTEN"] == "127.0.0.1:4711"


@pytest.mark.parametrize("name", ["listn", "LISTN", "listen", "Listen", "LISTENS"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    advice = "did you mean GIFTPAY_LISTEN?"
    assert refusal(**{name: ""}) == f"GIFTPAY_{name} is no setting; {advice}"


def test_a_name_that_is_near_to_none_is_refused_with_a_reference() -> None:
    assert refusal(X="1") == "GIFTPAY_X is no setting: see giftpay-server --help"
    assert refusal(PORT="50051").startswith("GIFTPAY_PORT is no setting")


def test_other_variables_are_ignored() -> None:
    others = dict.fromkeys(OTHER_VARIABLES, "x")
    service_links = {  # as Kubernetes sets them for Services named giftpay and giftpay-db
        "GIFTPAY_SERVICE_HOST": "10.0.0.1",
        "GIFTPAY_SERVICE_PORT": "50051",
        "GIFTPAY_SERVICE_PORT_GRPC": "50051",
        "GIFTPAY_PORT": "tcp://10.0.0.1:50051",
        "GIFTPAY_PORT_50051_TCP": "tcp://10.0.0.1:50051",
        "GIFTPAY_PORT_50051_TCP_PROTO": "tcp",
        "GIFTPAY_PORT_50051_TCP_PORT": "50051",
        "GIFTPAY_PORT_50051_TCP_ADDR": "10.0.0.1",
        "GIFTPAY_DB_SERVICE_HOST": "10.0.0.2",
        "GIFTPAY_DB_PORT": "tcp://10.0.0.2:5432",
    }
    elsewhere = {"PATH": "/bin", "MY_GIFTPAY_LISTN": "x"}
    assert from_environment(others | service_links | elsewhere) == from_environment({})


@pytest.mark.parametrize(
    "listen",
    [
        *("localhost", "50051", ":50051", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:x"),
        *("127.0.0.1:\u0663", "127.0.0.1:-1", "::1:50051", "[]:1", "a b:1", "a\n:1", "http://a:1"),
    ],
)
def test_a_malformed_address_is_refused_with_its_form(listen: str) -> None:
    expected = "GIFTPAY_LISTEN must be host:port, with port 0 for any that is free, not "
    assert refusal(LISTEN=listen) == f"{expected}{listen!r}"


@pytest.mark.parametrize(
    "url",
    [
        *(
            "127.0.0.1:50052",
            "ftp://127.0.0.1:1",
            "http://",
            "http://:1",
            "http://a:0",
            "http://a:x",
        ),
        *("http://a:65536", "http://a/path", "http://a?x", "http://u:p@a:1", "http://a b:1"),
        "http://a:1\x1b",
    ],
)
def test_a_provider_is_a_url_of_a_host(url: str) -> None:
    assert refusal(SANDBOX_URL=url).startswith("GIFTPAY_SANDBOX_URL must be http://host:port or ")


def test_a_password_in_the_url_of_a_provider_is_not_repeated() -> None:
    assert "hunter2" not in refusal(SANDBOX_URL="https://giftpay:hunter2@provider.example")


def test_a_slash_at_the_end_of_the_provider_is_left_out() -> None:
    assert from_environment({"GIFTPAY_SANDBOX_URL": "http://a:1/"}).sandbox_url == "http://a:1"


@pytest.mark.parametrize("variable", ["DATABASE_URL", "MIGRATE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        *("anna:secret@db/giftpay", "mysql://anna:secret@db/giftpay", "postgresql:secret"),
        *("postgresql://anna:se/cret@db/x", "postgresql://anna:se?cret@db/x"),
        *("postgresql://anna:se#cret@db/x", "postgresql://anna:se@cret@db/x"),
        *("postgresql://anna:secret@db:0/x", "postgresql://anna:secret@db:99999,b/x"),
        *("postgresql://anna:secret@db:secret/x", "postgresql://anna:secret@db/x?secret"),
        *("postgresql://anna:secret@[db/x", "postgresql://anna:secret@d b/x"),
        *("postgresql://anna:sec\x00ret@db/x", "postgresql://anna:sec%00ret@db/x"),
    ],
)
def test_a_malformed_database_url_is_refused_with_its_form_and_not_repeated(
    variable: str, url: str
) -> None:
    message = refusal(**{variable: url})
    assert message.startswith(f"GIFTPAY_{variable} must be postgresql://")
    assert "cret" not in message


@pytest.mark.parametrize("switch", ["INSECURE", "SAMPLE_CATALOG"])
@pytest.mark.parametrize("text", ["yes", "true", "2", "-1", "01", "\u0661"])
def test_a_switch_is_0_or_1(switch: str, text: str) -> None:
    assert refusal(**{switch: text}) == f"GIFTPAY_{switch} must be 0 or 1, not {text!r}"


@pytest.mark.parametrize("names", [",".join(map(str, range(101))), "n" * 65, "a\x00b"])
def test_callers_are_a_bounded_list_of_names(names: str) -> None:
    assert refusal(TRUSTED_CALLERS=names).startswith("GIFTPAY_TRUSTED_CALLERS must be at most 100")


@pytest.mark.parametrize("folder", ["a\x00b", "a\nb", "~no-such-user/state"])
def test_a_state_folder_is_a_path(folder: str) -> None:
    assert refusal(STATE=folder) == f"GIFTPAY_STATE must be a folder, not {folder!r}"


def test_the_state_folder_is_that_of_the_environment_that_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIFTPAY_STATE", "/another")
    monkeypatch.setenv("XDG_STATE_HOME", "/another")
    assert from_environment({"GIFTPAY_STATE": "~/mine"}).state == Path.home() / "mine"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    read = from_environment({"XDG_STATE_HOME": "/users/anna/state"})
    assert read.state == Path("/users/anna/state/giftpay")
    assert from_environment({}).state == Path.home() / ".local/state/giftpay"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert from_environment({}).state == Path("/var/lib/giftpay")


async def test_a_user_without_a_home_must_set_a_state_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    homeless = {"XDG_STATE_HOME": "~no-such-user/state"}
    from_environment({"GIFTPAY_DATABASE_URL": "postgresql://db/giftpay", **homeless})
    with pytest.raises(ConfigError, match="GIFTPAY_STATE must name a folder"):
        async with foundation(from_environment(homeless)):
            pass


def test_a_command_has_more_time_than_clocks_differ_by() -> None:
    expected = "GIFTPAY_POST_WITHIN_S (5 seconds) must be more than GIFTPAY_CLOCK_SKEW_MAX_S (5 "
    assert refusal(POST_WITHIN_S="5").startswith(expected)
    replace(Config(), limits=Limits(post_within_s=5.1))


def test_a_login_that_migrates_needs_a_database_to_migrate() -> None:
    expected = "GIFTPAY_MIGRATE_URL needs GIFTPAY_DATABASE_URL beside it"
    assert refusal(MIGRATE_URL="postgresql://owner@db/giftpay") == expected
