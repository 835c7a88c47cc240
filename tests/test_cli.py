"""The command line as a user meets it: what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runner import CLEAN, COUNTER, LATENT, STOCK, Cli

import autolock

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Cli:
    return Cli(tmp_path, monkeypatch, capfdbinary)


@pytest.fixture
def shop(cli: Cli) -> Cli:
    shutil.copytree(FIXTURES / "shop/before", cli.folder, dirs_exist_ok=True)
    return cli


def git(folder: Path, *arguments: str, stdin: str = "") -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, input=stdin, text=True, capture_output=True, check=True
    )
    return done.stdout


# --- check ------------------------------------------------------------------------------------


def test_check_exits_0_without_findings(cli: Cli) -> None:
    cli.write("main.py", CLEAN)
    outcome = cli("check")
    assert outcome.code == 0
    assert "no races found" in outcome.out
    assert outcome.err == ""


def test_check_exits_1_with_findings(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    outcome = cli("check", "main.py")
    assert outcome.code == 1
    assert "AL101" in outcome.out
    assert "main.py:11" in outcome.out


def test_quiet_is_one_line_a_finding(shop: Cli) -> None:
    outcome = shop("check", "--quiet")
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == [
        "shop/coupons.py",
        "shop/main.py",
        "shop/orders.py",
        "shop/reviews.py",
        "shop/payments.py",
    ]


def test_json_of_a_folder_elsewhere(cli: Cli, tmp_path: Path) -> None:
    cli.write("here/readme", "")
    cli.write("there/main.py", COUNTER)
    os.chdir(cli.folder / "here")
    document = json.loads(cli("check", "--format", "json", str(cli.folder / "there")).out)
    assert [finding["path"] for finding in document["findings"]] == ["main.py"]
    assert document["statistics"]["files"] == 1
    assert document["statistics"]["routes"] == 1


def test_check_reads_standard_input(cli: Cli) -> None:
    outcome = cli("check", "-", "--quiet", stdin=COUNTER.encode())
    assert outcome.code == 1
    assert outcome.out.startswith("<stdin>:11:5: AL101 high race")


def test_standard_input_alone(cli: Cli) -> None:
    outcome = cli("check", "-", "main.py")
    assert outcome.code == 2
    assert outcome.err == "autolock: - (standard input) cannot be combined with other paths\n"


def test_output_goes_to_the_file(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    outcome = cli("check", "--format", "json", "--output", "report.json")
    assert outcome.out == ""
    assert outcome.code == 1
    assert json.loads(cli.read("report.json"))["findings"]


def test_output_that_cannot_be_written(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    outcome = cli("check", "--output", "nowhere/report.txt")
    assert outcome.code == 2
    assert outcome.err == "autolock: nowhere/report.txt: cannot be written: no such file or directory\n"


@pytest.mark.parametrize("format", ["text", "json", "sarif", "github", "markdown"])
def test_every_format(cli: Cli, format: str) -> None:
    cli.write("main.py", COUNTER)
    outcome = cli("check", "--format", format)
    assert outcome.code == 1
    assert "AL101" in outcome.out


def test_certainty_race_leaves_out_what_is_latent(cli: Cli) -> None:
    cli.write("main.py", LATENT)
    assert cli("check").code == 1
    assert cli("check", "--certainty", "race").code == 0
    assert cli("check", "--certainty", "latent").code == 1


def test_severity_is_the_lowest_shown(shop: Cli) -> None:
    everything = shop("check", "-q").out.splitlines()
    high = shop("check", "-q", "--severity", "high").out.splitlines()
    assert len(everything) == 5
    assert high == [line for line in everything if " high " in line]
    assert len(high) == 4


def test_select_and_ignore(shop: Cli) -> None:
    assert {line.split()[1] for line in shop("check", "-q", "--select", "AL102,created-twice").out.splitlines()} == {
        "AL102",
        "AL103",
    }
    assert {line.split()[1] for line in shop("check", "-q", "--ignore", "AL101").out.splitlines()} == {
        "AL102",
        "AL103",
    }


def test_latent_severity_order_is_worst_first(shop: Cli) -> None:
    shown = [line.split()[2] for line in shop("check", "-q").out.splitlines()]
    assert shown == sorted(shown, key=["high", "medium", "low"].index)


def test_verbose_says_where_the_analysis_stopped(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    assert cli("check", "--verbose").code == 1


def test_suppression_and_one_that_silences_nothing(cli: Cli) -> None:
    silenced = COUNTER.replace("current + 1", "current + 1  # autolock: ignore[AL101] one user")
    cli.write("main.py", silenced)
    outcome = cli("check")
    assert outcome.code == 0
    assert "1 suppressed" in outcome.out
    cli.write("main.py", CLEAN + "# autolock: ignore[AL101]\n")
    outcome = cli("check")
    assert outcome.code == 0
    assert outcome.err == "autolock: main.py:9: `# autolock: ignore[AL101]` suppresses nothing; remove it\n"


# --- what is wrong ----------------------------------------------------------------------------


def test_a_path_that_does_not_exist(cli: Cli) -> None:
    outcome = cli("check", "missing")
    assert outcome == (2, "", "autolock: missing: does not exist; check the spelling of the path\n")


def test_a_file_that_does_not_parse_is_named_and_the_rest_is_done(cli: Cli) -> None:
    cli.write("broken.py", "def (:\n")
    cli.write("main.py", COUNTER)
    outcome = cli("check", "-q")
    assert outcome.code == 1
    assert outcome.err.startswith("autolock: broken.py: line 1: ")
    assert len(outcome.err.splitlines()) == 1
    assert "main.py" in outcome.out


def test_nothing_but_broken_files(cli: Cli) -> None:
    cli.write("broken.py", "def (:\n")
    outcome = cli("check")
    assert outcome.code == 2
    assert outcome.out == ""


def test_an_empty_folder(cli: Cli) -> None:
    outcome = cli("check")
    assert outcome.code == 0
    assert outcome.err == f"autolock: {cli.folder}: no Python files here\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tool.autolock\n", "autolock: pyproject.toml:1: not valid TOML"),
        ("[tool.autolock]\nselekt = []\n", 'autolock: pyproject.toml: unknown key "selekt" in [tool.autolock]; did'),
        ('[tool.autolock]\nselect = ["AL999"]\n', 'autolock: pyproject.toml: "select": unknown rule "AL999"; did'),
    ],
)
def test_a_broken_configuration(cli: Cli, text: str, complaint: str) -> None:
    cli.write("pyproject.toml", text)
    cli.write("main.py", COUNTER)
    outcome = cli("check")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(complaint)
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["check", "--select", "lost-updat"],
            'autolock: select: unknown rule "lost-updat"; did you mean "lost-update"?',
        ),
        (
            ["check", "--format", "xml"],
            'autolock: unknown report format "xml"; one of github, json, markdown, sarif, text',
        ),
        (["check", "--certainty", "perhaps"], "autolock: Invalid value for '--certainty'"),
        (["check", "--jobs", "0"], "autolock: Invalid value for '--jobs'"),
        (["check", "--selct", "x"], "autolock: No such option: --selct"),
        (["chek"], "autolock: No such command 'chek'"),
        (["check", "--baseline", "none.json"], "autolock: none.json: no such baseline"),
        (
            ["check", "--write-baseline"],
            "autolock: there is no file to record the baseline in; name one with --baseline",
        ),
        (["explain", "AL1"], "autolock: AL1: a family of rules; name one of AL101, AL102"),
        (["undo"], "autolock: "),
    ],
)
def test_a_wrong_command_line_is_one_line(cli: Cli, arguments: list[str], complaint: str) -> None:
    cli.write("main.py", CLEAN)
    outcome = cli(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(complaint)
    assert outcome.err.count("\n") == 1


def test_an_internal_error_is_one_line(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by\nzero")

    cli.write("main.py", CLEAN)
    monkeypatch.setattr("autolock.engine.find", fail)
    outcome = cli("check")
    assert outcome.code == 2
    assert outcome.err == (
        "autolock: internal error, ZeroDivisionError: by zero; please report it with what --verbose prints\n"
    )
    assert "Traceback" in cli("check", "--verbose").err


def test_ctrl_c(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    cli.write("main.py", CLEAN)
    monkeypatch.setattr("autolock.engine.find", interrupt)
    outcome = cli("check")
    assert outcome.code == 130
    assert "Traceback" not in outcome.err


# --- fix --------------------------------------------------------------------------------------


def test_a_dry_run_is_a_diff_that_git_takes(shop: Cli) -> None:
    git(shop.folder, "init", "-q")
    outcome = shop("fix")
    assert outcome.code == 1
    assert outcome.out.startswith("--- a/shop/")
    assert "autolock fix --apply" in outcome.err
    git(shop.folder, "apply", "-", stdin=outcome.out)
    assert "inventory_lock" in shop.read("shop/orders.py")
    again = shop("fix")
    assert (again.code, again.out) == (0, "")


def test_a_dry_run_writes_nothing(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    assert cli("fix").code == 1
    assert cli.read("main.py") == COUNTER


def test_diff_context(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    long, short = cli("fix", "--diff-context", "10").out, cli("fix", "--diff-context", "0").out
    assert len(long.splitlines()) > len(short.splitlines())
    assert not [line for line in short.splitlines() if line.startswith(" ")]


def test_apply_writes_and_undo_puts_back(cli: Cli) -> None:
    cli.write("app/main.py", COUNTER)
    outcome = cli("fix", "--apply")
    assert outcome.code == 0
    assert outcome.out.startswith("fixed AL101 lost-update in app/main.py: ")
    assert "async with counter_lock:" in cli.read("app/main.py")
    assert cli("fix", "--apply").out == ""
    assert cli("check", "-q").code == 0
    assert cli("undo") == (0, "put back app/main.py\n", "")
    assert cli.read("app/main.py") == COUNTER
    assert cli("undo").code == 2


def test_undo_refuses_where_a_file_changed_since(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    cli("fix", "--apply")
    edited = cli.read("main.py") + "# mine\n"
    cli.write("main.py", edited)
    outcome = cli("undo")
    assert outcome.code == 2
    assert "main.py" in outcome.err
    assert cli.read("main.py") == edited


def test_undo_from_another_folder_of_the_repository(cli: Cli) -> None:
    cli.write("app/main.py", COUNTER)
    git(cli.folder, "init", "-q")
    cli("fix", "--apply", "--allow-dirty", "app")
    os.chdir(cli.folder / "app")
    assert cli("undo").code == 0
    assert cli.read("app/main.py") == COUNTER


def test_apply_refuses_uncommitted_changes(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    git(cli.folder, "init", "-q")
    outcome = cli("fix", "--apply")
    assert outcome == (2, "", "autolock: main.py: uncommitted changes; commit or stash them, or pass --allow-dirty\n")
    assert cli("fix", "--apply", "--allow-dirty").code == 0


def test_apply_after_a_commit_ignores_its_own_folder(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    git(cli.folder, "init", "-q")
    git(cli.folder, "add", ".")
    git(cli.folder, "commit", "-qm", "start")
    assert cli("fix", "--apply").code == 0
    assert git(cli.folder, "status", "--porcelain").split() == ["M", "main.py"]


def test_apply_exits_1_when_findings_remain(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        from autolock.rewriting.engine import RewriteError

        raise RewriteError("the file is cursed")

    cli.write("main.py", COUNTER)
    monkeypatch.setattr("autolock.rewrite.apply_edits", refuse)
    outcome = cli("fix", "--apply")
    assert outcome.code == 1
    assert outcome.out == ""
    assert "main.py:11: AL101 lost-update not fixed: the rewrite was dropped: the file is cursed" in outcome.err


def test_fix_of_standard_input(cli: Cli) -> None:
    outcome = cli("fix", "-", stdin=COUNTER.encode())
    assert outcome.code == 1
    assert outcome.out.startswith("--- a/<stdin>\n+++ b/<stdin>\n")
    outcome = cli("fix", "-", "--apply", stdin=COUNTER.encode())
    assert outcome.code == 0
    assert "async with counter_lock:" in outcome.out
    assert list(cli.folder.iterdir()) == []


def test_fix_of_standard_input_with_nothing_to_fix_gives_it_back(cli: Cli) -> None:
    source = b"\xef\xbb\xbf# caf\xc3\xa9\r\nx = 1"
    outcome = cli("fix", "-", "--apply", stdin=source)
    assert (outcome.code, outcome.out.encode("utf-8", "surrogateescape")) == (0, source)


def test_nothing_to_fix(cli: Cli) -> None:
    cli.write("main.py", CLEAN)
    assert cli("fix") == (0, "", "no races found\n")
    assert cli("fix", "-q") == (0, "", "")


def test_sarif_of_a_fix_has_the_fix(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    document = json.loads(cli("fix", "--format", "sarif").out)
    assert document["runs"][0]["results"][0]["fixes"]


# --- interactive ------------------------------------------------------------------------------


def test_interactive_takes_and_leaves(cli: Cli) -> None:
    cli.write("a.py", COUNTER)
    cli.write("b.py", STOCK)
    outcome = cli("fix", "--interactive", stdin=b"n\nwhat\ny\n")
    assert outcome.code == 1
    assert "answer with" in outcome.err
    changed = [name for name, before in (("a.py", COUNTER), ("b.py", STOCK)) if cli.read(name) != before]
    assert len(changed) == 1
    assert outcome.out.count("Hold a new") >= 2


def test_interactive_keeps_what_was_taken_when_the_user_quits(cli: Cli) -> None:
    for name in ("a.py", "b.py", "c.py"):
        cli.write(name, COUNTER)
    outcome = cli("fix", "--interactive", stdin=b"y\nq\n")
    assert outcome.code == 1
    assert sum(cli.read(name) != COUNTER for name in ("a.py", "b.py", "c.py")) == 1


def test_interactive_all_of_this_rule(cli: Cli) -> None:
    for name in ("a.py", "b.py", "c.py"):
        cli.write(name, COUNTER)
    assert cli("fix", "--interactive", stdin=b"a\n").code == 0
    assert all("counter_lock" in cli.read(name) for name in ("a.py", "b.py", "c.py"))


def test_interactive_edit(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write("main.py", COUNTER)
    editor = cli.write("editor.sh", f"#!{sys.executable}\nimport sys\nopen(sys.argv[1], 'a').write('# edited\\n')\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    assert cli("fix", "--interactive", stdin=b"e\ny\n").code == 0
    assert cli.read("main.py").endswith("# edited\n")
    assert "counter_lock" in cli.read("main.py")


def test_interactive_edit_that_does_not_parse_is_dropped(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write("main.py", COUNTER)
    editor = cli.write("editor.sh", "import sys\nopen(sys.argv[1], 'a').write('def (\\n')\n")
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    outcome = cli("fix", "--interactive", stdin=b"e\ny\n")
    assert "main.py: does not parse any more" in outcome.err
    assert "def (" not in cli.read("main.py")
    assert "counter_lock" in cli.read("main.py")


# --- baseline ---------------------------------------------------------------------------------


def test_only_what_is_not_in_the_baseline_fails(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    recorded = cli("check", "--baseline", "known.json", "--write-baseline")
    assert recorded == (0, "", "autolock: recorded 1 finding in the baseline\n")
    outcome = cli("check", "--baseline", "known.json")
    assert outcome.code == 0
    assert "1 in the baseline" in outcome.out
    cli.write("main.py", "# a line\n# and another\n" + COUNTER)
    assert cli("check", "--baseline", "known.json").code == 0
    cli.write("other.py", STOCK)
    outcome = cli("check", "-q", "--baseline", "known.json")
    assert outcome.code == 1
    assert [line.split(":")[0] for line in outcome.out.splitlines()] == ["other.py"]


def test_a_finding_that_is_gone_is_said_to_be(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    cli("check", "--baseline", "known.json", "--write-baseline")
    cli.write("main.py", CLEAN)
    outcome = cli("check", "--baseline", "known.json")
    assert outcome.code == 0
    assert "main.py: AL101 in increment is gone, but in known.json" in outcome.err


# --- the others -------------------------------------------------------------------------------


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"autolock {autolock.__version__}\n", "")


def test_rules(cli: Cli) -> None:
    lines = cli("rules").out.splitlines()
    assert lines[0].startswith("AL101  lost-update")
    listed = json.loads(cli("rules", "--format", "json").out)
    assert [rule["id"] for rule in listed] == [line.split()[0] for line in lines]


@pytest.mark.parametrize("name", ["AL101", "al101", "lost-update"])
def test_explain(cli: Cli, name: str) -> None:
    outcome = cli("explain", name)
    assert outcome.code == 0
    assert outcome.out.startswith("AL101 lost-update\n")
    assert [
        heading for heading in ("Racy", "Interleaving", "Fix", "Refused") if f"\n{heading}\n" not in outcome.out
    ] == []


def test_every_rule_can_be_explained(cli: Cli) -> None:
    for rule in json.loads(cli("rules", "--format", "json").out):
        assert cli("explain", rule["id"]).code == 0


# --- colours and terminals --------------------------------------------------------------------


def test_colours_are_forced_and_forbidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.write("main.py", COUNTER)
    commands = (["check"], ["fix"], ["explain", "AL101"])
    assert not any("\x1b[" in cli(*command).out for command in commands)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert all("\x1b[" in cli(*command).out for command in commands)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("\x1b[" in cli(*command).out for command in commands)


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What a command writes when its standard output is a terminal."""
    pty = pytest.importorskip("pty")
    primary, secondary = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "autolock", *arguments],
        cwd=folder,
        stdout=secondary,
        stderr=subprocess.DEVNULL,
        env=environment | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(secondary)
    written = b""
    while True:
        try:
            chunk = os.read(primary, 65536)
        except OSError:  # how Linux tells the end
            break
        if not chunk:
            break
        written += chunk
    os.close(primary)
    process.wait()
    return written.decode()


