from __future__ import annotations

import keyword
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_gen.documents import aws, services
from data_gen.documents.document import Document
from data_gen.documents.naming import identifier, singular, snake
from data_gen.documents.plain_text import cut, opening, plain
from toolace import InputError


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    """Every operation of services that together use every kind of shape."""
    return list(aws.read(("translate", "dynamodb", "s3", "ce", "lambda", "sqs", "lexv2-runtime", "kms")))


def operation(documents: list[Document], id_: str) -> dict[str, Any]:
    return dict(next(document for document in documents if document.id == id_).structure)


def schemas(schema: Any, depth: int = 1) -> list[tuple[int, dict[str, Any]]]:
    """Every schema inside one, with how many objects are around it, itself counted."""
    if not isinstance(schema, dict):
        return []
    found = [(depth, schema)]
    for inner in schema.get("properties", {}).values():
        found += schemas(inner, depth + ("properties" in inner))
    for key in ("items", "additionalProperties"):
        inner = schema.get(key)
        found += schemas(inner, depth + (isinstance(inner, dict) and "properties" in inner))
    return found


def test_an_operation_is_read_with_names_types_bounds_and_required(documents: list[Document]) -> None:
    document = next(d for d in documents if d.id == "aws:translate:TranslateText")
    structure = document.structure
    assert structure["name"] in ("translate.translate_text", "translate_text")
    assert structure["description"] == "Translates input text from the source language to the target language."
    parameters = structure["parameters"]
    assert list(parameters["properties"]) == [
        "text", "terminology_names", "source_language_code", "target_language_code", "settings",
    ]  # fmt: skip
    assert parameters["required"] == ["text", "source_language_code", "target_language_code"]
    assert parameters["properties"]["text"]["maxLength"] == 10_000
    formality = parameters["properties"]["settings"]["properties"]["formality"]
    assert formality["enum"] == ["FORMAL", "INFORMAL"]
    assert "translated_text" in structure["returns"]["properties"]
    assert document.licence == "Apache-2.0"
    assert document.source["package"] == "botocore"
    assert document.source["file"].endswith("service-2.json.gz")
    assert document.title == document.path[1] == "Amazon Translate"


def test_schemas_are_valid_and_within_the_limits(documents: list[Document]) -> None:
    for document in documents:
        for part in ("parameters", "returns"):
            schema = document.structure[part]
            if schema is None:
                continue
            Draft202012Validator.check_schema(schema)
            for depth, node in schemas(schema):
                assert depth <= 4
                properties = node.get("properties", {})
                assert len(properties) <= 25
                assert set(node.get("required", ())) <= set(properties)
                assert all(name.isidentifier() and not keyword.iskeyword(name) for name in properties)
                if "pattern" in node:
                    re.compile(node["pattern"])


def test_references_are_resolved_and_cycles_cut(documents: list[Document]) -> None:
    # An expression of Cost Explorer holds expressions.
    filter_ = operation(documents, "aws:ce:GetCostAndUsage")["parameters"]["properties"]["filter"]
    assert "dimensions" in filter_["properties"]
    assert "or" not in filter_["properties"] and "or_value" not in filter_["properties"]
    assert "$ref" not in str([document.structure for document in documents])


def test_texts_are_plain_sentences_of_bounded_length(documents: list[Document]) -> None:
    for document in documents:
        structure = document.structure
        assert len(structure["description"]) <= 300
        assert not re.search(r"<[a-z/]|https?://|\]\(|&[a-z]+;|\*\*|`", structure["description"])
        for _, node in schemas(structure["parameters"]):
            text = node.get("description", "x.")
            assert len(text) <= 160
            assert text.endswith((".", "!", "?", ")", '"'))


def test_paging_tokens_and_transport_are_left_out(documents: list[Document]) -> None:
    names = {name for document in documents for name in document.structure["parameters"]["properties"]}
    assert not names & {"next_token", "max_results", "marker", "page_size", "client_token", "dry_run"}
    assert "x_amz_acl" not in names


def test_deprecated_and_streaming_operations_are_left_out(documents: list[Document]) -> None:
    ids = {document.id for document in documents}
    assert "aws:lambda:InvokeAsync" not in ids
    assert "aws:lexv2-runtime:StartConversation" not in ids
    assert "aws:s3:SelectObjectContent" not in ids
    assert "aws:lexv2-runtime:RecognizeText" in ids


def test_names_are_unique_in_a_service_and_keep_their_style(documents: list[Document]) -> None:
    by_service: dict[str, list[str]] = {}
    for document in documents:
        by_service.setdefault(document.id.split(":")[1], []).append(document.structure["name"])
    for service, names in by_service.items():
        assert len(set(names)) == len(names)
        if services.is_dotted(service):
            assert all("." in name for name in names)
    assert all(not keyword.iskeyword(part) for names in by_service.values() for n in names for part in n.split("."))


def test_reading_some_services_parses_only_those(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = aws._model
    monkeypatch.setattr(aws, "_model", lambda path: opened.append(path.parent.parent.name) or original(path))
    assert {document.id.split(":")[1] for document in aws.read(["polly"])} == {"polly"}
    reading = aws.read(3, seed=1)
    next(reading)
    assert len(opened) == 2


def test_a_count_draws_different_kinds_of_services_and_the_same_ones_for_a_seed() -> None:
    known = aws.services()
    drawn = services.choose(known, 12, 7, "botocore")
    assert drawn == services.choose(known, 12, 7, "botocore")
    assert drawn != services.choose(known, 12, 8, "botocore")
    assert len({services.kind_of(name) for name in drawn}) == 12


def test_an_unknown_service_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="translate"):
        list(aws.read(["translat"]))


def test_without_botocore_the_reader_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install botocore"):
        next(aws.read(["polly"]))


@pytest.mark.parametrize(
    ("name", "plain_name"),
    [
        ("ListHAPGs", "list_hapgs"),
        ("DBInstanceARNs", "db_instance_arns"),
        ("GetIPv4Address", "get_ipv4_address"),
        ("quickAdd", "quick_add"),
        ("min-rating", "min_rating"),
        ("S3Bucket", "s3_bucket"),
    ],
)
def test_snake_case_is_readable(name: str, plain_name: str) -> None:
    assert snake(name) == plain_name


def test_identifiers_are_no_keywords_and_begin_with_a_letter() -> None:
    assert identifier("from") == "from_value"
    assert identifier("2faCode") == "value_2fa_code"


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("policies", "policy"),
        ("addresses", "address"),
        ("sizes", "size"),
        ("status", "status"),
        ("bucket_acls", "bucket_acl"),
    ],
)
def test_singulars(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_markup_links_and_pointers_are_taken_out_of_texts() -> None:
    assert plain("<p>Gets <code>X</code> &amp; Y.</p><note><p>Mind it.</p></note>") == "Gets X & Y."
    assert opening("Required. The `name`, e.g. `foo`. See [the guide](https://x.y/z).", 160) == "The name, e.g. foo."
    assert opening("Deletes it. See https://x.y/z to learn more.", 160) == "Deletes it."
    assert opening("A policy, as described in https://x.y/z.\n\nMust be unique.", 160) == "A policy. Must be unique."


def test_long_sentences_are_cut_at_a_clause() -> None:
    sentence = "Lists the rooms of a building that are free at a time, including those that need a key, and halls."
    assert (
        cut(sentence, 90) == "Lists the rooms of a building that are free at a time, including those that need a key."
    )
    assert len(cut("word " * 80, 60)) <= 60
