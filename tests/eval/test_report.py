from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from demo_run import HOSTILE, RULES, write_demo_run

from eval.report.comparison import build_comparison
from eval.report.figures import interval_plot, line_chart, smooth, ticks
from eval.report.page import app
from eval.report.published import build_published, not_run_text
from eval.report.samples import render_gold
from eval.report.wording import duration, headline, p_text, signed
from eval.results import build_results
from toolace.errors import InputError
from toolace.rows import read_json

VOID = {"meta", "link", "br", "img", "wbr", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags close in order, and keeps tags, attributes and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with its report; not changed by the tests that use it."""
    run = write_demo_run(tmp_path_factory.mktemp("runs") / "demo")
    assert app([str(run)]) == 0
    return run


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "demo"))


def page(run: Path) -> Page:
    return Page((run / "report.html").read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_loads_nothing(made: Path) -> None:
    shown = page(made)
    assert not shown.all("link") and not shown.all("img") and not shown.all("iframe")
    assert all(not {"src", "href", "srcset"} & set(attrs) for _, attrs in shown.tags)
    source = (made / "report.html").read_text(encoding="utf-8")
    assert "http://" not in source and "https://" not in source and "@import" not in source and "url(" not in source
    (policy,) = shown.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert str(policy["content"]).startswith("default-src 'none'")
    assert len(shown.all("script")) == 1


def test_the_headline_says_the_real_numbers(made: Path) -> None:
    results = read_json(made / "eval" / "results.json")
    means = {row["model"]: row["value"] for row in results["aggregates"] if row["name"] == "call_mean"}
    wanted = f"from {means['base']:.1f} % to {means['tuned']:.1f} %"
    assert wanted in page(made).text.replace("\u00a0", " ")
    assert wanted in (made / "report.md").read_text(encoding="utf-8")


def test_every_score_is_on_the_page_and_in_the_markdown(made: Path) -> None:
    shown, written = page(made).text, (made / "report.md").read_text(encoding="utf-8")
    for row in read_json(made / "eval" / "results.json")["rows"]:
        for text in (f"{row['accuracy']:.1f}", f"{row['low']:.1f} to {row['high']:.1f}", str(row["correct"])):
            assert text in shown and text in written
    assert read_json(made / "results.json") == read_json(made / "eval" / "results.json")


def test_rules_stages_loss_and_versions_are_shown(made: Path) -> None:
    shown, written = page(made).text, (made / "report.md").read_text(encoding="utf-8")
    for rule in RULES:
        assert rule in shown and rule.replace("_", "\\_") in written
    assert "85.2 %" in shown and "6 min 52 s" in shown and "1 h 02 min" in shown and "400 steps" in shown
    assert "2.13.0" in shown and "toolace report" in shown
    assert len(page(made).all("polyline")) == 2


def test_twenty_samples_cover_every_category_and_outcome(made: Path) -> None:
    samples = page(made).all("details", **{"class": "sample"})
    assert len(samples) == 20
    assert len({(sample["data-category"], sample["data-outcome"]) for sample in samples}) >= 15


def test_the_same_run_gives_the_same_page(made: Path, copy: Path) -> None:
    app([str(copy)])
    assert (copy / "report.html").read_bytes() == (made / "report.html").read_bytes()


def test_filters_stay_hidden_without_javascript_and_every_sample_is_reachable(made: Path) -> None:
    shown = page(made)
    assert "hidden" in shown.all("div", id="filters")[0]
    assert all("hidden" not in sample for sample in shown.all("details", **{"class": "sample"}))


def spoil(run: Path) -> None:
    """Puts hostile text wherever the page shows something it did not write."""
    path = run / "eval" / "results.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"tuned"', json.dumps("<b>tuned")), encoding="utf-8")
    verdicts = run / "eval" / "verdicts.jsonl"
    verdicts.write_text(verdicts.read_text(encoding="utf-8").replace('"tuned"', '"<b>tuned"'), encoding="utf-8")
    (run / "eval" / "result" / "tuned").rename(run / "eval" / "result" / "<b>tuned")
    for results in (run / "eval" / "result" / "<b>tuned").rglob("*.json"):
        rows = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
        results.write_text("".join(json.dumps({**row, "result": HOSTILE}) + "\n" for row in rows), encoding="utf-8")
    (run / "rejected.jsonl").write_text(json.dumps({"verdict": {"rule": HOSTILE}}) + "\n", encoding="utf-8")
    stages = {HOSTILE: {"seconds": 1, "counts": {HOSTILE: HOSTILE}, "versions": {HOSTILE: HOSTILE}, "command": HOSTILE}}
    (run / "manifest.json").write_text(json.dumps({"stages": stages}), encoding="utf-8")


def test_hostile_text_stays_text(copy: Path) -> None:
    spoil(copy)
    assert app([str(copy)]) == 0
    shown = page(copy)
    assert not shown.all("img") and not shown.all("b") and len(shown.all("script")) == 1
    assert shown.text.count("<img src=x onerror=alert(1)>") >= 20 + 5
    assert "<img" not in (copy / "report.md").read_text(encoding="utf-8").split("```")[0]


PARTS = {
    "scores": ("eval/results.json", "Benchmark scores"),
    "training": ("train/log.jsonl", "Training loss"),
    "stages": ("manifest.json", "Time per stage"),
    "samples": ("eval/verdicts.jsonl", "Sample answers"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file_leaves_its_part_out_and_says_so(copy: Path, part: str) -> None:
    name, words = PARTS[part]
    (copy / name).unlink()
    assert app([str(copy)]) == 0
    shown = page(copy)
    assert not shown.all("section", id=part) and f"{words}:" in shown.text
    others = [other for other in PARTS if other != part and (part, other) != ("scores", "samples")]
    assert all(shown.all("section", id=other) for other in others)
    assert f"- {words}:" in (copy / "report.md").read_text(encoding="utf-8")


def test_an_empty_run_folder_has_a_page_that_names_what_is_missing(tmp_path: Path) -> None:
    assert app([str(tmp_path)]) == 0
    shown = page(tmp_path)
    assert "no benchmark scores" in shown.text and len(shown.all("li")) == 5
    assert not (tmp_path / "results.json").exists()


def test_broken_files_are_named(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run folder"):
        app([str(tmp_path / "nowhere")])
    (copy / "train" / "log.jsonl").write_text("{}\n{\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"log\.jsonl:2: is not JSON"):
        app([str(copy)])
    (copy / "eval" / "results.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="holds no scores"):
        app([str(copy)])


def test_json_names_the_written_files(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app([str(copy), "--json"]) == 0
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    assert Path(report["html"]).exists() and Path(report["markdown"]).exists()


def test_markdown_tables_have_the_same_number_of_cells_in_every_row(made: Path) -> None:
    blocks = re.findall(r"(?:^\|.*\n)+", (made / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(blocks) == 4
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def outcomes(model: str, marks: str) -> list[dict[str, Any]]:
    return [{"model": model, "category": "parallel", "id": f"p{i}", "valid": m == "1"} for i, m in enumerate(marks)]


@pytest.mark.parametrize(
    ("base", "tuned", "words"),
    [
        ("0" * 20, "1" * 20, "Tuning raised mean accuracy on BFCL function calls from 0.0 % to 100.0 %."),
        ("1" * 20, "0" * 20, "Tuning lowered mean accuracy on BFCL function calls from 100.0 % to 0.0 %."),
        (
            "0" * 20,
            "1" + "0" * 19,
            "No measurable change on BFCL function calls: mean accuracy went from 0.0 % to 5.0 %.",
        ),
    ],
)
def test_the_headline_claims_no_more_than_the_test_says(base: str, tuned: str, words: str) -> None:
    comparison = build_comparison(build_results(outcomes("base", base) + outcomes("tuned", tuned)))
    assert headline(comparison)[0].replace("\u00a0", " ") == words


def test_partial_scores_stand_beside_no_published_ones_and_later_data_are_named() -> None:
    rows = [{**row, "category": "live_relevance"} for row in outcomes("mine", "1110")]
    results = build_results(rows, "v3-2024")
    published = build_published(results, build_comparison(results))
    assert published and published.columns == ["relevance"]
    sources = [source for _, source, _ in published.theirs]
    assert "Table 2" in sources[0] and "other data" not in sources[0]
    assert sources[-1].endswith(
        "(other data: data and multi-turn rules were changed between October 2024 and this day)"
    )
    results["aggregates"] = [{**row, "of": row["n"] + 1} for row in results["aggregates"]]
    assert build_published(results, build_comparison(results)) is None
    (row,) = results["rows"]
    row |= {"of": 41, "stale": 2}
    results |= {"refused": {"mine": 3}, "not_executed": [{"model": "mine", "executed": 0, "offline": 134}]}
    told = not_run_text(results)
    assert "live_relevance 4 of 41." in told and "0 of 134 executable answers of mine were executed" in told
    assert "3 answers of mine are errors of the server." in told and "changed since: live_relevance 2." in told


def test_one_model_alone_is_reported_without_comparison() -> None:
    comparison = build_comparison(build_results(outcomes("mine", "1110")))
    assert comparison and comparison.base is None
    assert headline(comparison)[0].replace("\u00a0", " ") == "mine scores 75.0 % on BFCL function calls."


def test_a_comparison_stored_the_other_way_round_is_turned() -> None:
    results = build_results(outcomes("tuned", "1111111110") + outcomes("base", "0000000001"))
    comparison = build_comparison(results)
    assert comparison and (comparison.base, comparison.tuned) == ("base", "tuned")
    assert comparison.headline and comparison.headline["difference"] == pytest.approx(80.0)
    assert comparison.headline["low"] <= 80.0 <= comparison.headline["high"] and comparison.headline["b_only"] == 9


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.00"),
        (0.0995, "0.10"),
        (0.0432, "0.043"),
        (0.001, "0.001"),
        (0.00021, "2.1 × 10⁻⁴"),
        (1e-41, "1.0 × 10⁻⁴¹"),
    ],
)
def test_p_values_are_written_as_readers_expect(value: float, text: str) -> None:
    assert p_text(value).replace("\u00a0", " ") == text


def test_numbers_have_their_units() -> None:
    assert [duration(s) for s in (0.04, 9.96, 59.4, 59.6, 3_600, 7_500)] == [
        "0.0 s",
        "10 s",
        "59 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 05 min",
    ]
    assert [signed(v) for v in (1.25, -1.25, -0.01, 0.0)] == ["+1.2", "\u22121.2", "0.0", "0.0"]


def test_ticks_enclose_the_data_in_round_steps() -> None:
    assert ticks(0.0, 1.89) == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert ticks(0, 3, whole=True) == [0, 1, 2, 3]
    for low, high in ((0.0, 1e-6), (3.0, 3.0), (-5.0, 1e9)):
        found = ticks(low, high)
        assert found[0] <= low and found[-1] >= high and len(found) <= 8


def test_smoothing_keeps_a_straight_line_and_both_ends() -> None:
    line = [(float(x), 3.0 * x) for x in range(50)]
    assert [y for _, y in smooth(line)] == pytest.approx([y for _, y in line])
    assert smooth([(1.0, 2.0)]) == [(1.0, 2.0)]


def test_figures_survive_one_point_and_escape_their_labels() -> None:
    assert "NaN" not in line_chart([("train", [(1.0, 2.0)])], "Step", "Loss")
    assert "<b>" not in interval_plot([])
    assert "&lt;b&gt;" in line_chart([("train", [(1.0, 2.0), (2.0, 1.0)])], "Step", "<b>")


def test_gold_shows_alternatives_and_optional_arguments() -> None:
    gold = [{"f": {"a": [1, 2], "unit": ["m", ""], "b": [""]}}]
    assert render_gold(gold) == 'f(a = 1 | 2, [unit = "m"], [b = any])'


def test_scores_of_others_and_what_was_not_run_stand_on_the_page(copy: Path) -> None:
    assert app([str(copy)]) == 0
    html, markdown = ((copy / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "protocol v4" in html and "protocol v4" in markdown
    assert "Not run, and counted nowhere: simple_java" in html and "Not run, and counted nowhere" in markdown
    results = read_json(copy / "eval" / "results.json")
    row = {"model": "tuned", "protocol": "v4", "name": "live", "value": 61.25, "low": 1.0, "high": 99.0}
    results["aggregates"].append(row)
    (copy / "eval" / "results.json").write_text(json.dumps(results))
    assert app([str(copy)]) == 0
    html, markdown = ((copy / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert "ToolACE-2-8B" in html and "| ToolACE-2-8B | BFCL leaderboard of 2025-08-26" in markdown
    assert re.search(r"\*\*tuned\*\* \| this run \| 61\.2", markdown)
