"""marlsmith.toml and the command line's words: strict, one sentence for every mistake, and never a key in one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from marlsmith.agents.config import Choice, limited, read_config, role_settings
from marlsmith.agents.settings import Budget, Limits, ModelSettings, Price, RoleSettings
from marlsmith.schemas import UserError

SECRET = "sk-proj-8fJ2kLmQ9xYzAbCdEfGh"
WHOLE = """
[models.fast]
model = "qwen3-coder"
base_url = "http://localhost:11434/v1/"
key = "LOCAL_KEY"
temperature = 1
reasoning_effort = "low"
max_tokens = 4000
timeout = 60
requests_per_minute = 30
parallel = 2
tools = false
price = { input = 0.5, output = 1, cached = 0.1 }
extra_body = { top_k = 20 }

[models."gpt 5"]
model = "gpt-5"

[models.unused]
model = "x"

[roles]
generator = ["fast", "offline", "gpt 5"]
critic = "gpt 5"
validator = "manual"
manual_seconds = 600
prompts = "mine"

[budget]
tokens = 2_000_000
money = 5.5

[budget.generator]
calls = 100
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def written(text: str, directory: Path = Path()) -> Path:
    file = directory / "marlsmith.toml"
    file.write_text(text)
    return file


# ---------------------------------------------------------------- what is read


def test_without_a_file_and_options_everything_is_offline() -> None:
    assert role_settings(Choice()) == RoleSettings()


def test_the_whole_file(tmp_path: Path) -> None:
    """Found in the current directory; only the models in play travel with the run; paths are beside the file."""
    written(WHOLE)
    (tmp_path / "mine").mkdir()
    settings = role_settings(Choice())
    assert settings.generators == ("fast", "offline", "gpt 5")
    assert (settings.critic, settings.validator, settings.manual_seconds) == ("gpt 5", "manual", 600)
    assert settings.prompts == str(tmp_path / "mine")
    assert settings.models == {
        "fast": ModelSettings(
            model="qwen3-coder",
            base_url="http://localhost:11434/v1",
            key_variable="LOCAL_KEY",
            temperature=1,
            reasoning_effort="low",
            max_tokens=4000,
            timeout=60,
            requests_per_minute=30,
            parallel=2,
            tools=False,
            price=Price(input=0.5, output=1, cached=0.1),
            extra_body={"top_k": 20},
        ),
        "gpt 5": ModelSettings(model="gpt-5"),
    }
    assert settings.budget == Budget(run=Limits(tokens=2_000_000, money=5.5), generator=Limits(calls=100))


def test_a_file_elsewhere_names_paths_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "project" / "mine").mkdir(parents=True)
    file = written('[roles]\nprompts = "mine"\n', tmp_path / "project")
    assert role_settings(Choice(config=file)).prompts == str(tmp_path / "project" / "mine")
    (tmp_path / "project" / "mine").rmdir()
    with pytest.raises(UserError, match="mine is no directory"):
        role_settings(Choice(config=file))


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    written(WHOLE)
    (tmp_path / "mine").mkdir()
    budget = ("tokens=10", "critic.money=1.5", "generator.calls=none")
    settings = role_settings(Choice(generators=("offline",), critic="fast", no_validator=True, budget=budget))
    assert (settings.generators, settings.critic, settings.validator) == (("offline",), "fast", "none")
    assert list(settings.models) == ["fast"]
    assert settings.budget == Budget(run=Limits(tokens=10, money=5.5), critic=Limits(money=1.5))


def test_models_by_address_go_by_their_name_unless_that_is_taken() -> None:
    specs = ("qwen@http://one/v1", "qwen@http://two/v1", "offline")
    settings = role_settings(Choice(generators=specs, critic="qwen@http://one/v1"))
    assert settings.generators == ("qwen", "qwen@http://two/v1", "offline")
    assert settings.critic == "qwen"
    assert {name: model.base_url for name, model in settings.models.items()} == {
        "qwen": "http://one/v1",
        "qwen@http://two/v1": "http://two/v1",
    }


