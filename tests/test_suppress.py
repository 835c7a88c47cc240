"""Comments that silence findings, and notes about those that silence none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autolock.findings import Certainty, Finding, Fix, Place, Safety, Severity, Window
from autolock.suppress import Suppressed, apply_suppressions, find_suppressions

KNOWN = {"AL101": "lost-update", "AL102": "check-then-act", "AL501": "lock-per-call"}


def finding(rule: str = "AL101", line: int = 1, end_line: int = 0, path: str = "app.py") -> Finding:
    return Finding(
        rule=rule,
        name=KNOWN[rule],
        category="memory",
        certainty=Certainty.RACE,
        severity=Severity.HIGH,
        place=Place(path, line, 1, end_line or line, 9, "purchase"),
        message="two purchases at once sell the same seat",
        location="app.stock",
        window=Window("app.stock", "event loop", ()),
        routes=(),
        fix=Fix(Safety.NONE, "", ""),
        fingerprint=f"{rule}:{line}",
    )


def apply(text: str, *findings: Finding, not_run: tuple[str, ...] = ()) -> Suppressed:
    return apply_suppressions(findings, {"app.py": text}, KNOWN, lambda rule, path: rule not in not_run)


@pytest.mark.parametrize(
    "comment",
    [
        "# autolock: ignore[AL101]",
        "# autolock: ignore[lost-update]",
        "# autolock: ignore[AL1]",
        "# autolock: ignore[AL102, AL101]",
        "# autolock: ignore[AL101] one worker, one thread",
        "# autolock: ignore [AL101]",
        "#autolock:ignore[AL101]",
        "# autolock: ignore",
        "# autolock: ignore because it is fine",
        "# noqa: E501  # autolock: ignore[AL101]",
        "# autolock: ignore[AL101]  # noqa: E501",
    ],
)
def test_a_comment_silences_the_finding_on_its_line(comment: str) -> None:
    result = apply(f"x = 1\nstock['a'] -= 1  {comment}\n", finding(line=2))

    assert result == Suppressed((), 1, ())


def test_a_comment_leaves_other_rules_and_other_lines() -> None:
    text = "a = 1  # autolock: ignore[AL101]\nb = 2\n"
    same, other_rule, other_line = finding(), finding("AL102"), finding(line=2)

    result = apply(text, same, other_rule, other_line)

    assert result == Suppressed((other_rule, other_line), 1, ())


def test_a_comment_holds_for_its_own_file_only() -> None:
    elsewhere = finding(path="other.py")

    result = apply("a = 1  # autolock: ignore\n", elsewhere)

    assert result.kept == (elsewhere,)


LONG_STATEMENT = """\
stock.update(  # first
    seats=read(),
    rows=1,  # middle
)  # last
below = 1
"""


@pytest.mark.parametrize("where", ["# first", "# middle", "# last"])
@pytest.mark.parametrize("line", [1, 2, 4])
def test_a_comment_anywhere_in_a_statement_counts_for_all_its_lines(where: str, line: int) -> None:
    text = LONG_STATEMENT.replace(where, "# autolock: ignore[AL101]")

    assert apply(text, finding(line=line)).silenced == 1
    assert apply(text, finding(line=5)).silenced == 0


def test_a_comment_on_a_line_of_its_own_belongs_to_the_statement_below() -> None:
    text = "a = 1\n# autolock: ignore[AL101] a long reason\n\n# and more\nb = 2\nc = 3\n"

    result = apply(text, finding(line=1), finding(line=5), finding(line=6))

    assert [item.place.line for item in result.kept] == [1, 6]


def test_a_comment_on_the_header_of_a_block_leaves_the_block() -> None:
    text = "def f():  # autolock: ignore[AL101]\n    stock['a'] -= 1\n"

    result = apply(text, finding(line=2))

    assert result.silenced == 0
    assert [str(note) for note in result.notes] == [
        "app.py:1: `# autolock: ignore[AL101]` suppresses nothing; remove it"
    ]


def test_a_comment_where_a_finding_of_several_statements_ends_silences_it() -> None:
    text = "n = stock['a']\nawait pay()\nstock['a'] = n - 1  # autolock: ignore[AL101]\n"

    assert apply(text, finding(line=1, end_line=3)).silenced == 1


def test_one_comment_can_silence_several_findings() -> None:
    text = "a = b = 1  # autolock: ignore\n"

    assert apply(text, finding("AL101"), finding("AL102")) == Suppressed((), 2, ())


@pytest.mark.parametrize(
    "text",
    [
        "# autolock: ignore-file[AL101]\n\nx = 1\n",
        '"""What it is."""\n\n# autolock: ignore-file[AL101] generated\n\nx = 1\n',
        "import os\n\n# autolock: ignore-file\n",
        '"""' + "\n" * 30 + '"""\n# autolock: ignore-file\nimport os\n',
    ],
)
def test_a_comment_at_the_head_silences_the_file(text: str) -> None:
    assert apply(text, finding(line=400)) == Suppressed((), 1, ())


def test_a_file_comment_silences_only_the_rules_that_it_names() -> None:
    left = finding("AL501", line=9)

    result = apply("# autolock: ignore-file[AL1]\n", finding("AL101"), finding("AL102"), left)

    assert result == Suppressed((left,), 2, ())


def test_a_file_comment_further_down_silences_nothing_and_says_so() -> None:
    result = apply("import os\n" * 20 + "# autolock: ignore-file\n", finding(line=3))

    assert result.silenced == 0
    assert [note.path for note in result.notes] == ["app.py:21"]
    assert "stands too low" in result.notes[0].message


def test_a_comment_that_silences_nothing_is_named_with_its_line() -> None:
    result = apply("x = 1\ny = 2  # autolock: ignore[AL102] old\n", finding(line=2))

    assert [str(note) for note in result.notes] == [
        "app.py:2: `# autolock: ignore[AL102]` suppresses nothing; remove it"
    ]


@pytest.mark.parametrize("rules", ["[AL102]", "[AL101, AL102]", "[AL1]", ""])
def test_a_comment_for_a_rule_that_was_not_run_is_not_called_useless(rules: str) -> None:
    text = f"x = 1  # autolock: ignore{rules}\n"

    assert apply(text, not_run=("AL102",)).notes == ()
    assert len(apply(text).notes) == 1


def test_an_unknown_rule_is_named_with_the_nearest_and_the_others_hold() -> None:
    result = apply("x = 1  # autolock: ignore[AL101, lost-updat]\n", finding())

    assert result.silenced == 1
    assert len(result.notes) == 1
    assert 'unknown rule "lost-updat"; did you mean "lost-update"?' in str(result.notes[0])


@pytest.mark.parametrize(
    "comment", ["# autolock: ingore[AL101]", "# autolock: ignore[]", "# autolock: ignored", "# autolock:"]
)
def test_a_misspelt_comment_silences_nothing_and_says_so(comment: str) -> None:
    result = apply(f"x = 1  {comment}\n", finding())

    assert result.silenced == 0
    assert "is not understood" in result.notes[0].message


def test_text_in_a_string_is_no_comment() -> None:
    text = 'x = "# autolock: ignore"\ny = """\n# autolock: ignore\n"""\n'

    assert apply(text, finding(line=1), finding(line=3)).silenced == 0
    assert find_suppressions(text) == ()


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
)
def test_no_string_is_ever_taken_for_a_comment(before: str, after: str) -> None:
    text = f"x = {before + '# autolock: ignore' + after!r}\n"

    assert find_suppressions(text) == ()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_is_survived(text: str) -> None:
    comments = find_suppressions(f"{text}\n# autolock: ignore\n")

    assert len(comments) <= 1 + text.count("autolock:")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_python_counts_them(newline: str) -> None:
    text = newline.join(["a = 1", "\f", "b = '\u2028'", "c = 3  # autolock: ignore[AL101]", ""])

    result = apply(text, finding(line=3), finding(line=4))

    assert [item.place.line for item in result.kept] == [3]
    assert result.silenced == 1


def test_a_file_that_is_not_python_has_no_comments_to_complain_of() -> None:
    assert apply("x = (  # autolock: ignore\n").notes == ()
