from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from eval import statistics
from eval.statistics import (
    Stratum,
    difference_interval,
    holm,
    mcnemar,
    mean_interval,
    minimum_detectable_difference,
    paired_interval,
    sign_flip,
    wilson,
)

COUNTS = st.integers(0, 60)


@given(st.integers(1, 2_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys_wilson(pair: tuple[int, int]) -> None:
    correct, n = pair
    low, high = stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson(correct, n) == pytest.approx((100 * low, 100 * high), abs=1e-9)
    assert 0 <= wilson(correct, n)[0] <= 100 * correct / n <= wilson(correct, n)[1] <= 100


def test_wilson_has_width_where_all_answers_are_alike() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 27.753), abs=1e-3)
    assert wilson(10, 10) == pytest.approx((72.247, 100.0), abs=1e-3)
    with pytest.raises(ValueError):
        wilson(3, 2)


@given(st.integers(0, 900), st.integers(0, 900))
def test_mcnemar_is_the_binomial_test_of_discordant_pairs(a: int, b: int) -> None:
    expected = stats.binomtest(min(a, b), a + b, 0.5).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mcnemar_does_not_underflow_before_it_must() -> None:
    assert mcnemar(0, 1_000) == pytest.approx(2.0**-999, rel=1e-12)


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    ranked = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert all(adjusted[i] <= adjusted[j] for i, j in itertools.pairwise(ranked))


def test_the_interval_of_a_mean_of_one_category_is_wilsons() -> None:
    mean, low, high = mean_interval([(120, 400, 1.0)])
    assert mean == pytest.approx(30.0)
    assert (low, high) == pytest.approx(wilson(120, 400))


def test_a_mean_of_few_questions_all_right_or_all_wrong_has_width() -> None:
    assert mean_interval([(2, 2, 0.5), (2, 2, 0.5)]) == pytest.approx(
        (100.0, 100 - (100 - 34.238) / 2**0.5, 100.0), abs=0.01
    )
    mean, low, high = mean_interval([(2, 2, 0.5), (0, 2, 0.5)])
    assert mean == 50.0 and low == pytest.approx(50 - (100 - 34.238) / 2, abs=0.01) and high == pytest.approx(100 - low)


def test_a_difference_that_was_never_seen_is_not_known_to_be_nothing() -> None:
    difference, low, high = difference_interval([Stratum(4, 0, 0, 1.0)])
    assert difference == 0 and low == pytest.approx(-high) and high > 40
    difference, low, high = difference_interval([Stratum(2, 0, 2, 0.5), Stratum(2, 0, 2, 0.5)])
    assert difference == 100 == high and low < 60
    assert difference_interval([Stratum(1_000, 0, 0, 1.0)])[2] < 0.5


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_a_paired_interval_holds_the_observed_difference_and_has_width(counts: tuple[int, int, int]) -> None:
    n, a_only, b_only = counts[0], counts[1], min(counts[2], counts[0] - counts[1])
    low, high = paired_interval(n, a_only, b_only)
    assert -1 <= low <= (b_only - a_only) / n <= high <= 1 and high - low > 1e-4
    assert paired_interval(n, b_only, a_only) == pytest.approx((-high, -low))


@pytest.mark.parametrize("n", [10, 30, 200])
@pytest.mark.parametrize(("a_only", "b_only"), [(0.05, 0.05), (0.1, 0.3), (0.0, 0.02)])
def test_the_interval_of_a_difference_covers_the_truth_19_times_in_20(n: int, a_only: float, b_only: float) -> None:
    draws = np.random.default_rng(2).multinomial(n, [a_only, b_only, 1 - a_only - b_only], (1_000, 2))
    covered = 0
    for one, other in draws:
        strata = [Stratum(n, int(part[0]), int(part[1]), 0.5) for part in (one, other)]
        _, low, high = difference_interval(strata)
        covered += low <= 100 * (b_only - a_only) <= high
    assert covered / 1_000 >= 0.93


@pytest.mark.parametrize(("n", "truth"), [(200, (0.3, 0.6, 0.8)), (10, (0.3, 0.6, 0.8)), (10, (0.9, 0.95, 0.98))])
def test_the_interval_of_a_mean_covers_the_truth_19_times_in_20(n: int, truth: tuple[float, ...]) -> None:
    random, covered = np.random.default_rng(1), 0
    for _ in range(2_000):
        parts = [(int(random.binomial(n, share)), n, 1 / 3) for share in truth]
        _, low, high = mean_interval(parts)
        covered += low <= 100 * sum(truth) / 3 <= high
    assert (0.93 if max(truth) < 0.9 else 0.91) <= covered / 2_000 <= 0.99


