"""Three kinds of server asked what they show the model: llama.cpp, vLLM, and transformers' own.

llama.cpp and vLLM tell the tokens of a chat; transformers tells only how many there are.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from toolace.calls import Call
from toolace.dialogs import read_call
from toolace.errors import InputError

Kind = Literal["llama.cpp", "vllm", "transformers"]
Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Reply:
    """A server's answer.

    Attributes:
        text: what it says in words; nothing where the server has made calls of all of it.
        prompt_tokens: how many tokens the server counted before it; None when it does not say.
        calls: what the server's own parser has read as tool calls.
    """

    text: str
    prompt_tokens: int | None
    calls: tuple[Call, ...] = ()


class Connection:
    """HTTP to one server, JSON in and out.

    Args:
        base_url: its address, with or without `/v1`.
        timeout: seconds for one request.
        api_key_env: name of the environment variable with the key; None for none.

    Raises:
        InputError: the address is none, or the key is not set.
    """

    def __init__(self, base_url: str, timeout: float = 120.0, api_key_env: str | None = None) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{base_url!r} is no http address", where="--base_url", fix="Write http://127.0.0.1:8000.")
        self.url = base_url.rstrip("/").removesuffix("/v1").rstrip("/")
        self.timeout = timeout
        self.headers = {"Content-Type": "application/json"}
        if api_key_env:
            key = os.environ.get(api_key_env, "").strip()
            if not key:
                raise InputError(f"the environment variable {api_key_env} holds no key", fix="Set it.")
            self.headers["Authorization"] = f"Bearer {key}"
        local = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
        handlers = [urllib.request.ProxyHandler({})] if local else []
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str) -> Any | None:
        """The JSON of a GET; None when the server has no such page or answers with something else.

        Raises:
            InputError: nobody answers.
        """
        try:
            return self._ask(path, None)
        except _Refused:
            return None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON of a POST.

        Raises:
            InputError: nobody answers, the server has no such page, or refuses.
        """
        try:
            return self._ask(path, body)
        except _Refused as error:
            where = f"{self.url}{path}"
            if error.status in (404, 405):
                fix = "Check that the address is of the server you mean, and that it is not too old."
                raise InputError("the server has no such page", where=where, fix=fix) from None
            raise InputError(f"the server refuses ({error})", where=where, fix="Correct its settings.") from None

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=self.headers)
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise _Refused(error.code, error.read(400).decode("utf-8", "replace")) from None
        except TimeoutError:
            fix = "Give it longer with --timeout."
            raise InputError(f"no answer within {self.timeout:g} s", where=f"{self.url}{path}", fix=fix) from None
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                fix = "Give it longer with --timeout."
                raise InputError(f"no answer within {self.timeout:g} s", where=f"{self.url}{path}", fix=fix) from None
            fix = "Start the server (the export's README.md says how), or correct --base_url."
            raise InputError(f"no server answers ({reason})", where=self.url, fix=fix) from None
        except ValueError:
            raise _Refused(200, "it answers with something that is not JSON") from None


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(f"{status}: {' '.join(text.split())[:200]}")


class Server:
    """A server of chats. Each kind overrides what it can tell.

    Args:
        connection: to it.
        model: the model's name there.
    """

    kind: Kind = "transformers"

    def __init__(self, connection: Connection, model: str) -> None:
        self.connection, self.model = connection, model

    def prompt_ids(self, messages: Messages, tools: Messages) -> list[int] | None:
        """The tokens the model is shown for a chat; None when the server cannot tell.

        Raises:
            InputError: see `Connection.post`.
        """
        return None

    def answer(self, messages: Messages, tools: Messages, max_tokens: int) -> Reply:
        """The greedy answer.

        Raises:
            InputError: see `Connection.post`; or the reply has no answer in it.
        """
        body: dict[str, Any] = {"model": self.model, "messages": as_sent(messages), "temperature": 0}
        body |= {"max_tokens": max_tokens} | ({"tools": list(tools)} if tools else {})
        path = "/v1/chat/completions"
        reply = self.connection.post(path, body)
        try:
            message = reply["choices"][0]["message"]
            text = message.get("content") or ""
            calls = tuple(read_call(call) for call in message.get("tool_calls") or [])
            count = (reply.get("usage") or {}).get("prompt_tokens")
        except (KeyError, IndexError, TypeError, AttributeError, InputError):
            raise _no_answer(self.connection, path, reply) from None
        return Reply(str(text), count if isinstance(count, int) else None, calls)