def test_a_name_of_the_file_stays_the_files(tmp_path: Path) -> None:
    """A model of the same name at another address must not take its place."""
    written('[models.qwen]\nmodel = "qwen-large"\nbase_url = "http://one/v1"\n')
    settings = role_settings(Choice(generators=("qwen", "qwen@http://two/v1")))
    assert settings.models["qwen"].model == "qwen-large"
    assert settings.models["qwen@http://two/v1"].base_url == "http://two/v1"


def test_the_variable_stands_in_for_an_address_in_the_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is written out: a resume from another shell must reach the same model."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy/v1/")
    written('[models.fast]\nmodel = "x"\n[roles]\ngenerator = "fast"\n')
    assert role_settings(Choice()).models["fast"].base_url == "http://proxy/v1"


def test_settings_survive_their_way_into_run_toml(tmp_path: Path) -> None:
    import tomllib

    from marlsmith.graph import toml

    written(WHOLE)
    (tmp_path / "mine").mkdir()
    settings = role_settings(Choice())
    assert RoleSettings.model_validate(tomllib.loads(toml.dumps(settings.model_dump(mode="json")))) == settings


# ---------------------------------------------------------------- mistakes in the file

MODEL = '[models.fast]\nmodel = "x"\n'
MISTAKES = {
    "no TOML": ("[models.fast\n", ["not TOML", "line 1"]),
    "unknown table": ("[model.fast]\nmodel = 'x'\n", ["there is no model", "did you mean [models.NAME]?"]),
    "unknown far table": ("[zzz]\n", ["there is no zzz", "write [models.NAME], [roles] or [budget]"]),
    "table is a value": ("budget = 5\n", ["budget is a value", "[budget]"]),
    "model is a value": ('[models]\nfast = "x"\n', ["models.fast is a value", "[models.fast]"]),
    "unknown field": (MODEL + "temprature = 1\n", ["no models.fast.temprature", "did you mean temperature?"]),
    "unknown far field": (MODEL + "zzz = 1\n", ["no models.fast.zzz", "known are model, base_url, key,"]),
    "our word for the key": (MODEL + 'key_variable = "X"\n', ["no models.fast.key_variable", "write key"]),
    "misspelt, and so missing": ("[models.fast]\nmodle = 'x'\n", ["no models.fast.modle", "did you mean model?"]),
    "no model": ("[models.fast]\ntemperature = 1\n", ["models.fast needs model"]),
    "empty model": ('[models.fast]\nmodel = " "\n', ["models.fast.model is empty"]),
    "text for a number": (MODEL + 'timeout = "30"\n', ["models.fast.timeout is '30'", "valid number"]),
    "text for yes": (MODEL + 'tools = "yes"\n', ["models.fast.tools is 'yes'", "valid boolean"]),
    "too hot": (MODEL + "temperature = 3\n", ["models.fast.temperature is 3", "less than or equal to 2"]),
    "no time": (MODEL + "timeout = nan\n", ["models.fast.timeout is nan"]),
    "half a price": (MODEL + "price = { input = 1 }\n", ["models.fast.price needs output"]),
    "unknown price": (MODEL + "price = { in = 1, output = 2 }\n", ["no models.fast.price.in", "known are input,"]),
    "misspelt price": (
        MODEL + "price = { input = 1, ouput = 2 }\n",
        ["no models.fast.price.ouput", "did you mean output?"],
    ),
    "a number for a price": (MODEL + "price = 3\n", ["models.fast.price is 3: write a table, as in {"]),
    "a number for fields": (MODEL + "extra_body = 3\n", ["models.fast.extra_body is 3: write a table, as in {"]),
    "reserved name": ('[models.manual]\nmodel = "x"\n', ["models.manual cannot be called so"]),
    "address in a name": ('[models."a@b"]\nmodel = "x"\n', ["cannot be called so"]),
    "no address": (MODEL + 'base_url = "localhost:80"\n', ["models.fast.base_url", "no http(s) address"]),
    "password": (MODEL + 'base_url = "http://me:pw@host/v1"\n', ["models.fast.base_url", "carries a password"]),
    "query": (MODEL + 'base_url = "http://host/v1?key=abc"\n', ["models.fast.base_url", "after a ? or #"]),
    "unknown player": (MODEL + '[roles]\ncritic = "fsat"\n', ["roles.critic = 'fsat'", "none of its models (fast)"]),
    "several critics": (
        '[roles]\ncritic = ["a", "a"]\n',
        ["roles.critic is ['a', 'a']: only the generator may be a list, write one name"],
    ),
    "generator of a wrong type": (
        "[roles]\ngenerator = 3\n",
        ["roles.generator is 3: write a name or a list of names"],
    ),
    "generators of a wrong type": (
        '[roles]\ngenerator = ["offline", 3]\n',
        ["roles.generator is ['offline', 3]: write a name or a list of names"],
    ),
    "player of a wrong type": ("[roles]\ncritic = 3\n", ["roles.critic is 3"]),
    "no generators": (MODEL + "[roles]\ngenerator = []\n", ["roles.generator", "empty"]),
    "same generator twice": ('[roles]\ngenerator = ["manual", "manual"]\n', ["manual is named twice"]),
    "generator left out": ('[roles]\ngenerator = "none"\n', ["roles.generator is 'none'", "only the validator"]),
    "unknown role": ('[roles]\njudge = "offline"\n', ["no roles.judge"]),
    "budget of nobody": ("[budget.judge]\ncalls = 1\n", ["no budget.judge", "[budget.generator]"]),
    "budget of the run": ("[budget.run]\ncalls = 1\n", ["no budget.run", "write [budget]"]),
    "half a call": ("[budget]\ncalls = 1.5\n", ["budget.calls is 1.5"]),
    "debt": ("[budget.critic]\nmoney = -1\n", ["budget.critic.money is -1", "greater than or equal to 0"]),
    "unknown limit": ("[budget]\ntoken = 1\n", ["no budget.token", "did you mean tokens?"]),
    "for ever": (MODEL + "timeout = 1e10\n", ["models.fast.timeout is 10000000000.0", "equal to 86400"]),
    "a person for ever": ("[roles]\nmanual_seconds = 1e9\n", ["roles.manual_seconds is 1000000000.0"]),
    "hardly ever": (MODEL + "requests_per_minute = 1e-9\n", ["models.fast.requests_per_minute is 1e-09", "0.1"]),
    "too often": (MODEL + "requests_per_minute = 1e300\n", ["models.fast.requests_per_minute is 1e+300"]),
    "no price": (MODEL + "price = { input = nan, output = 1 }\n", ["models.fast.price.input is nan"]),
    "they pay": (MODEL + "price = { input = -1.0, output = 1 }\n", ["models.fast.price.input is -1.0"]),
    "all the money": (MODEL + "price = { input = 1, output = 1e300 }\n", ["models.fast.price.output is 1e+300"]),
    "beyond price": (MODEL + "price = { input = 1, output = inf }\n", ["models.fast.price.output is inf"]),
    "no such budget": ("[budget]\nmoney = nan\n", ["budget.money is nan"]),
    "too much": ("[budget]\ntokens = 10_000_000_000_000\n", ["budget.tokens is 10000000000000"]),
    "more than can be written": (
        MODEL + f"max_tokens = 0x{'f' * 5000}\n",
        ["models.fast.max_tokens is a number of too many digits", "less than or equal"],
    ),
    "more than can be read": (MODEL + f"max_tokens = {'9' * 5000}\n", ["a number of too many digits: shorten it"]),
    "a date for JSON": (MODEL + "extra_body = { a = [1979-05-27] }\n", ["models.fast.extra_body: it holds a date"]),
    "no number for JSON": (MODEL + "extra_body = { a = { b = nan } }\n", ["models.fast.extra_body: it holds a number"]),
    "a number for nobody": (
        MODEL + f"extra_body = {{ a = 0x{'f' * 5000} }}\n",
        ["it holds a number of too many digits"],
    ),
    "deep fields": (MODEL + f"extra_body = {{ a = {'[' * 40}{']' * 40} }}\n", ["extra_body: it nests too deep"]),
    "a setting in disguise": (
        MODEL + 'extra_body = { max_completion_tokens = 5, secret = "hushhush" }\n',
        ["models.fast.extra_body: max_completion_tokens has a setting of its own, write max_tokens"],
    ),
    "deep arrays": (f"x = {'[' * 5000}{']' * 5000}\n", ["nests too deep"]),
    "deep tables": (f"{'a.' * 5000}a = 1\n", ["nests too deep"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_with_file_place_and_remedy(mistake: str) -> None:
    text, words = MISTAKES[mistake]
    written(text)
    with pytest.raises(UserError) as refusal:
        role_settings(Choice())
    sentence = str(refusal.value)
    assert "\n" not in sentence
    assert "hushhush" not in sentence
    for word in ["marlsmith.toml", *words]:
        assert word in sentence, sentence


@pytest.mark.parametrize("name", ["messages", "response_format", "stream", "n", "tools", "tool_choice", "model"])
def test_no_further_field_undoes_what_is_asked(name: str) -> None:
    written(MODEL + f"extra_body = {{ {name} = 1, seed = 7 }}\n")
    with pytest.raises(UserError, match=f"models.fast.extra_body: {name} (has a setting of its own|is written with)"):
        role_settings(Choice(critic="fast"))
    with pytest.raises(ValidationError):  # from a run.toml too
        ModelSettings(model="x", extra_body={name: 1})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.toml cannot be read \(no such file or directory\)"):
        role_settings(Choice(config=Path("gone.toml")))
    with pytest.raises(UserError, match="cannot be read"):
        role_settings(Choice(config=tmp_path))
    os.mkfifo("pipe")
    for endless in (Path("pipe"), Path("/dev/zero")):
        with pytest.raises(UserError, match=f"{endless} is no plain file"):
            role_settings(Choice(config=endless))
    with Path("large.toml").open("wb") as large:
        large.truncate(100_000_000)
    with pytest.raises(UserError, match=r"large\.toml is larger than 1,000,000 bytes"):
        role_settings(Choice(config=Path("large.toml")))
    Path("latin.toml").write_bytes(b'[models.fast]\nmodel = "\xff"\n')
    with pytest.raises(UserError, match="not UTF-8"):
        read_config(Path("latin.toml"))


@pytest.mark.parametrize(
    "text",
    [
        f'[models.fast]\nmodel = "x"\nkey = "{SECRET}"\n',
        '[models.fast]\nmodel = "x"\nkey = "gsk_8fJ2kLmQ9xYzAbCdEfGh8fJ2"\n',
        '[models.fast]\nmodel = "x"\nkey = "8fJ2kLmQ9xYzAbCdEfGh8fJ2"\n',
        '[models.fast]\nmodel = "x"\nkey = "aFJ2kLmQ9xYzAbCdEfGh8fJ2"\n',
        '[models.fast]\nmodel = "x"\nkey = "a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5"\n',
        f'[models.fast]\nmodel = "x"\napi_key = "{SECRET}"\n',
        f'[models.fast]\nmodel = "x"\nbase_url = "{SECRET}"\n',
        f'[models.fast]\nmodel = "{SECRET}"\n',
        f'[models."{SECRET}"]\nmodel = "x"\n',
        f'[models.fast]\nmodel = "x"\nextra_body = {{ headers = {{ Authorization = "Bearer {SECRET}" }} }}\n',
        f'[roles]\ncritic = "{SECRET}"\n',
        f'[roles]\ngenerator = ["offline", "m@{SECRET}"]\n',
        f'key = "{SECRET}"\n',
        f"[models.fast]\nkey = {SECRET}\n",
    ],
)
def test_a_key_in_the_file_is_refused_and_not_quoted(text: str) -> None:
    written(text)
    with pytest.raises(UserError) as refusal:
        role_settings(Choice())
    sentence = str(refusal.value)
    assert "marlsmith.toml" in sentence
    for secret in (SECRET, "8fJ2kLmQ9x", "FJ2kLmQ9xYz", "a0b1c2d3"):
        assert secret not in sentence


@pytest.mark.parametrize("name", ["GROQ_API_KEY", "my_key", "OPENAI_API_KEY_OF_PROJECT_2", "my_openai_key_for_team_2"])
def test_names_of_variables_are_taken(name: str) -> None:
    file = written(f'[models.fast]\nmodel = "x"\nkey = "{name}"\n')
    assert read_config(file).models["fast"].key_variable == name


# ---------------------------------------------------------------- mistakes on the command line


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice(no_validator=True, validator="offline"), ["--no-validator", "contradict"]),
        (Choice(generators=("offline", "offline")), ["offline is named twice"]),
        (Choice(generators=("m@http://a/v1", "m@http://a/v1")), ["m is named twice"]),
        (Choice(critic="none"), ["--critic is 'none'", "only the validator"]),
        (Choice(generators=("ofline",)), ["--generator ofline", "did you mean offline?"]),
        (Choice(critic=SECRET), ["--critic seems to hold a key", "OPENAI_API_KEY"]),
        (Choice(generators=(f"gpt@{SECRET}",)), ["--generator seems to hold a key", "OPENAI_API_KEY"]),
        (Choice(no_validator=True, validator=SECRET), ["--no-validator", "contradict"]),
        (Choice(critic="fsat"), ["--critic fsat", "did you mean fast?", "MODEL@BASE_URL"]),
        (Choice(critic="zzz"), ["zzz", "MODEL@BASE_URL", "marlsmith.toml lists fast"]),
        (Choice(prompts=Path("gone")), ["gone is no directory"]),
    ],
)
def test_contradictions_and_unknown_words(choice: Choice, words: list[str]) -> None:
    written(MODEL)
    with pytest.raises(UserError) as refusal:
        role_settings(choice)
    for word in words:
        assert word in str(refusal.value), refusal.value
    assert SECRET not in str(refusal.value)


