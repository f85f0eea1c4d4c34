from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from toolace.errors import InputError
from toolace.recipe import SECTIONS, load_recipe, parse_overrides
from toolace.typed import build

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
OPENING = 'recipe: r"""   # this line and the last one make the file runnable'
CLOSING = '# """; import toolace.launch; toolace.launch.run(__name__, __file__)'


def written(folder: Path, text: str | bytes, name: str = "r.yaml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problem(path: Path, *overrides: str) -> str:
    with pytest.raises(InputError) as error:
        load_recipe(path, overrides)
    text = str(error.value)
    assert "\n" not in text
    assert overrides or str(path.parent) in text
    return text


# The recipes of this repository


def test_there_are_recipes() -> None:
    assert {path.name for path in RECIPES} >= {"smollm2_135m.yaml", "toolace8b.yaml"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_is_yaml_and_python_at_once(path: Path) -> None:
    lines = path.read_text().splitlines()
    config = f"accelerate launch --config_file {load_recipe(path).values.get('accelerate_config')}"
    starts = ("accelerate launch", config, "toolace tools", "toolace dialogs")
    assert lines[0].startswith(tuple(f"# {start} {path.relative_to(ROOT)}" for start in starts))
    assert lines[-1] == CLOSING
    assert OPENING in lines
    assert isinstance(yaml.safe_load(path.read_text()), dict)
    statements = ast.parse(path.read_text()).body
    assert isinstance(statements[0], ast.AnnAssign) and statements[0].value is None
    assert ast.unparse(statements[-1]) == "toolace.launch.run(__name__, __file__)"
    compile(path.read_text(), str(path), "exec")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_has_only_keys_that_are_read(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name and recipe.out.parts[0] == "runs"
    assert set(recipe.values) <= set(SECTIONS)
    config = recipe.values.get("accelerate_config")
    assert config is None or (ROOT / str(config)).is_file()


# Reading


def test_defaults_of_a_recipe_that_says_little(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "train: {}\n", "lora_32.yaml"))
    assert (recipe.name, recipe.out, recipe.seed) == ("lora_32", Path("runs/lora_32"), 42)
    assert recipe.has("train") and not recipe.has("generate") and recipe.mapping("lora") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trian: {}\n", "unknown key 'trian'. Did you mean 'train'?"),
        ("zzzz: 1\n", "unknown key 'zzzz'. Known keys: "),
        ("generate: {tols: {}}\n", "r.yaml: generate: unknown key 'tols'. Did you mean 'tools'?"),
        ("generate: {dialogs: {cuont: 3}}\n", "generate.dialogs: unknown key 'cuont'. Did you mean 'count'?"),
        ("data: {files: [a], max_lenght: 3}\n", "Did you mean 'max_length'?"),
        ("data: {max_length: 3}\n", "the key 'files' is missing"),
        ("name: a\nseed: 1\nname: b\n", "r.yaml:3: is not valid YAML: the key 'name' is given twice, first in line 1"),
        ("generate:\n  dialogs: {count: 1, count: 2}\n", "r.yaml:2: is not valid YAML: the key 'count' is given twice"),
        ("name: [1\nseed: 2\n", "r.yaml:2: is not valid YAML"),
        ("name: a\n\tseed: 2\n", "r.yaml:2: is not valid YAML"),
        ("? [a, b]\n: 1\n", "a key is a list or mapping"),
        ("? !!set {a, b}\n: 1\n", "a key is a list or mapping"),
        ("name: !!python/object:os.system x\n", "is not valid YAML"),
        ("name: &a\n  <<: *b\n", "is not valid YAML"),
        ("- a\n- b\n", "holds no recipe"),
        ("", "holds no recipe"),
        ("just text\n", "holds no recipe"),
        (b"\xff\xfe\x00", "is not UTF-8 (byte 0)"),
        ("name: 1\n---\nname: 2\n", "is not valid YAML"),
        ("seed: many\n", "seed is 'many'"),
        ("seed: true\n", "seed is True"),
        ("seed: 1.5\n", "seed is 1.5"),
        ("out: [a]\n", "r.yaml: out: is ['a'], not text"),
        ("name: {a: 1}\n", "name: is {'a': 1}, not text"),
        ("train: [1, 2]\n", "train is a list"),
        ("lora: 16\n", "lora is a int"),
        ("generate: 3\n", "generate is a int"),
        ("generate: {dialogs: {count: many}}\n", "generate.dialogs.count: is 'many', not a whole number"),
        ("generate: {dialogs: {count: 2.5}}\n", "generate.dialogs.count: is 2.5, not a whole number"),
        ("generate: {dialogs: {count: true}}\n", "is True, not a whole number"),
        ("generate: {dialogs: {types: [a]}}\n", "is ['a'], not key: value lines"),
        ("generate: {dialogs: {types: {single: x}}}\n", "generate.dialogs.types.single: is 'x', not a number"),
        ("generate: {dialogs: {turns: {one: 1}}}\n", "is 'one', not a whole number"),
        ("generate: {tools: {everyday: 1}}\n", "generate.tools.everyday: is 1, not true or false"),
        ("generate: {tools: {aws: {a: 1}}}\n", "generate.tools.aws"),
        ("model: {dtype: int8}\n", "model.dtype: is 'int8', not one of bfloat16, float16, float32"),
        ("data: {files: a.jsonl}\n", "data.files: is 'a.jsonl', not a list"),
        ("extends: 3\n", "extends is not a file name"),
        ("extends: nowhere.yaml\n", "nowhere.yaml: cannot be read (No such file or directory)"),
        ("extends: r.yaml\n", "extends itself"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_the_place(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in problem(written(tmp_path, text))


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    assert "cannot be read (No such file" in problem(tmp_path / "r.yaml")
    assert "cannot be read (Is a directory)" in problem(tmp_path)


@pytest.mark.parametrize("number", ["1e-4", "1E-4", "1.0e-4", "+1e-4", "0.0001", "1.e-4", "1_0e-5"])
def test_every_way_to_write_a_small_number_is_a_number(tmp_path: Path, number: str) -> None:
    value = load_recipe(written(tmp_path, f"train: {{learning_rate: {number}}}\n")).mapping("train")["learning_rate"]
    assert type(value) is float and value == pytest.approx(1e-4)


@pytest.mark.parametrize("text", ["e-4", "1e", "a1e4", "1e4b", "'1e-4'", "v1e-4"])
def test_what_only_looks_like_a_number_stays_text(tmp_path: Path, text: str) -> None:
    assert isinstance(load_recipe(written(tmp_path, f"train: {{x: {text}}}\n")).mapping("train")["x"], str)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    plain = "name: a\ngenerate:\n  dialogs: {count: 3}\n"
    windows = written(tmp_path, b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())
    assert load_recipe(windows).values == load_recipe(written(tmp_path, plain, "p.yaml")).values


def test_merge_keys_of_yaml_work_and_do_not_count_as_given_twice(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, "lora: &l {r: 1, lora_alpha: 2}\ntrain:\n  <<: *l\n  r: 3\n"))
    assert recipe.mapping("train") == {"r": 3, "lora_alpha": 2}


def test_the_line_that_makes_a_recipe_runnable_is_no_section(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, f"{OPENING}\nname: x\n{CLOSING}\n"))
    assert dict(recipe.values) == {"name": "x"}


# Extends


def test_extends_merges_key_by_key_and_replaces_the_rest_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    base = "seed: 3\nlora: {r: 16, target_modules: [a, b]}\ntrain: {learning_rate: 1e-4}\n"
    written(tmp_path, base, "base.yaml")
    written(tmp_path, "extends: ../base.yaml\nlora: {r: 8}\n", "sub/middle.yaml")
    path = written(tmp_path, "extends: middle.yaml\nlora: {target_modules: [c]}\nname: top\n", "sub/top.yaml")
    recipe = load_recipe(path)
    assert recipe.mapping("lora") == {"r": 8, "target_modules": ["c"]}
    assert (recipe.seed, recipe.mapping("train"), recipe.name) == (3, {"learning_rate": 1e-4}, "top")
    assert not recipe.has("extends")


def test_a_circle_of_extends_is_bad_input(tmp_path: Path) -> None:
    written(tmp_path, "extends: b.yaml\n", "a.yaml")
    written(tmp_path, "extends: a.yaml\n", "b.yaml")
    with pytest.raises(InputError, match="extends itself"):
        load_recipe(tmp_path / "a.yaml")


def test_two_recipes_may_extend_the_same_one(tmp_path: Path) -> None:
    written(tmp_path, "seed: 9\n", "base.yaml")
    assert load_recipe(written(tmp_path, "extends: base.yaml\n", "a.yaml")).seed == 9
    assert load_recipe(written(tmp_path, "extends: base.yaml\n", "b.yaml")).seed == 9


def test_a_misspelt_key_of_the_extended_recipe_is_found(tmp_path: Path) -> None:
    written(tmp_path, "generate: {tols: 1}\n", "base.yaml")
    assert "unknown key 'tols'" in problem(written(tmp_path, "extends: base.yaml\n"))


# Overrides


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--seed", "3"], {"seed": 3}),
        (["--seed=3"], {"seed": 3}),
        (["--train.learning_rate", "1e-4"], {"train": {"learning_rate": 1e-4}}),
        (["--train.x=a=b"], {"train": {"x": "a=b"}}),
        (["--train.bf16"], {"train": {"bf16": True}}),
        (["--train.bf16", "--seed", "1"], {"train": {"bf16": True}, "seed": 1}),
        (["--train.bf16", "false"], {"train": {"bf16": False}}),
        (["--train.x", "-1"], {"train": {"x": -1}}),
        (["--train.x=--y"], {"train": {"x": "--y"}}),
        (["--train.x", "null"], {"train": {"x": None}}),
        (["--train.x", ""], {"train": {"x": None}}),
        (["--a.b.c", "[1, two]"], {"a": {"b": {"c": [1, "two"]}}}),
        (["--a.b", "1", "--a.c", "2"], {"a": {"b": 1, "c": 2}}),
        (["--a.b", "1", "--a.b", "2"], {"a": {"b": 2}}),
        (["--a.b", "{c: 1}"], {"a": {"b": {"c": 1}}}),
    ],
)
def test_overrides_are_yaml_at_a_dotted_place(words: list[str], values: dict[str, Any]) -> None:
    assert parse_overrides(words) == values


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed", "3"], "unexpected argument 'seed'"),
        (["--seed", "3", "4"], "unexpected argument '4'"),
        (["--"], "unexpected argument '--'"),
        (["--train", "1", "--train.x", "2"], "--train.x sets a key inside a value"),
        (["--train.x", "[1"], "--train.x has a value that is no YAML"),
        (["-x"], "unexpected argument '-x'"),
    ],
)
def test_words_that_are_no_override_are_bad_input(words: list[str], said: str) -> None:
    with pytest.raises(InputError) as error:
        parse_overrides(words)
    assert said in str(error.value)