class LlamaCpp(Server):
    """llama.cpp's server: it renders a chat on request, and tokenises text as it does its own prompts."""

    kind: Kind = "llama.cpp"

    def prompt_ids(self, messages: Messages, tools: Messages) -> list[int]:
        """See `Server.prompt_ids`."""
        body: dict[str, Any] = {"messages": as_sent(messages)} | ({"tools": list(tools)} if tools else {})
        reply = self.connection.post("/apply-template", body)
        text = reply.get("prompt") if isinstance(reply, dict) else None
        if not isinstance(text, str):
            raise _no_answer(self.connection, "/apply-template", reply)
        found = self.connection.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return _ids(self.connection, "/tokenize", found)


class Vllm(Server):
    """vLLM: it tokenises a chat as it would for an answer."""

    kind: Kind = "vllm"

    def prompt_ids(self, messages: Messages, tools: Messages) -> list[int]:
        """See `Server.prompt_ids`."""
        body: dict[str, Any] = {"model": self.model, "messages": as_sent(messages), "add_generation_prompt": True}
        body |= {"return_token_strs": False} | ({"tools": list(tools)} if tools else {})
        return _ids(self.connection, "/tokenize", self.connection.post("/tokenize", body))


KINDS: dict[str, type[Server]] = {"llama.cpp": LlamaCpp, "vllm": Vllm, "transformers": Server}


def find_server(connection: Connection, kind: str | None = None, model: str | None = None) -> Server:
    """The server at an address.

    Args:
        connection: to it.
        kind: one of `KINDS`; None finds out.
        model: the model's name there; None takes the first one it lists.

    Raises:
        InputError: nobody answers.
    """
    listed = connection.get("/v1/models")
    if kind is None:
        props, version = connection.get("/props"), connection.get("/version")
        if isinstance(props, dict) and "default_generation_settings" in props:
            kind = "llama.cpp"
        else:
            kind = "vllm" if isinstance(version, dict) and "version" in version else "transformers"
    if model is None:
        names = [str(entry["id"]) for entry in (listed or {}).get("data") or [] if "id" in entry]
        if not names:
            fix = "Name the model with --model."
            raise InputError("the server lists no model", where=f"{connection.url}/v1/models", fix=fix)
        model = names[0]
    return KINDS[kind](connection, model)


def as_sent(messages: Messages) -> list[dict[str, Any]]:
    """Messages as the OpenAI API has them: arguments of calls are JSON text, which servers read for their templates."""
    sent = []
    for message in messages:
        calls = [
            {**call, "type": "function", "function": {**call["function"], "arguments": _text(call)}}
            for call in message.get("tool_calls") or []
        ]
        sent.append({**message, "tool_calls": calls} if calls else dict(message))
    return sent


def _text(call: Mapping[str, Any]) -> str:
    arguments = call["function"]["arguments"]
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _ids(connection: Connection, path: str, reply: Any) -> list[int]:
    tokens = reply.get("tokens") if isinstance(reply, dict) else None
    if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
        raise _no_answer(connection, path, reply)
    return tokens


def _no_answer(connection: Connection, path: str, reply: Any) -> InputError:
    what = f"the server's reply is not understood ({json.dumps(reply)[:120]})"
    return InputError(what, where=f"{connection.url}{path}", fix="Name its kind with --server.")
