import dataclasses
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from small_export import make_run, make_small_model

from toolace.cli import main
from toolace.errors import InputError
from toolace_train.local_answers import LocalModel
from toolace_train.model import load_tokenizer
from toolace_train.prompts import prompts_of, spread, trained_rows
from toolace_train.rendering import Renderer
from toolace_train.row_checks import RowCheck, compare_prompts, first_gap
from toolace_train.serve_check import summary
from toolace_train.server_process import serving
from toolace_train.servers import Connection, as_sent, find_server
from toolace_train.tuned import read_tuned

LLAMA_SERVER = os.environ.get("TOOLACE_LLAMA_SERVER")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuned")
    run = make_run(make_small_model(folder / "base"), folder / "tiny", dtype="float32")
    assert main(["export", str(run), "--gguf", "f32"]) == 0
    return run


@pytest.fixture(scope="module")
def local(run):
    return LocalModel(run / "export")


def prompts(run, **changes):
    """The prompts of a run whose rows are rendered again, as it kept no tokens."""
    data = dataclasses.replace(read_tuned(run).data, **changes)
    renderer = Renderer(load_tokenizer(str(run / "export")))
    rows = trained_rows(data, renderer, {}, None, {})
    assert not rows.kept
    return prompts_of(rows.rows, data, renderer)


class Double:
    """The HTTP of a server, answered by the model in this process.

    Args:
        kind: whose pages it has.
        local: the model.
        render: what it makes of a chat; None for the export's own template.
        wait: seconds before each answer.
        answer: what it says instead of the model's answer.
    """

    def __init__(self, kind, local, render=None, wait=0.0, answer=None):
        self.kind, self.local, self.wait, self.said = kind, local, wait, answer
        self.render = render or (lambda messages: self.template(messages))
        self.asked = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send(double.get(self.path))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                time.sleep(double.wait)
                double.asked.append((self.path, body))
                self.send(double.post(self.path, body))

            def send(self, value):
                text = json.dumps(value if value is not None else {"error": "no such page"}).encode()
                self.send_response(200 if value is not None else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.http.server_close()

    def template(self, messages):
        return self.local.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)

    def ids(self, text):
        return self.local.tokenizer(text, add_special_tokens=False)["input_ids"]

    def get(self, path):
        pages = {"/v1/models": {"data": [{"id": "tiny"}]}, "/health": {"status": "ok"}}
        pages |= {
            "llama.cpp": {"/props": {"default_generation_settings": {}}},
            "vllm": {"/version": {"version": "1"}},
        }.get(self.kind, {})
        return pages.get(path)

    def post(self, path, body):
        if path == "/v1/chat/completions":
            ids = self.ids(self.render(body["messages"]))
            text = self.said or self.local.text(self.local.greedy(ids, body["max_tokens"]))
            return {"choices": [{"message": {"content": text}}], "usage": {"prompt_tokens": len(ids)}}
        if path == "/apply-template" and self.kind == "llama.cpp":
            return {"prompt": self.render(body["messages"])}
        if path == "/tokenize" and self.kind in ("llama.cpp", "vllm"):
            return {"tokens": self.ids(body["content"] if "content" in body else self.render(body["messages"]))}
        return None


def checked(run, url, capsys, *words):
    capsys.readouterr()
    code = main(["serve-check", str(run), "--base_url", url, "--n", "3", "--max_new_tokens", "8", "--json", *words])
    output = capsys.readouterr()
    return code, json.loads(output.out) if output.out else output.err


@pytest.mark.parametrize(
    ("kind", "proof"), [("llama.cpp", "tokens"), ("vllm", "tokens"), ("transformers", "number of tokens")]
)
def test_a_server_with_the_trained_prompt_passes(run, local, capsys, kind, proof):
    with Double(kind, local) as server:
        code, result = checked(run, server.url, capsys)
    assert code == 0 and result["passed"]
    assert (result["server"], result["proof"]) == (kind, proof)
    assert result["prompts_equal"] == result["answers_equal"] == result["rows"] == 3
    assert result["largest_gap"] == 0 and result["answers_of"] == "base and adapter"
    # The tiny model answers in words where it was trained on calls: nothing of that counts as equal calls.
    assert (result["answers_with_calls"], result["calls_equal"]) == (0, 0)
    assert (result["trained_calls"], result["calls_right"], result["trained_words"]) == (3, 0, 0)


@pytest.mark.parametrize("kind", ["llama.cpp", "vllm"])
def test_a_server_with_another_template_fails_and_the_first_difference_is_shown(run, local, capsys, kind):
    def other(messages):
        return local.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True).replace(
            "user\n", "user: ", 1
        )

    with Double(kind, local, render=other) as server:
        code, result = checked(run, server.url, capsys)
    assert code == 1 and not result["passed"] and result["prompts_equal"] == 0
    difference = result["first_different_prompt"]["difference"]
    assert "trained" in difference and "user\\n" in difference and "user: " in difference


