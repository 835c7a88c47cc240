"""Where settings come from, what they mean, and what a mistake in them says."""

from __future__ import annotations

from pathlib import Path

import pytest

from autolock.config import Settings, load_settings, merge, read_settings, resolve_rules, selected, validate_rules
from autolock.errors import AutolockError
from autolock.findings import Certainty, Severity
from autolock.source import DEFAULT_EXCLUDES

KNOWN = {"AL101": "lost-update", "AL102": "check-then-act", "AL106": "file-lost-update", "AL501": "lock-per-call"}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty git work tree, and the working directory."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(project: Path, text: str) -> Settings:
    (project / "autolock.toml").write_text(text)
    return load_settings(project)


def message(project: Path, text: str) -> str:
    with pytest.raises(AutolockError) as caught:
        configure(project, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- where they come from ---------------------------------------------------------------------


def test_without_a_configuration_the_defaults_hold(project: Path) -> None:
    settings = load_settings(project)

    assert settings == Settings()
    assert settings.excludes().patterns == DEFAULT_EXCLUDES


def test_every_key_is_read(project: Path) -> None:
    settings = configure(
        project,
        """
        select = ["AL1"]
        ignore = ["AL102"]
        exclude = ["old"]
        extend-exclude = ["generated/"]
        certainty = "race"
        severity = "medium"
        unsafe = true
        lock-names = ["app.locks.distributed", "redlock"]
        jobs = 4
        cache-dir = "var/cache"
        baseline = "ci/baseline.json"
        [per-file-ignores]
        "scripts/*.py" = ["AL101", "lock-per-call"]
        """,
    )

    assert settings == Settings(
        file=project / "autolock.toml",
        select=("AL1",),
        ignore=("AL102",),
        per_file_ignores=(("scripts/*.py", ("AL101", "lock-per-call")),),
        exclude=("old",),
        extend_exclude=("generated/",),
        certainty=Certainty.RACE,
        severity=Severity.MEDIUM,
        unsafe=True,
        lock_names=("app.locks.distributed", "redlock"),
        jobs=4,
        cache_dir=project / "var/cache",
        baseline=project / "ci/baseline.json",
    )


def test_pyproject_is_read_from_its_own_section(project: Path) -> None:
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\n[tool.autolock]\ncertainty = "race"\n')

    assert load_settings(project).certainty is Certainty.RACE


def test_autolock_toml_wins_over_pyproject(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.autolock]\njobs = 1\n")

    assert configure(project, "jobs = 2").jobs == 2


@pytest.mark.parametrize("start", ["services/shop", "services/shop/main.py"])
def test_the_nearest_folder_wins_and_a_pyproject_without_a_section_is_passed_by(project: Path, start: str) -> None:
    (project / "services/shop").mkdir(parents=True)
    (project / "services/shop/main.py").touch()
    (project / "services/shop/pyproject.toml").write_text("[tool.black]\n")
    (project / "services/autolock.toml").write_text("jobs = 3")
    (project / "autolock.toml").write_text("jobs = 1")

    assert load_settings(Path(start)).jobs == 3


def test_nothing_above_the_work_tree_is_read(project: Path) -> None:
    (project / "autolock.toml").write_text("jobs = 1")
    (project / "inner/.git").mkdir(parents=True)

    assert load_settings(project / "inner") == Settings()


def test_exclude_replaces_the_defaults_and_extend_exclude_adds(project: Path) -> None:
    assert configure(project, 'exclude = ["a"]').excludes().patterns == ("a",)
    assert configure(project, "exclude = []").excludes().patterns == ()
    assert configure(project, 'extend-exclude = ["b"]').excludes().patterns == (*DEFAULT_EXCLUDES, "b")
    assert configure(project, "").excludes().base == project


# --- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("selct", "select"), ("extend_exclude", "extend-exclude"), ("cachedir", "cache-dir"), ("lock-name", "lock-names")],
)
def test_an_unknown_key_names_the_nearest(project: Path, wrong: str, nearest: str) -> None:
    text = message(project, f"{wrong} = 1")

    assert text == f'autolock.toml: unknown key "{wrong}" in the file; did you mean "{nearest}"?'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("concurency = 1", 'unknown key "concurency" in "llm"; did you mean "concurrency"?'),
        ("concurrency = 0", "llm.concurrency"),
        ('rate-limit = "often"', "llm.rate-limit"),
    ],
)
def test_mistakes_in_the_table_for_models_are_named(project: Path, line: str, said: str) -> None:
    assert said in message(project, f"[llm]\n{line}")


