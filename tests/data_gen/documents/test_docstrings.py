from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.documents import docstrings
from data_gen.documents.docstring_types import type_of_annotation, type_of_text
from data_gen.documents.document import Document
from data_gen.documents.loading import LeftOut, told
from toolace import InputError

SOURCE = '''
import no_such_package_anywhere

def mean(values, weights=None, kind="plain", out=None):
    """Weighted mean of numbers [1]_.

    Parameters
    ----------
    values : array_like of shape (n,)
        The numbers.
    weights : sequence of float, optional
        One for each number.

        .. versionadded:: 1.2
    kind : {'plain', 'trimmed'}, default='plain'
        Which mean.
    out : ndarray
        Where the result is put.

    Returns
    -------
    result : float
        The mean.
    """

def fit(model, data):
    """Fits something that JSON cannot hold.

    Parameters
    ----------
    model : callable
        A function.
    data : array_like
        Numbers.
    """

def partly(a, b):
    """Describes one of two.

    Args:
        a (int): The first.
    """

def _hidden(a):
    """Private.

    Args:
        a (int): The first.
    """
'''


def read(folder: Path, source: str | bytes) -> tuple[list[Document], list[InputError]]:
    problems: list[InputError] = []
    path = folder / "stats.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return list(docstrings.read_file(path, problems.append)), problems


def test_only_functions_whose_parameters_are_all_described_and_fit_json_are_read(tmp_path: Path) -> None:
    documents, problems = read(tmp_path, SOURCE)
    reasons = Counter(problem.reason for problem in problems if isinstance(problem, LeftOut))
    assert reasons == {"a required parameter has no type that JSON can hold": 2}, "nothing is left out in silence"
    assert [document.structure["name"] for document in documents] == ["stats.mean"]
    structure = documents[0].structure
    assert structure["description"] == "Weighted mean of numbers."
    assert structure["parameters"] == {
        "type": "object",
        "properties": {
            "values": {"type": "array", "items": {"type": "number"}, "description": "The numbers."},
            "weights": {"type": "array", "items": {"type": "number"}, "description": "One for each number."},
            "kind": {
                "type": "string",
                "enum": ["plain", "trimmed"],
                "default": "plain",
                "description": "Which mean.",
            },
        },
        "required": ["values"],
    }
    assert structure["returns"] == {"type": "number"}


@pytest.mark.parametrize("source", ["def f(:\n", b"x = '\xff\xfe'", b"a\x00b", "(" * 5_000])
def test_a_file_that_is_no_python_is_one_line(tmp_path: Path, source: str | bytes) -> None:
    documents, problems = read(tmp_path, source)
    assert not documents
    assert len(problems) == 1 and "stats.py" in str(problems[0])


def test_an_installed_package_is_read_with_version_and_licence() -> None:
    documents = list(docstrings.read_packages(["networkx"], lambda error: None))
    assert len(documents) > 50
    assert {document.source["package"] for document in documents} == {"networkx"}
    assert all(document.source["version"] and document.licence for document in documents)


def test_a_package_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InputError, match="pip install no_such_package"):
        list(docstrings.read_packages(["no_such_package"], lambda error: None))


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("int or None, optional", {"type": "integer"}),
        ("str, default: 'x'", {"type": "string"}),
        ("{'a', 'b'}", {"type": "string", "enum": ["a", "b"]}),
        ("{1, 2}, optional", {"type": "integer", "enum": [1, 2]}),
        ("array_like of shape (n, m)", {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}),
        ("list of str", {"type": "array", "items": {"type": "string"}}),
        ("sequence of ints", {"type": "array", "items": {"type": "integer"}}),
        ("int or str", {"type": ["integer", "string"]}),
        ("int or float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("callable", None),
        ("DataFrame", None),
        ("", None),
    ],
)
def test_free_text_types(text: str, schema: Any) -> None:
    assert type_of_text(text) == schema


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("Optional[int]", {"type": "integer"}),
        ("int | None", {"type": "integer"}),
        ("Literal['a', 'b']", {"type": "string", "enum": ["a", "b"]}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("'list[int]'", {"type": "array", "items": {"type": "integer"}}),
        ("int | str", {"type": ["integer", "string"]}),
        ("Callable[[int], str]", None),
    ],
)
def test_annotations(text: str, schema: Any) -> None:
    assert type_of_annotation(ast.parse(text, mode="eval").body) == schema


@pytest.mark.timeout(30)
@given(st.text(alphabet="a,or {}'()of shape array_like int1 |:[]", max_size=400))
def test_any_text_is_a_type_or_none_in_bounded_time(text: str) -> None:
    schema = type_of_text(text)
    assert schema is None or schema["type"]


OWN = '''
class BikeShop:
    def rent(self, bike_id: str, hours: int = 2) -> bool:
        """Rents a bike out."""

    def _count(self):
        """Private."""

def price(kind, hours):
    """Price of a rental.

    :param str kind: City bike or racer.
    :param hours: How long,
        in hours.
    :type hours: int
    :returns: Euros.
    :rtype: float
    """

def send(*names: str):
    """Sends names.

    Args:
        names: All of them.
    """

def quiet(a: int):
    pass
'''


def test_methods_sphinx_fields_and_undescribed_parameters_of_ones_own_files_are_read(tmp_path: Path) -> None:
    documents, problems = read(tmp_path, OWN)
    rent, price = (document.structure for document in documents)
    assert rent["name"] == "stats.bike_shop.rent"
    assert rent["parameters"]["properties"] == {
        "bike_id": {"type": "string", "description": "ID of the bike."},
        "hours": {"type": "integer", "default": 2, "description": "Hours."},
    }
    assert documents[0].source["described_by_name"] == "bike_id, hours"
    assert price["description"] == "Price of a rental." and price["returns"] == {"type": "number"}
    assert price["parameters"]["properties"]["hours"] == {"type": "integer", "description": "How long, in hours."}
    assert price["parameters"]["required"] == ["kind", "hours"]
    assert [problem.reason for problem in problems if isinstance(problem, LeftOut)] == [
        "it takes any number of arguments (*args)",
        "it has no docstring",
    ]


def test_what_is_left_out_for_one_reason_is_one_line() -> None:
    problems = [LeftOut("it is deprecated", f"a.json (GET /{i})") for i in range(1200)]
    lines = told([InputError("is broken", where="b.json"), *problems, LeftOut("it has no docstring", "c.py")])
    assert lines[0] == "b.json: is broken" and lines[2].startswith("c.py: is left out: it has no docstring")
    assert lines[1].startswith(
        "1,200 operations or functions are left out: it is deprecated; the first is a.json (GET /0)"
    )
    assert len(lines) == 3