def test_a_server_that_begins_every_prompt_with_one_more_token_fails_where_only_counts_are_told(run, local, capsys):
    with Double("transformers", local, render=lambda m: "<|im_start|>" + Double.template(server, m)) as server:
        code, result = checked(run, server.url, capsys)
    assert code == 1 and "the server counted" in result["first_different_prompt"]["difference"]


def test_a_server_with_other_weights_fails_by_the_gap_of_its_choice(run, local, capsys):
    with Double("llama.cpp", local, answer="[weather(city='Bergen')]") as server:
        code, result = checked(run, server.url, capsys, "--noise", "0.01")
    assert code == 1 and result["prompts_equal"] == 3 and result["answers_equal"] == 0
    assert result["largest_gap"] > 0.01 and result["first_beyond_noise"]["gap"] > 0.01


def test_the_prompt_that_is_compared_is_what_stood_before_the_last_trained_answer(run, local):
    found = prompts(run)
    assert len(found) == 6
    for prompt in found:
        assert [message["role"] for message in prompt.messages][-1] == "user"
        assert (
            prompt.ids
            == local.tokenizer.apply_chat_template(prompt.messages, add_generation_prompt=True, return_dict=True)[
                "input_ids"
            ]
        )
        assert prompt.answer.startswith("[weather(") and prompt.answer.endswith("<|im_end|>")
    assert spread(list("abcdef"), 3) == ["a", "c", "e"] and spread(list("abc"), 50) == ["a", "b", "c"]


def test_rows_that_were_too_long_to_train_are_not_checked(run):
    lengths = [len(p.ids) for p in prompts(run)]
    with pytest.raises(InputError, match="nothing is left to train on"):
        prompts(run, max_length=min(lengths))


def test_tokens_that_are_missing_at_the_end_are_a_difference(local):
    state, difference = compare_prompts([5, 6, 7], [5, 6], 2, local)
    assert state == "different" and "token 2 differs" in difference
    assert compare_prompts([5, 6], [5, 6], None, local) == ("equal", "")
    assert compare_prompts([5, 6], None, None, local)[0] == "different"
    # What it tells on request and what it counted while answering must agree.
    assert compare_prompts([5, 6], [5, 6], 3, local)[0] == "different"


def logits_after(local, ids):
    import torch

    with torch.inference_mode():
        return local.model(torch.tensor([ids])).logits[0, -1]


def test_the_gap_is_taken_where_the_answers_part(run, local):
    prompt = prompts(run)[0]
    own = local.tokens("the weather in")
    logits = logits_after(local, [*prompt.ids, *own[:-1]])
    # The server may have written " of" as one token or as a space and more.
    starts = [local.tokens(text)[0] for text in (" ", " o", " of")]
    wanted = float(logits.max() - logits[starts].max())
    assert first_gap(local, prompt.ids, own, "the weather of") == pytest.approx(wanted, abs=1e-4)
    ended = float(logits.max() - logits[sorted(local.ends)].max())
    assert first_gap(local, prompt.ids, own, "the weather") == pytest.approx(ended, abs=1e-4)


def test_answers_cut_at_the_same_length_or_trimmed_by_the_server_have_no_gap(run, local):
    prompt = prompts(run)[0]
    own = local.tokens(" the weather")
    assert first_gap(local, prompt.ids, own, "the weather in") == 0.0


def test_a_character_of_several_tokens_is_compared_token_by_token(run, local):
    prompt = prompts(run)[0]
    own, served = local.tokens("a\U0001f327"), local.tokens("a\U0001f328")
    assert len(own) == len(served) and own[:-1] == served[:-1]
    logits = logits_after(local, [*prompt.ids, *own[:-1]])
    wanted = float(logits.max() - logits[served[-1]])
    assert wanted > 0
    assert first_gap(local, prompt.ids, own, "a\U0001f328") == pytest.approx(wanted, abs=1e-4)


def test_a_check_passes_only_without_different_prompts_and_within_noise():
    good = RowCheck("a", "equal", "", True, True, True, True, 0.0)
    close = RowCheck("b", "equal", "", False, False, True, False, 0.5)
    assert summary([good, close], "vllm", "float32", 1.0)["passed"]
    assert not summary([good, close], "vllm", "float32", 0.4)["passed"]
    other = RowCheck("c", "different", "x", True, None, False, True, 0.0)
    assert not summary([good, other], "vllm", "float32", 1)["passed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--base_url", "http://127.0.0.1:9"], "no server answers"),
        (["--base_url", "127.0.0.1:9"], "is no http address"),
        (["--base_url", "http://127.0.0.1:9", "--api_key_env", "NO_SUCH_KEY"], "NO_SUCH_KEY holds no key"),
        ([], "names no server to check"),
        (["--server", "llama.cpp", "--binary", "no-such-program"], "no such program"),
        (["--server", "llama.cpp", "--gguf", "q4.gguf"], "holds no q4.gguf"),
        (["--base_url", "http://127.0.0.1:9", "--rows", "nowhere.jsonl"], "nowhere.jsonl: no such file of"),
        (["--base_url", "http://127.0.0.1:9", "--n", "0"], "must be above 0"),
    ],
)
def test_bad_input_is_one_line_and_code_2(run, words, message, capsys):
    capsys.readouterr()
    assert main(["serve-check", str(run), *words]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("toolace:")]
    assert len(lines) == 1 and message in lines[0]