def test_the_table_for_models(project: Path) -> None:
    (project / "autolock.toml").write_text('[llm]\nconcurrency = 3\nrate-limit = "5/minute"\n')

    settings = load_settings(project)

    assert (settings.llm.concurrency, settings.llm.rate_limit) == (3, "5/minute")


def test_an_unknown_key_of_pyproject_names_the_section(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.autolock]\njob = 1\n")

    with pytest.raises(AutolockError, match=r'pyproject.toml: unknown key "job" in \[tool.autolock\]; .*"jobs"'):
        load_settings(project)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('select = "AL101"', "\"select\" must be a list of texts, not 'AL101'"),
        ("ignore = [1]", '"ignore" must be a list of texts, not [1]'),
        ('exclude = [""]', "\"exclude\" must be a list of texts, not ['']"),
        ('extend-exclude = ["!keep"]', "\"extend-exclude\" cannot take back with '!keep'"),
        ('exclude = ["a[z-a]"]', "\"exclude\" holds a bad pattern 'a[z-a]'"),
        ('certainty = "rac"', '"certainty" must be "race" or "latent", not \'rac\'; did you mean "race"?'),
        ("severity = 1", '"severity" must be "high" or "medium" or "low", not 1'),
        ('unsafe = "yes"', "\"unsafe\" must be true or false, not 'yes'"),
        ("jobs = 0", '"jobs" must be a whole number greater than 0, not 0'),
        ("jobs = true", '"jobs" must be a whole number greater than 0, not True'),
        ('lock-names = ["a-b"]', '"lock-names" must be a list of dotted names'),
        ("cache-dir = []", '"cache-dir" must be a path, not []'),
        ('per-file-ignores = ["a"]', '"per-file-ignores" must be a table'),
        ('per-file-ignores = {"a.py" = "AL101"}', '"per-file-ignores.a.py" must be a list of texts'),
        ('per-file-ignores = {"[z-a]" = []}', "\"per-file-ignores\" holds a bad pattern '[z-a]'"),
    ],
)
def test_a_wrong_value_names_file_key_and_what_is_wanted(project: Path, text: str, expected: str) -> None:
    assert message(project, text).startswith(f"autolock.toml: {expected}")


@pytest.mark.parametrize(
    ("text", "line"),
    [("jobs = 1\nselect = [\n", 2), ("jobs = 1\n\njobs 4\n", 3), ("jobs = 1\njobs = 2", 2)],
)
def test_broken_toml_is_one_line_with_file_and_line(project: Path, text: str, line: int) -> None:
    assert message(project, text).startswith(f"autolock.toml:{line}: not valid TOML: ")


def test_a_broken_pyproject_is_named_even_without_our_section(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")

    with pytest.raises(AutolockError, match=r"^pyproject\.toml:1: not valid TOML"):
        load_settings(project)


@pytest.mark.parametrize(
    ("content", "expected"), [(b"a = '\xff'", "not UTF-8"), (b"a = " + b"[" * 99_999, "nested too deeply")]
)
def test_a_hostile_file_is_one_line(project: Path, content: bytes, expected: str) -> None:
    (project / "pyproject.toml").write_bytes(content)

    with pytest.raises(AutolockError, match=f"pyproject.toml: {expected}"):
        load_settings(project)


def test_a_section_that_is_no_table_is_refused(project: Path) -> None:
    (project / "pyproject.toml").write_text("tool.autolock = 3")

    with pytest.raises(AutolockError, match="must be a table"):
        load_settings(project)


def test_a_file_that_cannot_be_read_is_named(project: Path) -> None:
    with pytest.raises(AutolockError, match=r"autolock\.toml: cannot be read: No such file"):
        read_settings(project / "autolock.toml")


# --- rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "rules"),
    [
        ("AL101", ("AL101",)),
        ("lost-update", ("AL101",)),
        ("AL1", ("AL101", "AL102", "AL106")),
        ("AL10", ("AL101", "AL102", "AL106")),
        ("AL5", ("AL501",)),
        ("AL", tuple(KNOWN)),
    ],
)
def test_a_selector_is_an_id_a_name_or_a_family(selector: str, rules: tuple[str, ...]) -> None:
    assert resolve_rules([selector], KNOWN, "--select") == rules


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("AL107", "AL10"), ("lost-updates", "lost-update"), ("A", "AL"), ("AL9", "AL"), ("al501", "AL501")],
)
def test_an_unknown_rule_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(AutolockError) as caught:
        resolve_rules([wrong], KNOWN, "--select")

    assert str(caught.value).startswith(f'--select: unknown rule "{wrong}"; did you mean "{nearest}')


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('select = ["AL101", "AL999"]', 'autolock.toml: "select"'),
        ('ignore = ["AL999"]', 'autolock.toml: "ignore"'),
        ('per-file-ignores = {"a.py" = ["AL999"]}', 'autolock.toml: "per-file-ignores" for "a.py"'),
    ],
)
def test_an_unknown_rule_in_the_configuration_names_file_and_key(project: Path, text: str, where: str) -> None:
    settings = configure(project, text)

    with pytest.raises(AutolockError) as caught:
        validate_rules(settings, KNOWN)

    assert str(caught.value).startswith(f'{where}: unknown rule "AL999"')


