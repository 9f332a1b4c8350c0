"""Pictures for a page: they say in words what they show, carry no colours of their own, and cannot clash."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes

from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.results.page import plots
from marlsmith.results.page.plots import Line, curves, laps, terms
from marlsmith.schemas import CurvePoint, Evaluation, TermStatistics

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>&\"'$x_1$"


def points(*columns: Sequence[float], mean: float | None = None) -> list[CurvePoint]:
    """One point for each column of scores; an empty one is of a run that kept none."""
    return [
        CurvePoint(
            steps=1000 * (place + 1),
            score=sum(scores) / len(scores) if mean is None else mean,
            native_return=0.0,
            shaped_return=0.0,
            scores=tuple(scores),
        )
        for place, scores in enumerate(columns)
    ]


def evaluation(candidate: str, score: float, **shares: float) -> Evaluation:
    found = {name: TermStatistics(mean=1.0, spread=0.1, share=share) for name, share in shares.items()}
    return Evaluation(candidate=candidate, branch=candidate, seeds=(0,), steps=1, score=score, terms=found)


def lap(stage: int, score: float | None, back: int | None = None) -> dict[str, object]:
    interval = None if score is None else [score - 0.1, score + 0.1]
    return {"stage": stage, "steps": 1000 * stage, "score": score, "interval": interval, "rolled_back_to": back}


NATIVE = Line("native", points((0.1, 0.2, 0.1), (0.2, 0.3, 0.1)), "native")
BEST = Line("s1r1c1", points((0.1, 0.2, 0.1), (0.9, 1.0, 0.8)), "best")
OTHER = Line("s1r1c2", points((0.1, 0.2, 0.1), (0.4, 0.5, 0.6)), "other")
PICTURES = {
    "curves": lambda: curves([NATIVE, BEST, OTHER], "coverage"),
    "laps": lambda: laps([lap(0, 0.1), lap(1, 0.5), lap(2, 0.4, back=0)], [{"stage": 1, "candidate": "s1r2c1"}]),
    "terms": lambda: terms([evaluation("s1r1c1", 0.5, near=0.75, arrived=0.25)]),
}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter(f"{SVG}text")]


def told(svg: str) -> str:
    found = parsed(svg).find(f"{SVG}desc")
    assert found is not None
    return found.text or ""


def bands(svg: str) -> int:
    return len(re.findall(r"fill-opacity: 0\.2\b", svg))


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_an_element_of_a_page_that_needs_nothing_else(kind: str) -> None:
    svg = PICTURES[kind]()
    root = parsed(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    named = {element.get("id"): element for element in root}
    title, description = (root.get("aria-labelledby") or "").split()
    assert (named[title].tag, named[description].tag) == (f"{SVG}title", f"{SVG}desc")
    assert len(named[description].text or "") > 40
    assert not svg.startswith("<?xml")
    assert "<!DOCTYPE" not in svg
    assert {element.tag.removeprefix(SVG) for element in root.iter()}.isdisjoint({"style", "script", "image"})
    assert re.findall(r"https?://[^\"]*", svg) == ["http://www.w3.org/2000/svg"]
    assert svg == PICTURES[kind](), "the same picture from the same numbers"


@pytest.mark.parametrize("kind", PICTURES)
def test_colours_and_letters_are_those_of_the_page(kind: str) -> None:
    svg = PICTURES[kind]()
    outside = re.sub(r"var\(--plot-[a-z]+, #[0-9a-f]{6}\)", "", svg)
    assert "var(--plot-" in svg
    assert "currentColor" in svg
    assert re.findall(r"#[0-9a-fA-F]{6}\b", outside) == []
    assert "font-family" not in svg.replace("font-family: inherit", "")
    sizes = [float(size) for size in re.findall(r"font-size: ([0-9.]+)px", svg)]
    width = float((parsed(svg).get("viewBox") or "").split()[2])
    assert min(sizes) * 340 / width > 8.5, "legible on a phone"


def test_several_pictures_fit_one_page() -> None:
    both = [curves([NATIVE, BEST]), curves([NATIVE, OTHER])]
    ids: list[str] = []
    for svg in both:
        own = [element.get("id") or "" for element in parsed(svg).iter() if element.get("id")]
        used = re.findall(r"url\(#([^)]*)\)", svg) + re.findall(r' href="#([^"]*)"', svg)
        assert used
        assert set(used) <= set(own)
        ids += own
    assert len(set(ids)) == len(ids)


def test_a_curve_is_told_by_its_interquartile_mean() -> None:
    """One seed that goes astray does not move it."""
    scores = (0.8, 0.8, 0.8, 0.8, -7.0)
    assert iqm(scores) == pytest.approx(0.8)
    line = Line("s1r1c1", points((0.1,) * 5, scores), "best")
    assert "s1r1c1 goes from 0.1 after 1,000 steps to 0.8 after 2,000" in told(curves([line]))


def test_a_band_is_drawn_where_seeds_are_known_and_for_native_and_best_alone() -> None:
    assert bands(curves([NATIVE, BEST, OTHER])) == 2
    assert bands(curves([OTHER])) == 0
    assert bands(curves([Line("native", points((), (), mean=0.5), "native")])) == 0
    assert bands(curves([Line("native", points((0.5,), (0.6,)), "native")])) == 0


def test_a_band_is_as_high_as_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, ...]] = []

    def seen(scores: Sequence[float]) -> tuple[float, float]:
        drawn.append(tuple(scores))
        return bootstrap_interval(scores)

    monkeypatch.setattr(plots, "bootstrap_interval", seen)
    figure, axes = plots._axes()
    plots._draw(axes, BEST)
    (band,) = axes.collections
    highest = band.get_paths()[0].vertices[:, 1].max()
    assert drawn == [tuple(point.scores) for point in BEST.points]
    assert highest == pytest.approx(bootstrap_interval(BEST.points[-1].scores)[1])
    assert figure.axes == [axes]


def test_native_and_best_are_named_where_they_end_and_the_others_counted() -> None:
    svg = curves([NATIVE, BEST, OTHER])
    assert {"native", "s1r1c1", "thin: 1 other candidate"} <= set(texts(svg))
    assert "s1r1c2" not in texts(svg)
    assert "1 other candidate end between" in told(svg)


def test_names_do_not_stand_on_each_other() -> None:
    same = [Line(f"{style}!", points((0.5, 0.5), (0.5, 0.5)), style) for style in ("native", "best")]
    svg = curves(same)
    named = [element for element in parsed(svg).iter(f"{SVG}text") if (element.text or "").endswith("!")]
    at = [float((element.get("y") or element.get("transform", "")).split()[-1].strip(")")) for element in named]
    assert abs(at[0] - at[1]) >= plots.LETTER


@pytest.mark.parametrize("kind", ["curves", "laps", "terms"])
def test_whatever_somebody_wrote_stays_text(kind: str) -> None:
    line = Line(HOSTILE, BEST.points, "best")
    term = evaluation(HOSTILE, 0.5, **{HOSTILE: 1.0})
    promoted = [{"stage": 1, "candidate": HOSTILE}]
    svg = {
        "curves": lambda: curves([line], HOSTILE),
        "laps": lambda: laps([lap(0, 0.1), lap(1, 0.2)], promoted, None, HOSTILE),
        "terms": lambda: terms([term]),
    }[kind]()
    assert "<script" not in svg
    assert HOSTILE[:8] in "".join(texts(svg))
    assert HOSTILE in told(svg)


def test_a_picture_of_a_long_search_is_small() -> None:
    many = [Line(f"s1r{k}c1", points(*[(0.1 * k % 1, 0.5)] * 8), "other") for k in range(60)]
    assert len(curves([NATIVE, BEST, *many])) < 60_000
    shares = {f"term_{k}": 0.05 for k in range(20)}
    assert len(terms([evaluation(f"c{k}", 0.1 * k, **shares) for k in range(20)])) < 60_000


def test_a_main_run_shows_promotions_rollbacks_and_the_plain_training() -> None:
    advanced = [lap(0, 0.1), lap(1, 0.5), lap(2, None), lap(3, 0.4, back=1)]
    promoted = [{"stage": 1, "candidate": "s1r2c1"}]
    plain = {"score": 0.2, "interval": [0.1, 0.3]}
    svg = laps(advanced, promoted, plain)
    assert {"main run", "plain training"} <= set(texts(svg))
    assert {text.strip() for text in texts(svg)} >= {"s1r2c1 promoted", "rolled back"}
    words = told(svg)
    assert "0.5 at 1,000 steps, with s1r2c1 promoted" in words
    assert "unknown at 2,000 steps" in words
    assert "0.4 at 3,000 steps, rolled back" in words
    assert "the plain training ends at 0.2" in words
    assert "plain training" not in texts(laps(advanced, promoted))


def test_terms_are_those_of_the_best_training_of_the_best_candidates() -> None:
    found = [evaluation(f"c{k}", 0.1 * k, near=1.0) for k in range(7)]
    again = evaluation("c6", 0.99, far=0.75, near=0.25)
    failed = Evaluation.model_validate(
        {"candidate": "c9", "branch": "c9", "seeds": (0,), "steps": 1, "error": {"stage": "crash", "message": "x"}}
    )
    svg = terms([*found, again, failed])
    shown = texts(svg)
    assert [text for text in shown if re.fullmatch(r"c\d", text)] == ["c6", "c5", "c4", "c3", "c2"]
    assert shown[:5] == ["c6", "far", "75%", "near", "25%"]
    assert "2 further candidates not shown" in told(svg)


def limits(draw: Callable[[Axes], None]) -> tuple[tuple[float, float], tuple[float, float]]:
    figure, axes = plots._axes()
    draw(axes)
    plots._label_ends(axes, [])
    assert figure.axes == [axes]
    return axes.get_xlim(), axes.get_ylim()


def test_a_scale_does_not_go_where_no_score_can_be() -> None:
    nothing = Line("native", points((0.0, 0.0), (0.0, 0.0)), "native")
    assert limits(lambda axes: plots._draw(axes, nothing))[1] == (0.0, 1.0)
    little = Line("native", points((0.0, 0.0), (0.5, 0.5)), "native")
    low, high = limits(lambda axes: plots._draw(axes, little))[1]
    assert low == 0.0 < 0.5 < high
    lost = Line("native", points((-20.0, -20.0), (-20.0, -20.0)), "native")
    assert limits(lambda axes: plots._draw(axes, lost))[1] == (-20.5, -19.5)


def test_the_curves_of_a_later_stage_begin_where_it_does() -> None:
    later = [point.model_copy(update={"steps": 20_000 + 1000 * place}) for place, point in enumerate(BEST.points, 1)]
    assert plots._begins_at(Line("s2r1c1", later, "best")) == 20_000
    assert plots._begins_at(BEST) == 0
    ticks = [text for text in texts(curves([Line("s2r1c1", later, "best")])) if text.endswith("k")]
    assert "20k" in ticks
    assert "0" not in texts(curves([Line("s2r1c1", later, "best")]))


def test_small_scores_leave_room_for_their_digits() -> None:
    figure, axes = plots._axes()
    plots._draw(axes, Line("native", points((0.0, 0.001), (0.002, 0.003)), "native"))
    plots._steps_and_score(axes, "success")
    box = axes.yaxis.get_tightbbox()
    assert box is not None
    assert box.x0 >= 1
    assert figure.axes == [axes]


def test_a_promotion_is_named_where_the_curve_is_not() -> None:
    places = {}
    for first in (0.0, 1.0):
        svg = laps([lap(0, first), lap(1, 1.0 - first)], [{"stage": 1, "candidate": "s1r2c1"}])
        (named,) = [each for each in parsed(svg).iter(f"{SVG}text") if (each.text or "").strip() == "s1r2c1 promoted"]
        places[first] = float((named.get("transform") or "").split("translate(")[1].split(" ")[1].strip(")"))
    assert places[0.0] < places[1.0] - 30, "higher up the page"


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    assert "No training" in told(curves([]))
    assert "Nothing was trained" in told(terms([]))
    assert "success" in told(laps([], [], None, "success"))
