"""Who plays whom."""

from __future__ import annotations

from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import ModelSettings, RoleSettings


def test_roles_with_the_same_model_share_its_endpoint() -> None:
    models = {"m": ModelSettings(model="m", base_url="http://localhost:1/v1")}
    cast = make_roles(RoleSettings(generators=("m",), validator="m", models=models))
    assert (cast.roles.generators[0].name, cast.roles.validator.name) == ("m", "m")
    assert len(cast.endpoints) == 1
    assert cast.accounts.spent().calls == 0
    assert make_roles(RoleSettings(models=models)).endpoints == ()
