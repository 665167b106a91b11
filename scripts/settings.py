"""Writes docs/configuration.md, with the table of settings, into a folder."""

from __future__ import annotations

import sys
from pathlib import Path

from giftpay_server.config import Config
from giftpay_server.settings import Setting, settings_of

from scripts.tables import write_table

HEAD = ("variable", "default", "allowed", "what it is")


def _row(setting: Setting) -> tuple[str, ...]:
    default = f"`{setting.default_text}`" if setting.default_text else "empty"
    return f"`{setting.variable}`", default, setting.form.allowed, setting.sentence


if __name__ == "__main__":
    rows = [_row(each) for each in settings_of(Config)]
    write_table("docs/configuration.md", "settings", [HEAD, *rows], Path(sys.argv[1]))
