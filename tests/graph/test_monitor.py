"""Alarms of the main run, and both ends of its curve."""

from __future__ import annotations

import numpy as np
import pytest

from marlsmith.graph.judging.monitor import PeakAndFinal, hacked, peak_and_final

GOOD = (0.80, 0.85, 0.90, 0.75, 0.80, 0.70, 0.95, 0.85)
LOSS = np.array([0.2, 0.3, 0.25, 0.1, 0.3, 0.2, 0.4, 0.3])


def less(loss: np.ndarray) -> tuple[float, ...]:
    return tuple((np.array(GOOD) - loss).tolist())


def test_more_pay_for_worse_play_is_reward_hacking() -> None:
    alarm = hacked(GOOD, less(LOSS), 3.0, 4.5, level=0.05)
    assert alarm is not None
    assert alarm.kind == "reward hacking"
    assert alarm.drop == pytest.approx(LOSS.mean())
    assert "fell by 0.256 below the last good checkpoint (over 8 seeds" in alarm.reason
    assert "the shaped return went from 3 to 4.5: the signal pays for something else" in alarm.reason


@pytest.mark.parametrize("shaped_now", [3.0, 2.5, -10.0])
def test_worse_play_without_more_pay_is_a_collapse(shaped_now: float) -> None:
    alarm = hacked(GOOD, less(LOSS), 3.0, shaped_now, level=0.05)
    assert alarm is not None
    assert alarm.kind == "collapse"
    assert "the training broke down" in alarm.reason


@pytest.mark.parametrize("shaped_now", [1.0, 9.0])
@pytest.mark.parametrize(
    "loss",
    [LOSS * 0, -LOSS, LOSS * np.array([1, -1, 1, -1, 1, -1, 1, -1]), np.array([0.7] + [0.0] * 7)],
    ids=["equal", "better", "mixed", "one seed"],
)
def test_no_alarm_without_a_proven_fall(loss: np.ndarray, shaped_now: float) -> None:
    assert hacked(GOOD, less(loss), 3.0, shaped_now, level=0.05) is None


def test_the_level_is_that_of_one_look() -> None:
    """Seven of eight seeds fall and one rises as much: 9 of 256 ways of the signs."""
    loss = np.array([0.3] * 7 + [-0.3]) + np.arange(8) * 1e-4
    assert hacked(GOOD, less(loss), 0.0, 1.0, level=0.05) is not None
    assert hacked(GOOD, less(loss), 0.0, 1.0, level=0.05 / 6) is None


def test_false_alarms_are_as_rare_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    alarms = [
        hacked(*(rng.binomial(50, 0.9, 8) / 50 for _ in range(2)), 0.0, 1.0, level=0.05) is not None for _ in range(600)
    ]
    assert np.mean(alarms) <= 0.05 + 2.5 * (0.05 * 0.95 / 600) ** 0.5


def test_peak_and_final_of_a_curve() -> None:
    found = peak_and_final([(0, 0.0), (20_000, 0.7), (40_000, 0.9), (60_000, 0.9), (80_000, 0.6)])
    assert found == PeakAndFinal(peak=0.9, peak_steps=40_000, final=0.6)
    assert found.drop == pytest.approx(0.3)
    assert peak_and_final([(0, -3.0)]) == PeakAndFinal(-3.0, 0, -3.0)
    with pytest.raises(ValueError, match="without points"):
        peak_and_final([])
