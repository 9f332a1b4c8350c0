"""Templates of one's own: what is wrong with them is said before a run begins, and they can do no harm."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import ModuleType

import pytest

from marlsmith.agents.rehearsal import CARD, examples, questions, rehearse
from marlsmith.agents.settings import RoleSettings
from marlsmith.agents.templates import prompts_of
from marlsmith.prompts import MOST_BYTES, OURS, Prompts
from marlsmith.schemas import UserError


def write(directory: Path, **templates: str) -> Path:
    """`critic__user="..."` is critic/user.md."""
    for name, source in templates.items():
        file = directory / f"{name.replace('__', '/')}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
    return directory


def checked(directory: Path) -> Prompts:
    """As before a run."""
    return prompts_of(RoleSettings(prompts=str(directory)), None)


def test_a_template_takes_the_place_of_ours_wherever_it_is_included(tmp_path: Path, records: ModuleType) -> None:
    own = checked(write(tmp_path, critic__system="You are terse.", parts__quoted="Believe nothing."))
    assert own.render("critic/system") == "You are terse."
    assert "Believe nothing." in own.render("critic/user", brief=records.diagnosis_brief())
    assert own.render("validator/system") == Prompts().render("validator/system")
    assert own.overridden == ("critic/system", "parts/quoted")


def test_the_version_is_that_of_the_words_and_not_of_the_files(tmp_path: Path) -> None:
    ours = Prompts()
    copied, changed = tmp_path / "copied", tmp_path / "changed"
    ours.write(copied)
    assert Prompts(copied).version == ours.version
    assert Prompts(write(changed, critic__system="You are terse.")).version != ours.version
    Prompts(changed).write(tmp_path / "kept")
    assert Prompts(tmp_path / "kept").overridden == ("critic/system",)
    assert Prompts(tmp_path / "kept").version == Prompts(changed).version


def test_templates_are_read_once(tmp_path: Path) -> None:
    own = Prompts(write(tmp_path, critic__system="You are terse."))
    version = own.version
    write(tmp_path, critic__system="{% broken")
    assert own.render("critic/system") == "You are terse."
    assert own.version == version


def test_readmes_and_hidden_files_are_no_templates(tmp_path: Path) -> None:
    write(tmp_path, README="Mine.", critic__system="Terse.")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    assert checked(tmp_path).overridden == ("critic/system",)


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("critic__sytem", "x", r"critic/sytem\.md takes no template's place: name it as one of .*critic/system\.md"),
        ("critic__system", "a\n{% if %}", r"critic/system\.md, line 2: Expected an expression"),
        ("critic__system", "a\n{{ breif.stage }}", r"critic/system\.md, line 2: there is no field 'breif'"),
        ("critic__user", "a\n{{ breif.stage }}", r"line 2: there is no field 'breif': use .*brief"),
        ("critic__user", "a\n\n{{ brief.stadium }}", r"critic/user\.md, line 3: .*no attribute 'stadium'"),
        ("critic__user", '{% include "critic/usr.md" %}', r"critic/user\.md, line 1: .*critic/usr\.md"),
        ("critic__user", "{{ brief.stage | upcase }}", r"critic/user\.md, line 1: No filter named 'upcase'"),
        ("critic__user", "a\n{{ brief | number }}", r"critic/user\.md, line 2: "),
        ("generator__feedback", "{{ brief.elites[7].code }}", r"generator/feedback\.md, line 1: "),
        ("parts__evaluation", "nothing", r"parts/evaluation\.md.* does not export .*'outcome'"),
        ("answer__repair", "{{ flaw }}", r"answer/repair\.md, line 1: there is no field 'flaw': use fault"),
    ],
)
def test_what_is_wrong_with_a_template_is_said_before_the_run(
    tmp_path: Path, name: str, source: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as raised:
        checked(write(tmp_path, **{name: source}))
    assert "\n" not in str(raised.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no directory"):
        Prompts(tmp_path / "absent")
    file = tmp_path / "critic" / "system.md"
    write(tmp_path, critic__system="x" * (MOST_BYTES + 1))
    with pytest.raises(UserError, match="more than 200,000 bytes"):
        Prompts(tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not UTF-8"):
        Prompts(tmp_path)


def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    """A directory of somebody else's must not send the user's files to an endpoint."""
    (tmp_path / "secret").write_text("secret")
    write(tmp_path / "own", critic__user="x")
    (tmp_path / "own" / "critic" / "system.md").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="put a copy in its place"):
        Prompts(tmp_path / "own")


class Bomb:
    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.fuse,))


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ brief.__class__.__init__.__globals__ }}",
        "{{ brief.parse_file('/etc/passwd') }}",
        "{{ brief.model_fields }}",
        "{{ brief.model_copy }}",
        "{{ brief.task.construct() }}",
        "{{ brief.elites.__class__ }}",
        "{{ (fence or brief).__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{% include '../../../../../../etc/passwd' %}",
        "{{ range(10 ** 9) | list }}",
        "{% set _ = brief.evidence.update({'score': 1}) %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(tmp_path: Path, attack: str) -> None:
    with pytest.raises(UserError, match=r"critic/user\.md, line 1: "):
        checked(write(tmp_path, critic__user=attack))


def test_a_template_cannot_load_a_pickle(tmp_path: Path) -> None:
    """Which pydantic's own methods would."""
    fuse = tmp_path / "fuse"
    bomb = pickle.dumps(Bomb(fuse)).decode("latin-1").encode("unicode_escape").decode()
    call = f"brief.parse_raw('{bomb}'.encode('latin-1'), proto='pickle', allow_pickle=true)"
    with pytest.raises(UserError, match="unsafe"):
        checked(write(tmp_path / "own", critic__user=f"{{{{ {call} }}}}"))
    assert not fuse.exists()


def test_our_own_templates_pass_what_those_of_others_must() -> None:
    rehearse(Prompts())
    asked = {question.role for brief in examples(CARD) for question in questions(brief, Prompts())}
    assert asked == {"generator", "critic", "validator"}
    assert {f"{name}.md" for name in Prompts().names} == {p.relative_to(OURS).as_posix() for p in OURS.rglob("*.md")}
