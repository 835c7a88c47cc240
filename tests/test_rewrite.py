"""Carrying plans out: what makes a rewrite good, and what becomes of one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from autolock.edits import Edit
from autolock.findings import Certainty, Finding, Fix, Place, Rewrite, Safety, Severity, Window
from autolock.plan import Plan
from autolock.rewrite import Quit, Rewritten, Tree, View, rewrite
from autolock.rewriting.engine import RewriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path("/nowhere")


def finding(fingerprint: str, certainty: Certainty = Certainty.RACE, path: str = "a.py") -> Finding:
    place = Place(path, 1, 1, 1, 2, "f")
    fix = Fix(Safety.SAFE, "", "")
    window = Window("x", "event loop", ())
    return Finding(
        "AL101", "lost-update", "memory", certainty, Severity.HIGH, place, "", "x", window, (), fix, fingerprint
    )


def plan(name: str, *paths: str, safety: Safety = Safety.SAFE) -> Plan:
    """A plan for the location `name` that appends `name` to each of the files."""
    edits = tuple(Edit(path, "append", {"text": name}) for path in paths)
    return Plan(f"lock {name}", "because", safety, (f"race-{name}",), edits, (name,))


class Project:
    """Files whose races are the names that are not written in them, and an analysis that counts its runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *plans: Plan) -> None:
        self.plans = plans
        self.files = {path: b"" for made in plans for path in (edit.path for edit in made.edits)}
        self.runs = 0
        self.wrong: Callable[[str], Finding | None] = lambda text: None
        monkeypatch.setattr("autolock.rewrite.apply_edits", self.append)
        monkeypatch.setattr("autolock.rewrite.format_changed", lambda path, before, after: after)

    @staticmethod
    def append(source: bytes, edits: list[Edit], _: object) -> bytes:
        if any("impossible" in str(edit.arguments["text"]) for edit in edits):
            raise RewriteError("it is impossible")
        return source + "".join(f"{edit.arguments['text']}\n" for edit in edits).encode()

    def view(self, overlay: Mapping[str, bytes]) -> View:
        self.runs += 1
        files = self.files | dict(overlay)
        text = b"".join(files.values()).decode()
        open_ = [made for made in self.plans if made.locations[0] not in text.split()]
        findings = [finding(made.fingerprints[0]) for made in open_]
        extra = self.wrong(text)
        return View((*findings, *([extra] if extra else [])), tuple(open_))

    def rewrite(self, choose: Callable[[Rewrite, tuple[Finding, ...]], Rewrite | None] | None = None) -> Rewritten:
        tree = Tree(ROOT, lambda path: self.files[path], self.view({}), self.view, {})
        self.runs = 0
        return rewrite(tree, self.plans, choose)


def titles(rewritten: Rewritten) -> list[str]:
    return [made.title for made in rewritten.rewrites]


def test_nothing_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Project(monkeypatch).rewrite() == Rewritten((), ())


def test_plans_for_different_files_are_proven_together(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in "abcdef"))
    rewritten = project.rewrite()
    assert titles(rewritten) == [f"lock {name}" for name in "abcdef"]
    assert rewritten.dropped == ()
    assert project.runs == 1


def test_rewrites_of_one_file_build_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "store.py", "a.py"), plan("b", "store.py", "b.py"))
    first, second = project.rewrite().rewrites
    assert [(change.path, change.before, change.after) for change in first.changes] == [
        ("store.py", b"", b"a\n"),
        ("a.py", b"", b"a\n"),
    ]
    assert [(change.path, change.before, change.after) for change in second.changes] == [
        ("store.py", b"a\n", b"a\nb\n"),
        ("b.py", b"", b"b\n"),
    ]


