"""What a generator is told of the run so far."""

from __future__ import annotations

from pathlib import Path

from graph_fakes import Equipment, FakeExecutor, ScriptedGenerator, make_settings, proposal, weight_of

from marlsmith.graph.run import start


def test_the_past_tells_of_every_candidate_what_came_of_it(tmp_path: Path) -> None:
    script = {
        (1, 0): [proposal(1), proposal(50), proposal(3)],
        (1, 1): [proposal(60)],
        (2, 0): [proposal(2), proposal(4), proposal(5)],
    }
    generator = ScriptedGenerator(script)
    executor = FakeExecutor(
        unsound=lambda signal: weight_of(signal) >= 50, failing=lambda request: request.candidate == "s1r2c2", noise=0
    )
    list(start(make_settings(rounds=3), Equipment(executor, generator), tmp_path / "run"))
    assert generator.briefs[0].past == ()
    told = {entry.id: entry for entry in generator.briefs[-1].past}
    assert list(told) == ["s1r1c1", "s1r1c2", "s1r1c3", "s1r1c2-fix1", "s1r2c1", "s1r2c2", "s1r2c3"]
    assert [id for id, entry in told.items() if entry.leads] == ["s1r1c1", "s1r1c3", "s1r2c3"]
    assert told["s1r1c2"].refused == "refused by the executor: not a number"
    assert told["s1r1c2"].score is told["s1r1c2"].gain is None
    assert told["s1r2c2"].refused == "failed: crash: it crashed"
    assert told["s1r2c3"].score is not None
    assert told["s1r2c3"].summary.startswith("reward: approach(nearest) x5 (alpha 0.5). try 5.000")
