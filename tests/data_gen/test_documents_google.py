from __future__ import annotations

import keyword
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from data_gen.documents import google, services
from data_gen.documents.document import Document
from data_gen.documents.naming import action_name
from toolace import InputError


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return list(google.read(("calendar", "gmail", "translate", "books", "docs", "admin.directory", "people")))


def operation(documents: list[Document], id_: str) -> dict[str, Any]:
    return dict(next(document for document in documents if document.id == id_).structure)


def test_a_method_is_read_with_names_types_enums_and_required(documents: list[Document]) -> None:
    document = next(d for d in documents if d.id == "google:calendar:events.move")
    structure = document.structure
    assert structure["name"] in ("calendar.move_event", "move_event")
    parameters = structure["parameters"]
    assert parameters["required"] == ["calendar_id", "event_id", "destination"]
    # send_notifications is deprecated.
    assert list(parameters["properties"]) == ["calendar_id", "event_id", "destination", "send_updates"]
    assert parameters["properties"]["send_updates"]["enum"] == ["all", "externalOnly", "none"]
    assert document.title == "Google Calendar API"
    assert document.path == ("Office and productivity", "Google Calendar API", "event")
    assert document.source["operation"] == "calendar.events.move"
    assert document.licence == "Apache-2.0"


def test_a_small_body_is_spread_out_and_a_large_one_is_one_parameter(documents: list[Document]) -> None:
    spread = operation(documents, "google:calendar:calendars.insert")["parameters"]["properties"]
    assert {"summary", "time_zone"} <= set(spread)
    whole = operation(documents, "google:calendar:events.insert")["parameters"]
    assert "event" in whole["required"]
    assert {"summary", "start", "end", "attendees"} <= set(whole["properties"]["event"]["properties"])


def test_what_the_server_sets_is_left_out_of_bodies(documents: list[Document]) -> None:
    event = operation(documents, "google:calendar:events.insert")["parameters"]["properties"]["event"]["properties"]
    assert not set(event) & {"etag", "kind", "id"}


def test_common_query_parameters_are_left_out(documents: list[Document]) -> None:
    names = {name for document in documents for name in document.structure["parameters"]["properties"]}
    assert not names & {"alt", "fields", "key", "pretty_print", "page_token", "max_results", "oauth_token", "xgafv"}


def test_schemas_are_valid_and_within_the_limits(documents: list[Document]) -> None:
    def check(node: Any, depth: int) -> None:
        if not isinstance(node, dict):
            return
        properties = node.get("properties", {})
        assert len(properties) <= 25
        assert set(node.get("required", ())) <= set(properties)
        assert all(name.isidentifier() and not keyword.iskeyword(name) for name in properties)
        inner = depth + bool(properties)
        assert inner <= 4
        for child in (*properties.values(), node.get("items"), node.get("additionalProperties")):
            check(child, inner)

    for document in documents:
        for part in ("parameters", "returns"):
            if document.structure[part] is not None:
                Draft202012Validator.check_schema(document.structure[part])
                check(document.structure[part], 0)


def test_texts_are_plain_and_short(documents: list[Document]) -> None:
    for document in documents:
        text = document.structure["description"]
        assert len(text) <= 300
        assert not re.search(r"https?://|\]\(|\*\*|`|\A(?:Required|Optional|Output only)\b", text)


def test_names_are_unique_in_an_api(documents: list[Document]) -> None:
    names = [(document.id.split(":")[1], document.structure["name"]) for document in documents]
    assert len(set(names)) == len(names)


def test_the_newest_stable_version_is_taken(tmp_path: Path) -> None:
    for name in (
        "a.v1",
        "a.v2",
        "a.v3beta1",
        "b.v1alpha",
        "b.v1beta1",
        "c.v1.2",
        "c.v1.10",
        "d.dir_v1",
        "d.dirv1",
        "e.alpha",
    ):
        (tmp_path / f"{name}.json").write_text("{}", encoding="utf-8")
    files = {name: path.stem for name, path in google._files(tmp_path).items()}
    assert files == {"a": "a.v2", "b": "b.v1beta1", "c": "c.v1.10", "d.dir": "d.dirv1", "e": "e.alpha"}


@pytest.mark.parametrize(
    ("chain", "method", "name"),
    [
        (("events",), "list", "list_events"),
        (("events",), "quickAdd", "quick_add_event"),
        (("disks",), "setLabels", "set_labels_for_disk"),
        (("projects", "locations", "clusters"), "create", "create_cluster"),
        ((), "search", "search"),
    ],
)
def test_names_are_verb_first(chain: tuple[str, ...], method: str, name: str) -> None:
    assert action_name(chain, method, {}) == name


def test_a_taken_name_grows_by_its_parent() -> None:
    assert action_name(("zones", "clusters"), "create", {"create_cluster": "x"}) == "create_zone_cluster"


def test_reading_some_apis_parses_only_those(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    original = google.read_json
    monkeypatch.setattr(google, "read_json", lambda path: opened.append(path.name) or original(path))
    assert list(google.read(["pollen"]))
    assert opened == ["pollen.v1.json"]


def test_a_count_draws_as_many_apis_of_different_kinds() -> None:
    drawn = services.choose(google.services(), 10, 3, "google")
    assert len({services.kind_of(name) for name in drawn}) == 10


def test_an_unknown_api_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match="calendar"):
        list(google.read(["calender"]))


def test_without_the_package_the_reader_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="google-api-python-client"):
        google.services()