class Near:
    """What leads to some functions of a project, which may see less than all of it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.runs = 0
        self.unseen: set[str] = set()

    def view(self, overlay: Mapping[str, bytes]) -> View:
        self.runs += 1
        view = self.project.view(overlay)
        self.project.runs -= 1
        seen = [found for found in view.findings if found.fingerprint not in self.unseen]
        return View(tuple(seen), tuple(made for made in view.plans if self.unseen.isdisjoint(made.fingerprints)))

    def rewrite(self) -> Rewritten:
        project = self.project
        tree = Tree(ROOT, lambda path: project.files[path], project.view({}), project.view, {}, lambda _: self.view)
        project.runs = 0
        return rewrite(tree, project.plans)


def brings_a_race(text: str) -> Finding | None:
    return finding("new", path="b.py") if "b" in text.split() else None


def test_what_leads_to_the_functions_is_tried_and_the_whole_is_proven_once(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(plan(name, f"{name}.py", "shared.py") for name in "abcd"))
    near = Near(project)
    project.wrong = brings_a_race
    rewritten = near.rewrite()
    assert (titles(rewritten), project.runs, near.runs) == (["lock a", "lock c", "lock d"], 1, 5)
    assert [dropped.reason for dropped in rewritten.dropped] == ["it would bring AL101 lost-update in f"]
    assert rewritten == project.rewrite()


@pytest.mark.parametrize("unseen", ["new", "race-c"])
def test_the_whole_decides_where_less_does_not_see_enough(monkeypatch: pytest.MonkeyPatch, unseen: str) -> None:
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in "abcd"))
    near = Near(project)
    near.unseen.add(unseen)
    project.wrong = brings_a_race
    assert near.rewrite() == project.rewrite()
    assert project.runs == 3


def in_function(name: str, number: int) -> Plan:
    """The same plan for one file, of which it edits only one function."""
    edit = Edit("app.py", "append", {"text": name, "at": f"body[{number}].body[0]"})
    return Plan(f"lock {name}", "because", Safety.SAFE, (f"race-{name}",), (edit,), (name,))


def test_plans_for_different_functions_of_a_file_are_proven_together(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(in_function(name, number) for number, name in enumerate("abc")))
    rewritten = project.rewrite()
    assert project.runs == 1
    changes = [change for made in rewritten.rewrites for change in made.changes]
    assert [(change.before, change.after) for change in changes] == [
        (b"", b"a\n"),
        (b"a\n", b"a\nb\n"),
        (b"a\nb\n", b"a\nb\nc\n"),
    ]


def test_plans_for_different_methods_of_a_class_are_proven_together(monkeypatch: pytest.MonkeyPatch) -> None:
    edits = [
        Edit("app.py", "append", {"text": name, "at": f"body[0].body[{n}].body[0]"}) for n, name in enumerate("xy")
    ]
    plans = [Plan("lock", "because", Safety.SAFE, (f"race-{n}",), (e,), (n,)) for n, e in zip("xy", edits, strict=True)]
    project = Project(monkeypatch, *plans)
    project.files["app.py"] = b"class A:\n    def f(self): return 1\n    def g(self): return 2\n"
    assert len(project.rewrite().rewrites) == 2
    assert project.runs == 1


@pytest.mark.parametrize(("codemod", "runs"), [("define-lock", 2), ("wrap-in-lock", 2), ("wrap-rows", 1)])
def test_of_plans_that_may_choose_the_same_name_one_waits_for_the_other(
    monkeypatch: pytest.MonkeyPatch, codemod: str, runs: int
) -> None:
    edits = [Edit("app.py", codemod, {"text": name, "at": f"body[{n}].body[0]"}) for n, name in enumerate("xyz")]
    edits[2] = Edit("app.py", "wrap-rows", edits[2].arguments)
    plans = [
        Plan("lock", "because", Safety.SAFE, (f"race-{n}",), (e,), (n,)) for n, e in zip("xyz", edits, strict=True)
    ]
    project = Project(monkeypatch, *plans)
    assert len(project.rewrite().rewrites) == 3
    assert project.runs == runs


def test_plans_for_one_function_are_proven_after_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, in_function("a", 1), in_function("b", 1))
    assert titles(project.rewrite()) == ["lock a", "lock b"]
    assert project.runs == 2


def test_plans_that_do_not_end_their_races_are_tried_again_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in "abcdefgh"))
    project.wrong = lambda text: finding("race-c") if "c" in text.split() else None
    rewritten = project.rewrite()
    assert titles(rewritten) == [f"lock {name}" for name in "abdefgh"]
    assert project.runs == 3


def test_plans_that_bring_races_are_dropped_when_they_are_at_fault_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three are put off by the first run, which the others need a second for, and dropped by one more."""
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in "abcdefgh"))
    original = project.view

    def with_races(overlay: Mapping[str, bytes]) -> View:
        view = original(overlay)
        brought = [finding(f"new-{name}", path=f"{name}.py") for name in "bdf" if f"{name}.py" in overlay]
        return View((*view.findings, *brought), view.plans)

    monkeypatch.setattr(project, "view", with_races)
    rewritten = project.rewrite()
    assert titles(rewritten) == [f"lock {name}" for name in "acegh"]
    assert [dropped.problem.path for dropped in rewritten.dropped] == ["b.py", "d.py", "f.py"]
    assert {dropped.reason for dropped in rewritten.dropped} == {"it would bring AL101 lost-update in f"}
    assert project.runs == 3


