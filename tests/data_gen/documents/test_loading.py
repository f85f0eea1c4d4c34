from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_gen.documents import loading, safe_yaml
from data_gen.documents.licences import is_permissive, spdx
from toolace import InputError


def test_plain_values_follow_yaml_1_2() -> None:
    text = "a: on\nb: 12:30\nc: 2024-05-01\nd: 007\ne: 1.5\nf: true\ng: '1'\nh: ~\n200: {x: -3}\n"
    assert safe_yaml.load(text) == {
        "a": "on", "b": "12:30", "c": "2024-05-01", "d": "007", "e": 1.5, "f": True, "g": "1", "h": None,
        "200": {"x": -3},
    }  # fmt: skip


def test_aliases_and_merges_are_resolved() -> None:
    text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nlist: [*b]\n"
    assert safe_yaml.load(text)["own"] == {"x": 1, "y": 3}
    assert safe_yaml.load(text)["list"] == [{"x": 1, "y": 2}]


def bomb(merge: str) -> str:
    lines = ["a0: &a0 {k: v}"] + [f"a{i}: &a{i} {merge.format(','.join([f'*a{i - 1}'] * 9))}" for i in range(1, 30)]
    return "\n".join(lines)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bomb("[{}]"), "aliases stand for more"),
        (bomb("{{<<: [{}]}}"), "aliases stand for more"),
        ("[" * 100_000, "nested deeper"),
        ("- " * 100_000 + "x", "nested deeper"),
        ("a: &a [*a]", "stands for nothing"),
        ('a: "open', "line"),
        ("? [1]\n: 2", "stands as a key"),
    ],
)
def test_yaml_that_exhausts_its_reader_is_one_line(text: str, reason: str) -> None:
    with pytest.raises(safe_yaml.YamlProblem, match=reason):
        safe_yaml.load(text)


@given(st.text(max_size=60))
def test_any_text_is_yaml_or_a_problem(text: str) -> None:
    try:
        safe_yaml.load(text)
    except safe_yaml.YamlProblem as problem:
        assert str(problem)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{\xff\xfe}", "is not UTF-8"),
        (b'{"openapi": "3.0.0", "paths": {', "is not JSON"),
        (b"[" * 200_000, "is not JSON"),
        (b'{"a": 1e999}', "is not JSON"),
    ],
)
def test_broken_json_is_one_line_with_file_and_fix(raw: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        loading.parse(raw, "api.json")
    assert str(caught.value).startswith("api.json: ") and caught.value.fix


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BYTES", 2**20)
    path = tmp_path / "big.json"
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(InputError, match="more than 1 MiB"):
        loading.read_bytes(path)


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        self.send_response(200 if self.path != "/lost" else 404)
        self.end_headers()
        self.wfile.write(b"x" * (3_000_000 if self.path == "/long" else 5))

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    http = HTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def test_an_address_is_fetched_within_limits(server: str) -> None:
    assert loading.fetch(f"{server}/short") == b"xxxxx"
    for path, reason in (("/lost", "404"), ("/long", "MiB"), ("/moved", "(?i)redirect")):
        with pytest.raises(InputError, match=reason):
            loading.fetch(server + path, bytes_=2**20)


def test_an_address_nobody_answers_is_one_line() -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        loading.fetch("http://127.0.0.1:9/api.json", seconds=5)


@pytest.mark.parametrize(
    ("stated", "id_"),
    [
        ("Apache 2.0", "Apache-2.0"),
        ({"name": "The MIT License (MIT)"}, "MIT"),
        ({"name": "Ours", "url": "https://www.apache.org/licenses/LICENSE-2.0.html"}, "Apache-2.0"),
        ({"identifier": "EUPL-1.2", "name": "x"}, "EUPL-1.2"),
        ("CC BY-NC 4.0", "CC-BY-NC-4.0"),
        ("Creative Commons Attribution 3.0", "CC-BY-3.0"),
        ("GNU Affero General Public License v3.0", "AGPL-3.0"),
        ("eBay API License Agreement", "eBay API License Agreement"),
        (None, ""),
        (["MIT"], ""),
    ],
)
def test_licences_become_spdx_ids(stated: object, id_: str) -> None:
    assert spdx(stated) == id_


def test_only_known_permissive_licences_count() -> None:
    assert is_permissive("MIT") and not is_permissive("") and not is_permissive("CC-BY-NC-4.0")