def test_an_override_wins_and_leaves_its_neighbours(tmp_path: Path) -> None:
    path = written(tmp_path, "seed: 1\ngenerate: {dialogs: {count: 5, results: 0.5}}\n")
    recipe = load_recipe(path, ["--generate.dialogs.count", "7", "--seed=2"])
    assert recipe.seed == 2
    assert recipe.mapping("generate") == {"dialogs": {"count": 7, "results": 0.5}}
    assert recipe.overrides == (("generate.dialogs.count", "7"), ("seed", "2"))


def test_an_override_of_an_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    path = written(tmp_path, "seed: 1\n")
    assert "Did you mean 'count'?" in problem(path, "--generate.dialogs.cuont", "7")
    assert "Did you mean 'generate'?" in problem(path, "--genrate.dialogs.count", "7")


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_words_are_overrides_or_bad_input(words: list[str]) -> None:
    try:
        assert isinstance(parse_overrides(words), dict)
    except InputError as error:
        assert "\n" not in str(error)


# Typed settings


@dataclass(frozen=True)
class Inner:
    width: int = 1


@dataclass(frozen=True)
class Outer:
    name: str
    ratio: float = 0.5
    inner: Inner = field(default_factory=Inner)
    which: Literal["a", "b"] = "a"
    sizes: Sequence[int] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    many: int | Sequence[str] = 0
    maybe: str | None = None
    on: bool = False