@pytest.mark.parametrize("arguments", [["check"], ["fix"]])
def test_a_terminal_gets_colours(cli: Cli, arguments: list[str]) -> None:
    cli.write("main.py", COUNTER)
    assert "\x1b[" in on_a_terminal(cli.folder, *arguments)


def test_a_diff_on_a_terminal_is_headed_with_its_reason(cli: Cli) -> None:
    cli.write("main.py", COUNTER)
    written = on_a_terminal(cli.folder, "fix")
    assert written.index("Every function that writes") < written.index("--- a/main.py")


def test_a_reader_that_goes_away(cli: Cli, tmp_path: Path) -> None:
    for number in range(60):
        cli.write(f"m{number}.py", COUNTER)
    command = f"{sys.executable} -m autolock check --format json | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_a_plugin_that_cannot_be_loaded_is_named(cli: Cli) -> None:
    info = cli.folder / "broken_plugin-1.dist-info"
    cli.write(f"{info.name}/METADATA", "Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1\n")
    cli.write(f"{info.name}/entry_points.txt", "[autolock.rules]\nmine = no_such_module:Rule\n")
    done = subprocess.run(
        [sys.executable, "-m", "autolock", "rules"],
        cwd=cli.folder,
        env={**os.environ, "PYTHONPATH": str(cli.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        'autolock: the plugin "mine" (autolock.rules) of broken-plugin cannot be used: '
        "No module named 'no_such_module'; mend or uninstall broken-plugin\n"
    )