def chosen(project: Path, text: str, path: str | Path = "app/main.py") -> set[str]:
    settings = validate_rules(configure(project, text), KNOWN)
    return {rule for rule in KNOWN if selected(rule, path, settings)}


def test_everything_is_selected_until_something_is(project: Path) -> None:
    assert chosen(project, "") == set(KNOWN)
    assert chosen(project, 'select = ["AL1"]') == {"AL101", "AL102", "AL106"}
    assert chosen(project, 'ignore = ["check-then-act"]') == {"AL101", "AL106", "AL501"}
    assert chosen(project, 'select = ["AL1"]\nignore = ["AL102"]') == {"AL101", "AL106"}


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("scripts/*.py", "scripts/load.py", "scripts/deep/load.py"),
        ("scripts/", "scripts/deep/load.py", "app/load.py"),
        ("scripts/**/load.py", "scripts/load.py", "scripts/a/b/store.py"),
        ("scripts/**", "scripts/a/b/load.py", "app/scripts/load.py"),
        ("load.py", "scripts/deep/load.py", "scripts/reload.py"),
        ("**/legacy/*.py", "app/legacy/load.py", "app/legacy/v1/load.py"),
        ("load_[0-9].py", "a/load_3.py", "a/load_x.py"),
        ("load_[!0-9].py", "a/load_x.py", "a/load_3.py"),
        ("lo?d.py", "load.py", "lod.py"),
        ("a+b(c).py", "a+b(c).py", "aab(c).py"),
    ],
)
def test_rules_can_be_ignored_in_some_files(project: Path, pattern: str, matching: str, other: str) -> None:
    text = f'per-file-ignores = {{"{pattern}" = ["AL1"]}}'

    assert chosen(project, text, matching) == {"AL501"}
    assert chosen(project, text, project / matching) == {"AL501"}
    assert chosen(project, text, other) == set(KNOWN)


# --- the command line -------------------------------------------------------------------------


def test_what_the_command_line_does_not_say_stays() -> None:
    settings = Settings(select=("AL1",), ignore=("AL102",), certainty=Certainty.RACE, unsafe=True, jobs=3)

    assert merge(settings) == settings


def test_the_command_line_wins() -> None:
    settings = Settings(ignore=("AL102",), certainty=Certainty.RACE, unsafe=True, jobs=3, baseline=Path("a"))

    merged = merge(
        settings,
        ignore=["AL5"],
        certainty=Certainty.LATENT,
        severity=Severity.HIGH,
        unsafe=False,
        jobs=1,
        cache_dir=Path("c"),
        baseline=Path("b"),
    )

    assert merged == Settings(
        ignore=("AL5",),
        certainty=Certainty.LATENT,
        severity=Severity.HIGH,
        unsafe=False,
        jobs=1,
        cache_dir=Path("c"),
        baseline=Path("b"),
    )


def test_a_rule_asked_for_on_the_command_line_is_run_though_the_configuration_ignores_it() -> None:
    merged = merge(Settings(ignore=("AL102",)), select=["AL102"])

    assert selected("AL102", "app.py", merged)
    assert not selected("AL101", "app.py", merged)