def test_a_run_without_an_export_is_told_how_to_make_one(tmp_path, capsys):
    assert main(["serve-check", str(tmp_path), "--base_url", "http://127.0.0.1:9"]) == 2
    assert f"Make one: toolace export {tmp_path}" in capsys.readouterr().err


def test_a_server_of_another_kind_than_said_lacks_pages(run, local, capsys):
    with Double("transformers", local) as server:
        code, error = checked(run, server.url, capsys, "--server", "vllm")
    assert code == 2 and "/tokenize: the server has no such page" in error


def test_a_server_that_does_not_answer_in_time_is_named(run, local, capsys):
    with Double("llama.cpp", local, wait=2.0) as server:
        code, error = checked(run, server.url, capsys, "--timeout", "0.5")
    assert code == 2 and "no answer within 0.5 s" in error


def test_a_server_that_cannot_start_is_told_with_its_last_words():
    command = ["sh", "-c", "echo loading; echo 'error: no memory'; echo bye; exit 3"]
    with pytest.raises(InputError, match=r"ended with code 3 \(error: no memory\)"), serving(command, 9, 10):
        pass


def test_a_server_that_is_never_ready_is_ended():
    started = time.monotonic()
    with pytest.raises(InputError, match=r"is not ready after 0\.5 s"), serving(["sleep", "60"], 9, 0.5):
        pass
    assert time.monotonic() - started < 20


def test_arguments_of_calls_are_sent_as_text():
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"city": "Zürich"}}}
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
    sent = as_sent(messages)
    assert sent[0] == messages[0]
    assert sent[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"city": "Zürich"}'}
    assert call["function"]["arguments"] == {"city": "Zürich"}


def test_kinds_of_server_are_told_apart(local):
    for kind in ("llama.cpp", "vllm", "transformers"):
        with Double(kind, local) as server:
            found = find_server(Connection(server.url))
            assert (found.kind, found.model) == (kind, "tiny")


@pytest.mark.skipif(not os.environ.get("TOOLACE_REAL_SERVERS"), reason="set TOOLACE_REAL_SERVERS=1: it takes a minute")
def test_transformers_own_server_passes(run, capsys):
    capsys.readouterr()
    words = ["--server", "transformers", "--n", "3", "--max_new_tokens", "16", "--json"]
    assert main(["serve-check", str(run), *words]) == 0
    assert json.loads(capsys.readouterr().out)["answers_equal"] == 3


@pytest.mark.skipif(not LLAMA_SERVER, reason="set TOOLACE_LLAMA_SERVER to llama.cpp's llama-server")
def test_llama_cpp_s_server_shows_the_trained_prompt_token_by_token(run, capsys):
    capsys.readouterr()
    words = ["--server", "llama.cpp", "--binary", LLAMA_SERVER, "--n", "6", "--max_new_tokens", "16", "--json"]
    assert main(["serve-check", str(run), *words]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["proof"] == "tokens" and result["prompts_equal"] == result["answers_equal"] == 6


@pytest.mark.skipif(not LLAMA_SERVER, reason="set TOOLACE_LLAMA_SERVER to llama.cpp's llama-server")
def test_a_first_token_that_template_and_tokenizer_both_write_is_served_once(tmp_path, capsys):
    """Llama 3's tokenizer begins every text with a token that its chat template writes too."""
    base = make_small_model(tmp_path / "base")
    first = {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    single = [{"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}, text]
    processor = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": {first["id"]: first}}
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    (base / "tokenizer.json").write_text(json.dumps({**tokenizer, "post_processor": processor}))
    config = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": "<|endoftext|>"}))
    template = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").write_text("{{ bos_token }}" + template)
    run = make_run(base, tmp_path / "run", dtype="float32")
    assert main(["export", str(run)]) == 0
    assert prompts(run)[0].ids[:2] == [0, 1]
    capsys.readouterr()
    words = ["--server", "llama.cpp", "--binary", LLAMA_SERVER, "--n", "2", "--max_new_tokens", "4", "--json"]
    assert main(["serve-check", str(run), *words]) == 0, capsys.readouterr().out