def test_a_race_that_either_of_two_plans_may_bring_costs_only_the_one_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = Project(monkeypatch, in_function("a", 0), in_function("b", 1), plan("c", "c.py"))
    project.wrong = lambda text: finding("new", path="app.py") if "b" in text.split() else None
    rewritten = project.rewrite()
    assert sorted(titles(rewritten)) == ["lock a", "lock c"]
    assert [dropped.fingerprints for dropped in rewritten.dropped] == [("race-b",)]


def test_edits_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten = Project(monkeypatch, plan("a", "a.py"), plan("impossible", "b.py")).rewrite()
    assert titles(rewritten) == ["lock a"]
    (dropped,) = rewritten.dropped
    assert str(dropped.problem) == 'b.py: the fix "lock impossible" was dropped: it is impossible'
    assert dropped.fingerprints == ("race-impossible",)


@pytest.mark.parametrize("bad", range(7))
def test_one_bad_plan_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    names = "abcdefg"
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in names))
    project.wrong = lambda text: finding("new") if names[bad] in text else None
    rewritten = project.rewrite()
    assert sorted(titles(rewritten)) == [f"lock {name}" for name in names if name != names[bad]]
    assert [dropped.reason for dropped in rewritten.dropped] == ["it would bring AL101 lost-update in f"]


def test_a_new_latent_finding_is_no_objection(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "a.py"))
    project.wrong = lambda text: finding("new", Certainty.LATENT) if text else None
    assert titles(project.rewrite()) == ["lock a"]


def test_a_race_that_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "a.py"))
    project.wrong = lambda text: finding("race-a", Certainty.LATENT) if text else None
    assert [dropped.reason for dropped in project.rewrite().dropped] == ["the race is still found after it"]


def test_a_plan_that_would_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "a.py"))
    planned = project.plans
    original = project.view
    monkeypatch.setattr(project, "view", lambda overlay: View(original(overlay).findings, planned))
    assert [dropped.reason for dropped in project.rewrite().dropped] == ["a second run would change the result again"]


def test_a_plan_without_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "a.py"))
    monkeypatch.setattr("autolock.rewrite.apply_edits", lambda source, edits, codemods: source)
    assert [dropped.reason for dropped in project.rewrite().dropped] == ["its edits change nothing"]


def test_a_plan_that_another_one_overtakes(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "x.py"), plan("b", "x.py"))
    original = project.view

    def without_b(overlay: Mapping[str, bytes]) -> View:
        view = original(overlay)
        return View(view.findings, tuple(made for made in view.plans if made.locations != ("b",) or not overlay))

    monkeypatch.setattr(project, "view", without_b)
    rewritten = project.rewrite()
    assert titles(rewritten) == ["lock a"]
    assert [dropped.reason for dropped in rewritten.dropped] == ["it does not go together with another fix"]


def test_a_file_that_cannot_be_read_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, plan("a", "a.py"))

    def gone(path: str) -> bytes:
        raise OSError(f"{path}: does not exist")

    tree = Tree(ROOT, gone, project.view({}), project.view, {})
    assert [dropped.reason for dropped in rewrite(tree, project.plans).dropped] == ["a.py: does not exist"]


def test_whoever_chooses_sees_the_findings_and_one_fix_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(plan(name, f"{name}.py") for name in "abc"))
    seen: list[tuple[str, list[str]]] = []

    def choose(made: Rewrite, findings: tuple[Finding, ...]) -> Rewrite | None:
        seen.append((made.title, [found.fingerprint for found in findings]))
        return None if made.title == "lock b" else made

    assert titles(project.rewrite(choose)) == ["lock a", "lock c"]
    assert seen == [("lock a", ["race-a"]), ("lock b", ["race-b"]), ("lock c", ["race-c"])]


def test_quitting_keeps_what_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(monkeypatch, *(plan(name, "x.py") for name in "abc"))

    def choose(made: Rewrite, findings: tuple[Finding, ...]) -> Rewrite | None:
        if made.title == "lock b":
            raise Quit
        return made

    rewritten = project.rewrite(choose)
    assert titles(rewritten) == ["lock a"]
    assert rewritten.dropped == ()
