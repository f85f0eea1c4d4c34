from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from eval.bfcl.taxonomy import CLASSES, count_errors, error_class


def official_types() -> set[str]:
    """Every error type that the source of the installed checkers names."""
    spec = find_spec("bfcl_eval")
    assert spec is not None and spec.submodule_search_locations is not None
    room = Path(spec.submodule_search_locations[0]) / "eval_checker"
    pattern = re.compile(r'error_type"\]? ?[:=] ?"([a-z_]+(?::[a-z_/]+)+)"')
    return {found for path in room.rglob("*.py") for found in pattern.findall(path.read_text(encoding="utf-8"))}


def test_every_official_error_type_has_a_class_of_its_own_kind() -> None:
    types = official_types()
    assert len(types) > 25
    unclear = {name for name in types if name.endswith(":unclear")}  # what a checker starts with and then replaces
    unknown = {name for name in types - unclear if error_class(name) == "checker_failed"}
    assert unknown == {"multi_turn:method_invoke_order_mismatch"}, "a check that upstream has switched off"
    assert {error_class(name) for name in types} <= set(CLASSES)


@pytest.mark.parametrize(
    ("error_type", "name"),
    [
        ("simple_function_checker:wrong_count", "wrong_count"),
        ("parallel_function_checker_no_order:wrong_count", "wrong_count"),
        ("simple_function_checker:wrong_func_name", "wrong_function"),
        ("simple_function_checker:missing_optional", "missing_argument"),
        ("type_error:nested", "wrong_type"),
        ("value_error:list/tuple", "wrong_value"),
        ("executable_checker:wrong_result_type:dict_length", "wrong_result"),
        ("multi_turn:instance_state_mismatch", "wrong_state"),
        ("guard:refused", "refused"),
    ],
)
def test_classes(error_type: str, name: str) -> None:
    assert error_class(error_type) == name


def test_errors_are_counted_by_model_and_category_most_frequent_first() -> None:
    verdicts = [
        {"model": "m", "category": "parallel", "valid": valid, "error_type": error_type}
        for valid, error_type in [
            (True, None), (False, "type_error:simple"), (False, "guard:refused"), (False, "type_error:nested")
        ]
    ]  # fmt: skip
    assert [(row["class"], row["n"]) for row in count_errors(verdicts)] == [("wrong_type", 2), ("refused", 1)]
