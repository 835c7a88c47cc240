"""The report at a terminal: what it says, and that it is drawn straight whatever the code holds."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import STORE, latent, place, race, report, step, thread_race
from rich.cells import cell_len

from autolock.findings import Action, Certainty, Finding, Place, Report, Safety, Severity, Statistics, Step, Window
from autolock.report.base import RenderOptions
from autolock.report.frames import frame
from autolock.report.lines import split_lines
from autolock.report.picture import picture
from autolock.report.text import TextReporter
from autolock.report.typeset import fit, glyphs, wrap

ANSI = re.compile(r"\x1b\[[0-9;]*m")
# What upsets terminals and columns: wide and combining characters, emoji with joiners, controls.
AWKWARD = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(list("abc _=.([名前전각\u0301\u200d\ufe0f\u202e\x1b\t\n👩🚀❤\u3000")),
    ),
    max_size=120,
)


def text(of: Report, **options: object) -> str:
    return TextReporter().render(of, RenderOptions(**options))  # type: ignore[arg-type]


def drawn(steps: tuple[Step, ...], width: int = 100, unicode: bool = True) -> list[str]:
    return [line.plain for line in picture(race(steps), width, glyphs(unicode), color=False)]


steps_of_any_kind = st.lists(
    st.builds(
        step,
        request=st.sampled_from("AB"),
        action=st.sampled_from(Action),
        line=st.integers(1, 99_999),
        code=AWKWARD,
        value=st.one_of(st.just(""), AWKWARD),
        note=st.one_of(st.just(""), AWKWARD),
        lost=st.booleans(),
        function=st.sampled_from(["purchase", "Store.保存", ""]),
    ),
    max_size=9,
).map(tuple)


class TestPicture:
    def test_both_lanes_in_the_order_of_time(self) -> None:
        lines = drawn(race().window.steps, 160)
        middle = lines[0].index("request B")
        order = [
            ("A" if match.start() < middle else "B", int(match[1]))
            for line in lines
            if (match := re.search(r"[○◇●◌✗] +(\d+)", line))
        ]
        assert order == [("A", 15), ("A", 18), ("B", 15), ("B", 18), ("B", 19), ("A", 19)]

    def test_the_lost_write_is_marked(self) -> None:
        lines = drawn(race().window.steps, 160)
        (marked,) = [index for index, line in enumerate(lines) if "✗" in line]
        assert "stock[request.sku] -= request.quantity  → -1" in lines[marked]
        assert "LOST sold what B had sold already" in lines[marked + 1]

    def test_arrows_say_why_the_other_request_goes_on(self) -> None:
        arrows = [line for line in drawn(race().window.steps) if "╌" in line]
        assert len(arrows) == 2
        assert re.search(r"├╌ A is suspended, B runs ╌+▶", arrows[0])
        assert re.search(r"◀╌+ B is done, A resumes ╌╯", arrows[1])

    def test_a_thread_switch_is_the_label_of_its_arrow(self) -> None:
        lines = drawn(thread_race().window.steps)
        assert any(re.search(r"├╌ thread switch, B runs ╌+▶", line) for line in lines)

    def test_another_function_is_named_once_where_a_lane_enters_it(self) -> None:
        entered = [line for line in drawn(thread_race().window.steps) if "in Store.reserve, app/store.py" in line]
        assert len(entered) == 2

    def test_values_are_kept_when_code_is_cut(self) -> None:
        long = tuple(replace(one, code="call(" + "argument, " * 40 + ")") for one in race().window.steps)
        whole = "\n".join(drawn(long, 80))
        assert "…" in whole
        assert "→ -1" in whole

    @given(steps_of_any_kind, st.integers(60, 200), st.booleans())
    def test_lines_fit_and_lanes_are_straight(self, steps: tuple[Step, ...], width: int, unicode: bool) -> None:
        lines = picture(race(steps), width, glyphs(unicode), color=False)
        start = lines[0].plain.index("request B")
        for line in (line.plain for line in lines):
            assert cell_len(line) <= width
            assert all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in line)
            # The rail of B: whatever stands left of it fills exactly its own cells.
            assert any(cell_len(line[:index]) == start for index in range(len(line))) or cell_len(line) <= start

    @given(steps_of_any_kind)
    def test_colours_change_no_character(self, steps: tuple[Step, ...]) -> None:
        colored = picture(race(steps), 100, glyphs(True), color=True)
        assert [line.plain for line in colored] == drawn(steps)

    def test_ascii_stand_ins(self) -> None:
        assert all(line.isascii() for line in drawn(race().window.steps, 80, unicode=False))


class TestFrame:
    def shown(self, source: str, at: Place, width: int = 80) -> list[str]:
        return [line.plain for line in frame(split_lines(source), at, width, glyphs(True), color=False)]

    def test_the_place_is_pointed_at_and_underlined(self) -> None:
        lines = self.shown("a = 1\nwhile True:\n\tx['名前'] += 1\n", Place("a.py", 3, 5, 3, 7))
        assert lines[2] == "❱ 3 │     x['名前'] += 1"
        assert lines[3] == "    │        ━━━━"

    def test_common_indentation_is_dropped(self) -> None:
        (line, _) = self.shown("        x = 1\n", Place("a.py", 1, 9, 1, 14))
        assert line == "❱ 1 │ x = 1"

    def test_a_long_place_is_shown_by_its_ends(self) -> None:
        lines = self.shown("".join(f"line_{number}\n" for number in range(60)), Place("a.py", 10, 1, 50, 3))
        assert len(lines) <= 9
        assert "line_9" in lines[2]
        assert any("┊" in line for line in lines)

    def test_lines_are_counted_as_the_parser_counts_them(self) -> None:
        lines = self.shown("a\x0c = 1\r\nb = 2\rc = 3\n", Place("a.py", 3, 1, 3, 2))
        assert "❱ 3 │ c = 3" in lines

    def test_a_place_that_is_not_there_has_no_frame(self) -> None:
        assert self.shown("x = 1\n", place(7)) == []

    @given(AWKWARD, st.integers(1, 5), st.integers(1, 130), st.integers(60, 200))
    def test_lines_fit(self, source: str, line: int, column: int, width: int) -> None:
        at = Place("a.py", line, column, line, column + 9)
        plain = frame(split_lines(source), at, width, glyphs(True), color=False)
        assert all(line.cell_len <= width for line in plain)
        colored = frame(split_lines(source), at, width, glyphs(True), color=True)
        assert [line.plain for line in colored] == [line.plain for line in plain]


class TestReport:
    def test_a_finding_says_what_where_how_and_what_to_do(self) -> None:
        page = text(report(race()))
        parts = [
            "HIGH  AL102 check-then-act  race",
            "app/shop.py:15:8  purchase  · POST /purchases",
            "two requests at once both see `stock[request.sku]`",
            "❱ 15 │ if stock[request.sku] < request.quantity:",
            "shared state: stock · event loop",
            "request A",
            "✓ safe fix  hold one asyncio.Lock round the check and the sale",
            "every writer of `stock` takes `stock_lock`",
            "1 race (1 high) in 1 file; 1 with a safe fix",
            "42 files, 18,234 lines, 0.41 s",
            "1 file could not be read",
        ]
        positions = [page.index(part) for part in parts]
        assert positions == sorted(positions)
        assert page.endswith("1 file could not be read\n")

    def test_a_latent_finding_shows_nothing_as_if_it_happened(self) -> None:
        steps = race().window.steps
        page = text(report(replace(latent(), window=Window("counter", "event loop", steps))))
        assert "request A" not in page
        assert "atomic today" in page
        assert "LOW  AL101 lost-update  latent  app/stats.py:6:5  increment\n" in page

    def test_latent_findings_come_after_the_races(self) -> None:
        page = text(report(latent(), race()))
        assert page.index("AL102") < page.index("AL101")

    def test_what_has_one_cause_is_told_once_with_the_other_places(self) -> None:
        other = race(place=replace(race().place, line=31, function="refund"), routes=("POST /refunds",))
        page = text(report(race(), thread_race(), other))
        assert page.count("request A") == 2
        assert page.index("the same at 1 other place:\n  app/shop.py:31:8  refund  · POST /refunds") < page.index(
            "app/store.py:6:9"
        )
        assert "3 races" in page

    @pytest.mark.parametrize(
        "changes",
        [
            {"severity": Severity.LOW},
            {"location": "orders"},
            {"rule": "AL101"},
            {"fix": replace(race().fix, reason="another lock")},
            {"fix": replace(race().fix, safety=Safety.UNSAFE)},
        ],
    )
    def test_what_has_another_cause_is_told_in_full(self, changes: dict[str, object]) -> None:
        page = text(report(race(), race(**changes)))
        assert page.count("request A") == 2
        assert "the same at" not in page

    def test_nothing_found(self) -> None:
        assert text(Report("/", statistics=Statistics(files=1, lines=10))).startswith(
            "no races found\n1 file, 10 lines"
        )

    def test_quiet_is_one_line_a_finding(self) -> None:
        lines = text(report(race(message="one\n  two")), quiet=True).splitlines()
        assert lines == ["app/shop.py:15:8: AL102 high race one two"]

    def test_notes_are_for_the_verbose(self) -> None:
        assert "getattr" not in text(report())
        assert "app/dyn.py: getattr with a computed name" in text(report(), verbose=True)

    def test_silenced_findings_are_counted(self) -> None:
        page = text(Report("/", statistics=Statistics(suppressed=2, baselined=3)))
        assert "2 suppressed by comments, 3 in the baseline" in page

    @pytest.mark.parametrize("width", [60, 80, 100, 160])
    @pytest.mark.parametrize("unicode", [True, False])
    def test_no_line_is_wider_than_the_terminal(self, width: int, unicode: bool) -> None:
        page = text(report(), width=width, unicode=unicode, verbose=True)
        assert max(map(cell_len, page.splitlines())) <= width
        assert unicode or page.isascii()

    def test_colour_only_adds_escapes(self) -> None:
        plain, colored = text(report()), text(report(), color=True)
        assert "\x1b" not in plain
        assert "\x1b[" in colored
        badges = re.compile(r" (HIGH|MEDIUM|LOW) ")
        without = ANSI.sub("", colored)
        assert {line.strip() for line in plain.splitlines() if "│" in line} == {
            line.strip() for line in without.splitlines() if "│" in line
        }
        assert badges.search(without)

    def test_escapes_in_code_are_shown_not_obeyed(self) -> None:
        source = STORE.replace("raise Taken(seat)", "raise Taken('\x1b[2J\u202e')")
        hostile = replace(thread_race(), message="\x1b[31mred\u2066")
        page = text(replace(report(hostile), texts={"app/store.py": source}))
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert r"'\x1b[2J\u202e'" in page
        assert r"\x1b[31mred\u2066" in page

    @given(AWKWARD, AWKWARD, AWKWARD, st.integers(60, 140), st.sampled_from(Certainty))
    def test_any_finding_fits(self, message: str, name: str, source: str, width: int, certainty: Certainty) -> None:
        finding: Finding = race(
            message=message, name="a-rule", place=place(1, function=name), routes=(name, name), certainty=certainty
        )
        page = text(replace(report(finding), texts={"app/shop.py": source}), width=width)
        assert max(map(cell_len, page.split("\n"))) <= width


class TestTypesetting:
    @given(AWKWARD, st.integers(0, 40), st.sampled_from(["…", "..."]))
    def test_cut_text_fits(self, given_text: str, width: int, ellipsis: str) -> None:
        short = fit(given_text.replace("\u200d", "").replace("\ufe0f", ""), width, ellipsis)
        assert cell_len(short) <= width

    @given(AWKWARD, st.integers(2, 40))
    def test_wrapped_lines_fit_and_lose_nothing(self, given_text: str, width: int) -> None:
        lines = wrap(given_text, width)
        assert all(cell_len(line) <= width for line in lines)
        assert "".join("".join(lines).split()) == "".join("".join(wrap(given_text, 10_000)).split())
