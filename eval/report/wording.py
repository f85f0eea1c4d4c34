"""Numbers as a reader expects them, and the sentences of the report."""

from __future__ import annotations

from eval.report.comparison import Comparison, Line
from toolace.rows import Row

SIGNIFICANT = 0.05
MINUS = "\u2212"
NBSP = "\u00a0"  # keeps a number and its unit on one line
_SUPERSCRIPT = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def points(value: float) -> str:
    """An accuracy from 0 to 100 with one decimal."""
    return f"{value:.1f}"


def signed(value: float) -> str:
    """A difference in points with its sign; a true minus sign, so that columns line up."""
    text = f"{value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", MINUS)


def p_text(value: float | None) -> str:
    """A p-value: three decimals, or a power of ten below 0.001."""
    if value is None:
        return "\u2013"
    if value >= 0.0995:
        return f"{value:.2f}"
    if value >= 0.001:
        return f"{value:.3f}"
    if value == 0:
        return f"<{NBSP}10\u207b\u00b3\u2070\u2070"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}{NBSP}\u00d7{NBSP}10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def p_equals(value: float) -> str:
    """`p = 0.03`, or `p < ...` where the number says so itself."""
    text = p_text(value)
    return f"p{NBSP}{text}" if text.startswith("<") else f"p{NBSP}={NBSP}{text}"


def duration(seconds: float) -> str:
    """Seconds as `0.4 s`, `38 s`, `4 min 10 s` or `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def headline(comparison: Comparison | None) -> tuple[str, str]:
    """The report's first sentence and the one below it, with the real numbers and no more than they say."""
    if comparison is None:
        return "This run has no benchmark scores.", "What it does hold is shown below."
    line = next((line for line in comparison.aggregates if line.primary), None)
    if line is None or comparison.tuned not in line.scores:
        return f"Scores of {' and '.join(comparison.models)} on BFCL.", "No call category was run, so there is no mean."
    if comparison.base is None or comparison.base not in line.scores:
        score = line.scores[comparison.tuned]
        below = (
            f"Mean accuracy over the call categories; 95{NBSP}% interval {points(score.low)} to {points(score.high)}."
        )
        return f"{comparison.tuned} scores {points(score.accuracy)}{NBSP}% on BFCL function calls.", below
    return _verb(comparison, line), _evidence(comparison.headline)


def _verb(comparison: Comparison, line: Line) -> str:
    base, tuned = (line.scores[model].accuracy for model in comparison.models)
    numbers = f"from {points(base)}{NBSP}% to {points(tuned)}{NBSP}%"
    if comparison.headline is None or comparison.headline["p_value"] >= SIGNIFICANT:
        return f"No measurable change on BFCL function calls: mean accuracy went {numbers}."
    verb = "raised" if tuned > base else "lowered"
    return f"Tuning {verb} mean accuracy on BFCL function calls {numbers}."


def _evidence(test: Row | None) -> str:
    if test is None:
        return "The two models have no common questions, so the difference was not tested."
    interval = f"95{NBSP}% interval {signed(test['low'])} to {signed(test['high'])}" if "low" in test else ""
    change = f"{signed(test['difference'])} points" if "difference" in test else ""
    where = f"over {test['n']:,} questions that both models answered" if "n" in test else ""
    numbers = "; ".join(filter(None, [interval, p_equals(test["p_value"])]))
    return f"{' '.join(filter(None, [change, where]))} ({numbers}; {test['test']}).".lstrip()
