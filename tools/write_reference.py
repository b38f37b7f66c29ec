"""The command line and the settings, as they are -> docs/reference/cli.md and config.md.

Run it after changing either; a test compares.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import sys
from dataclasses import fields
from pathlib import Path

PLAIN = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"


def settings_page() -> str:
    """Return a table of every group of settings, with the docstring that stands under each field."""
    from redub import config

    docs = _field_docs(inspect.getsource(config))
    lines = [
        "# Settings",
        "",
        "Give them in a TOML file (`--config settings.toml`), with a table for each group, or one by one (`--set encode.crf=20`).",
        "What stands here are the defaults; `redub show config` prints what a run would use. A name that does not exist is an error.",
    ]
    for group in fields(config.Config):
        kind = type(getattr(config.Config(), group.name))
        lines += ["", f"## {group.name}", "", inspect.getdoc(kind) or "", "", "| setting | default | what |", "|---|---|---|"]
        for one in fields(kind):
            value = getattr(kind(), one.name)
            # As a settings file has it.
            shown = f"`{json.dumps(value) if isinstance(value, bool) else value}`" if value != "" else "``"
            lines.append(f"| `{group.name}.{one.name}` | {shown} | {docs[kind.__name__, one.name]} |")
    return "\n".join(lines) + "\n"


def command_page() -> str:
    """Return the ``--help`` of every command, as it is printed on a terminal of 100 columns."""
    from typer.testing import CliRunner

    from redub.cli import app

    commands = [
        "", "analyse", "adapt", "render", "speak", "sync", "train", "evaluate", "pack", "make-footage", "show", "plugins", "weights",
        "demo", "doctor",
    ]  # fmt: skip
    lines = [
        "# The command line",
        "",
        "Exit codes: 0 done, 1 something that you can repair, 2 wrong usage or a fault of redub, 3 not past `--gate`, "
        "130 stopped by Ctrl-C.",
    ]
    for command in commands:
        result = CliRunner().invoke(app, [*([command] if command else []), "--help"], prog_name="redub", env=PLAIN)
        text = re.sub(r"\x1b\[[0-9;]*m", "", result.output)
        body = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
        lines += ["", f"## redub {command}".rstrip(), "", "```text", body, "```"]
    return "\n".join(lines) + "\n"


def _field_docs(source: str) -> dict[tuple[str, str], str]:
    docs = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            for field, following in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                    text = " ".join(str(following.value.value).split()).replace("``", "`").replace("|", "\\|")
                    docs[node.name, ast.unparse(field.target)] = text
    return docs


PAGES = {"config.md": settings_page, "cli.md": command_page}


def main() -> None:
    """Write both pages, or with ``--check`` say whether they are current."""
    stale = [name for name, page in PAGES.items() if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != page()]
    if "--check" in sys.argv:
        sys.exit(f"run  python {os.path.relpath(__file__)}  for {', '.join(stale)}" if stale else 0)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