def test_settings_take_their_types_from_the_hints() -> None:
    values = {"name": 5, "ratio": 1, "inner": {"width": 2}, "sizes": [1, 2], "weights": {"x": 1}, "many": ["s3"]}
    built = build(Outer, values, "f: s")
    assert built == Outer("5", 1.0, Inner(2), "a", (1, 2), {"x": 1.0}, ("s3",))
    assert type(built.ratio) is float and type(built.weights["x"]) is float
    assert build(Outer, {"name": "x", "maybe": None, "many": 3}, "").maybe is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "f: s: the key 'name' is missing"),
        ({"name": "x", "inner": 3}, "f: s.inner: is a int"),
        ({"name": "x", "inner": {"widht": 3}}, "f: s.inner: unknown key 'widht'. Did you mean 'width'?"),
        ({"name": "x", "which": "c"}, "f: s.which: is 'c', not one of a, b"),
        ({"name": "x", "sizes": [1, "b"]}, "f: s.sizes[1]: is 'b', not a whole number"),
        ({"name": "x", "weights": {"k": None}}, "f: s.weights.k: is None, not a number"),
        ({"name": "x", "on": "yes"}, "f: s.on: is 'yes', not true or false"),
        ({"name": "x", "ratio": True}, "f: s.ratio: is True, not a number"),
        ({"name": None}, "f: s.name: is None, not text"),
        ({"name": "x" * 3, "many": {"long": "x" * 80}}, "is dict, not a list"),
        ([], "f: s: is a list"),
    ],
)
def test_a_value_of_another_type_is_named_with_its_place(values: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        build(Outer, values, "f: s")
    assert said in str(error.value)