def test_a_misspelt_role_is_no_hosted_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    with pytest.raises(UserError, match="did you mean manual"):
        role_settings(Choice(critic="manuel"))
    assert role_settings(Choice(critic="gpt-5")).models == {"gpt-5": ModelSettings(model="gpt-5")}


@pytest.mark.parametrize(("said", "meant"), [("alfa", "alpha"), ("ALPHA", "alpha"), ("beta2", "Beta-2")])
def test_a_misspelt_name_of_the_file_is_no_hosted_model(monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    written('[models.alpha]\nmodel = "x"\n[models."Beta-2"]\nmodel = "y"\n')
    with pytest.raises(UserError, match=f"--generator {said} .*did you mean {meant}"):
        role_settings(Choice(generators=(said,)))
    by_address = role_settings(Choice(generators=(f"{said}@https://api.openai.com/v1",)))
    assert by_address.models[said].model == said
    assert role_settings(Choice(critic="gpt-5")).critic == "gpt-5"


# ---------------------------------------------------------------- budgets


def test_budgets_are_changed_one_by_one() -> None:
    before = Budget(run=Limits(tokens=5, money=1.0), critic=Limits(calls=2))
    after = limited(before, ["tokens=2e6", "critic.calls=none", "validator.money=0.25", "generator.tokens=1_000"])
    assert after == Budget(
        run=Limits(tokens=2_000_000, money=1.0), generator=Limits(tokens=1000), validator=Limits(money=0.25)
    )
    assert limited(before, []) == before


@pytest.mark.parametrize(
    "pair",
    [
        "tokens",
        "token=1",
        "tokens=",
        "tokens=-1",
        "calls=1.5",
        "money=inf",
        "money=nan",
        "judge.calls=1",
        "run.calls=1",
    ],
)
def test_budgets_that_say_nothing(pair: str) -> None:
    with pytest.raises(UserError, match=f"--budget {pair}"):
        limited(Budget(), [pair])