def test_intervals_are_the_same_every_time() -> None:
    parts = [(10, 40, 0.5), (30, 50, 0.5)]
    assert mean_interval(parts) == mean_interval(parts)
    strata = [Stratum(40, 3, 9, 0.5), Stratum(50, 2, 8, 0.5)]
    assert difference_interval(strata) == difference_interval(strata)
    difference, low, high = difference_interval(strata)
    assert difference == pytest.approx(100 * (0.5 * 6 / 40 + 0.5 * 6 / 50)) and low < difference < high


@given(COUNTS, COUNTS)
def test_with_one_category_the_permutation_test_is_mcnemars(a: int, b: int) -> None:
    p_value, how = sign_flip([Stratum(200, a, b, 1.0)])
    assert how == "exact" and p_value == pytest.approx(mcnemar(a, b), rel=1e-9)


def brute_force(strata: list[Stratum]) -> float:
    """All sign flips of all questions that only one model got right."""
    units = [part.weight / part.n for part in strata for _ in range(part.a_only + part.b_only)]
    observed = abs(sum(part.weight / part.n * (part.b_only - part.a_only) for part in strata))
    sums = [
        abs(sum(s * u for s, u in zip(signs, units, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(units))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([7, 10, 12])), min_size=1, max_size=3))
def test_the_exact_permutation_test_counts_every_flip(rows: list[tuple[int, int, int]]) -> None:
    strata = [Stratum(n, a, b, 1 / len(rows)) for a, b, n in rows]
    assert sign_flip(strata)[0] == pytest.approx(brute_force(strata), rel=1e-9)


def test_monte_carlo_agrees_with_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    strata = [
        Stratum(400, 30, 45, 0.25),
        Stratum(200, 12, 18, 0.25),
        Stratum(200, 20, 19, 0.25),
        Stratum(200, 9, 14, 0.25),
    ]
    exact, how = sign_flip(strata)
    monkeypatch.setattr(statistics, "EXACT_CELLS", 10)
    estimate, other = sign_flip(strata)
    assert (how, other.startswith("Monte Carlo")) == ("exact", True)
    assert 0.01 < exact < 0.2 and estimate == pytest.approx(exact, rel=0.05)


def test_equal_models_differ_by_nothing() -> None:
    assert sign_flip([Stratum(100, 0, 0, 0.5), Stratum(10, 0, 0, 0.5)]) == (1.0, "exact")
    assert sign_flip([Stratum(100, 4, 4, 1.0)])[0] == pytest.approx(1.0)


def test_the_permutation_test_is_honest_when_nothing_differs() -> None:
    random, small = np.random.default_rng(3), 0
    for _ in range(400):
        counts = [int(random.binomial(30, 0.5)) for _ in range(4)]
        small += (
            sign_flip([Stratum(n, c, 30 - c, 0.25) for n, c in zip((400, 200, 200, 200), counts, strict=True)])[0]
            <= 0.05
        )
    assert small / 400 <= 0.075


@pytest.mark.parametrize(("n", "discordant"), [(100, 0.3), (400, 0.1), (1_000, 0.5)])
def test_a_minimum_detectable_difference_is_found_four_times_in_five(n: int, discordant: float) -> None:
    difference = minimum_detectable_difference(n, discordant) / 100
    draws = np.random.default_rng(0).multinomial(
        n, [(discordant - difference) / 2, (discordant + difference) / 2, 1 - discordant], 2_000
    )
    found = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in draws])
    assert 0.7 < found < 0.85  # the exact test is a little more careful than the approximation


def test_small_categories_cannot_tell_small_differences() -> None:
    assert minimum_detectable_difference(16, 0.2) >= 100 * 6 / 16
    assert minimum_detectable_difference(4, 0.0) == 100
    assert minimum_detectable_difference(100, 0.2) > minimum_detectable_difference(400, 0.2)
    assert minimum_detectable_difference(100, 0.2) < minimum_detectable_difference(100, 0.4)
    with pytest.raises(ValueError):
        minimum_detectable_difference(0, 0.1)
