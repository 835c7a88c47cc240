"""The Markdown report: a table, the details, and nothing of the user's text read as markup."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from report_samples import latent, race, report, step, thread_race

from autolock.findings import Action, Finding, Report
from autolock.report.base import RenderOptions
from autolock.report.markdown import MarkdownReporter, code, escape


def document(*findings: Finding) -> str:
    return MarkdownReporter().render(report(*findings), RenderOptions())


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")][2:]


def test_the_table_has_a_row_a_finding() -> None:
    table = rows(document())
    assert len(table) == 3
    assert "`app/shop.py:15`" in table[0]
    assert "**high**" in table[0]
    assert "low, latent" in table[2]


def test_details_show_the_two_lanes_and_the_fix() -> None:
    text = document(race())
    block = re.search(r"```text\n(.*?)\n```\n", text, re.DOTALL)
    assert block
    assert re.match(r"request A +request B", block[1])
    assert "LOST" in block[1]
    assert "**Safe fix:** hold one asyncio.Lock" in text


def test_a_latent_finding_has_no_picture() -> None:
    assert "```" not in document(latent())


def test_a_refused_fix_says_so() -> None:
    assert "**No automatic fix:** move `audit` out" in document(thread_race())


def test_a_fence_in_the_code_does_not_end_the_block() -> None:
    text = document(race((step("A", Action.READ, 1, "x = '````'"),)))
    assert "`````text\n" in text


def test_a_pipe_does_not_end_a_cell() -> None:
    (row,) = rows(document(race(message="`a | b` or c | d")))
    assert len(re.findall(r"(?<!\\)\|", row)) == 6


def test_markup_in_messages_is_text() -> None:
    text = document(race(message="<img src=x> @admin **bold** [link](http://x) #12 `code` ` left over"))
    assert text.count("<img") == text.count("\\<img src=x\\>") == 2
    assert "@admin" not in text
    assert "@\u200badmin" in text
    assert r"\*\*bold\*\* \[link\](http://x)" in text
    assert "#12" not in text
    assert "`code` \\` left over" in text


def test_html_in_a_path_stays_out_of_the_summary() -> None:
    text = document(race(name="<b>@me"))
    assert "&lt;b&gt;@\u200bme" in text


@given(st.text(min_size=1))
def test_a_code_span_ends_where_it_should(text: str) -> None:
    span = code(text)
    ticks = re.match("`+", span)
    assert ticks
    inner = span[len(ticks[0]) : -len(ticks[0])]
    assert ticks[0] not in re.findall("`+", inner)
    assert inner.strip() == " ".join(text.split())


@given(st.text("\\`*_[]<>&~$ab"))
def test_escaped_text_reads_as_it_was(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", escape(text)) == text


def test_nothing_found() -> None:
    text = MarkdownReporter().render(Report("/"), RenderOptions())
    assert text.startswith("## autolock\n\n**No races found**")
    assert "|" not in text


def test_problems_are_listed() -> None:
    assert "* `app/bad.py`: line 3 is not valid Python; mend it or exclude it" in document()
