"""The templates of a run: tried before it begins, kept in its directory, the same after every resume."""

from __future__ import annotations

from pathlib import Path

from marlsmith.agents.rehearsal import rehearse
from marlsmith.agents.settings import BUILT_IN, NOBODY, RoleSettings
from marlsmith.prompts import Prompts
from marlsmith.schemas import UserError

DIRECTORY = "prompts"


def prompts_of(settings: RoleSettings, run: Path | None) -> Prompts:
    """The templates as the settings name them, relative to the run's directory where there is one.

    Raises UserError: before a run for a template that fails on an example, and in one that has begun
    for templates that have changed since, whoever changed them.
    """
    own = (run or Path()) / settings.prompts if settings.prompts else None
    prompts = Prompts(own)
    _require_version(prompts, settings, own, run)
    if run is None and own is not None:
        rehearse(prompts)
    return prompts


def keep_prompts(settings: RoleSettings, run: Path) -> RoleSettings:
    """Settings that need nothing but the run's directory: all templates in effect are copied there.

    A later version of ours, with other words in them, can go on with the run. A replay's templates come from
    the run that it repeats.
    """
    if set(settings.players) <= {*BUILT_IN, NOBODY}:
        return settings
    begun = Path(settings.replay) if settings.replay else None
    source = (begun or Path()) / settings.prompts if settings.prompts else None
    prompts = Prompts(source)
    _require_version(prompts, settings, source, begun)
    prompts.write(run / DIRECTORY)
    return settings.model_copy(update={"prompts": DIRECTORY, "prompts_version": prompts.version})


def _require_version(prompts: Prompts, settings: RoleSettings, own: Path | None, run: Path | None) -> None:
    if settings.prompts_version not in (None, prompts.version):
        remedy = f"put those in {own} back" if own else "take the version of marlsmith that wrote it"
        raise UserError(
            f"the prompts are not those that {run} began with ({prompts.version}, not {settings.prompts_version}): "
            f"{remedy}, or start a new run"
        )
