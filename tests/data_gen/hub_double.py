"""HubDouble: the few requests of the Hugging Face hub that publishing a data set makes, on loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class HubDouble:
    """A hub that knows one token and takes every file, small ones in the commit and Parquet files by LFS.

    Attributes:
        url: its address.
        repos: name -> whether it is private.
        files: name -> path -> content, as committed.
    """

    def __init__(self, token: str = "t0ken") -> None:
        self.token = token
        self.repos: dict[str, bool] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> HubDouble:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """(status, JSON) of a request."""
        path = path.partition("?")[0]
        if method == "PUT" and path.startswith("/upload/"):
            self.objects[path.rpartition("/")[2]] = body
            return 200, {}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.repos[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            self.files.setdefault(name, {})
            return 200, {"url": f"{self.url}/datasets/{name}", "name": name}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/whoami-v2":
            return 200, {"name": "me", "type": "user", "orgs": [], "auth": {}}
        repo = "/".join(path.split("/")[3:5])
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(".parquet") else "regular",
                    "shouldIgnore": False,
                }
                for f in files
            ]
            return 200, {"files": modes}
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {"oid": o["oid"], "size": o["size"], "actions": {"upload": {"href": f"{self.url}/upload/{o['oid']}"}}}
                for o in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}
        if "/commit/" in path:
            self._commit(repo, body)
            digest = hashlib.sha1(body).hexdigest()
            return 200, {"commitUrl": f"{self.url}/datasets/{repo}/commit/{digest}", "commitOid": digest}
        return 404, {"error": f"no such address: {path}"}

    def _commit(self, repo: str, body: bytes) -> None:
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                self.files[repo][value["path"]] = base64.b64decode(value["content"])
            if item["key"] == "lfsFile":
                self.files[repo][value["path"]] = self.objects[value["oid"]]

    def _handler(double) -> type[BaseHTTPRequestHandler]:  # noqa: N805  (the handler's own self is inside)
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                double.asked.append(f"{self.command} {self.path}")
                known = self.headers.get("Authorization") == f"Bearer {double.token}" or self.command == "PUT"
                status, value = double.answer(self.command, self.path, body) if known else (401, {"error": "no token"})
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_HEAD = _serve  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        return Handler
