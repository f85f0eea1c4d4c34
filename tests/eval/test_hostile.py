"""Hostile answers are refused in bounded time and do nothing: a canary file and a listening socket prove it."""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bfcl_answers import DATA, write_results

from eval.bfcl import bridge, executable, simulation
from eval.bfcl.execution_guard import COSTS, inspect_call, inspect_formula
from eval.bfcl.judging import Item
from eval.bfcl.scoring import score_results
from eval.bfcl.worker import Worker


class Monitor:
    """A socket that counts who connects, and a file that no answer may write."""

    def __init__(self, folder: Path) -> None:
        self.canary, self.connections = folder / "canary", 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()

    def assert_nothing_happened(self) -> None:
        assert not self.canary.exists(), "an answer wrote a file"
        assert self.connections == 0, "an answer opened a connection"


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    with closing(Monitor(tmp_path)) as made:
        yield made
        made.assert_nothing_happened()


def test_the_monitor_would_notice(tmp_path: Path) -> None:
    with closing(Monitor(tmp_path)) as monitor:
        exec(codes(monitor)[0])
        with socket.create_connection(("127.0.0.1", monitor.port)):
            pass
        time.sleep(0.2)
        with pytest.raises(AssertionError, match="wrote a file"):
            monitor.assert_nothing_happened()
        monitor.canary.unlink()
        with pytest.raises(AssertionError, match="opened a connection"):
            monitor.assert_nothing_happened()


def codes(monitor: Monitor) -> list[str]:
    """Expressions that write the canary or connect to the monitor."""
    path = str(monitor.canary)
    return [
        f"open(file={path!r}, mode='w')",
        f"__import__('pathlib').Path({path!r}).write_text('x')",
        f"__import__(name='os').system('touch {path}')",
        f"importlib.import_module(name='urllib.request').urlopen('http://127.0.0.1:{monitor.port}')",
        f"(lambda: open({path!r}, 'w'))()",
        f"().__class__.__base__.__subclasses__()[0] or open({path!r}, 'w')",
    ]


def texts(monitor: Monitor) -> list[str]:
    """Answers: code where a value, a name, a key or a call is expected; bombs; long and deep texts."""
    found = []
    for code in codes(monitor):
        found += [
            f"[{code}]",
            f"[cd(folder={code})]",
            f"[cd(folder={code} + 0)]",
            f'[cd(folder={{"{code} or str": {{}}}})]',
            f'[cd(**{{"folder={code}, x": 1}})]',
            f"[echo(content=pwd(), file_name={code})]",
            f"[{code}, cd(folder='document')]",
            f"[estimate_derivative(function={('lambda x: ' + code)!r}, x=1)]",
        ]
    return [
        *found,
        "[cd(folder=9**9**9)]",
        "[calculate_mean(numbers=[9**9**9])]",
        "[f(a='x'*10**9)]",
        "[" * 50_000,
        "[f(a=" + "(" * 5_000 + "1" + ")" * 5_000 + ")]",
        "[f(a='" + "x" * 1_000_000 + "')]",
        "[f" + "(a=g" * 3_000 + ")" * 3_000 + "]",
        "\x00[f(a=1)]",
    ]


@pytest.mark.timeout(120)
def test_hostile_answers_to_every_kind_of_question_do_nothing(monitor: Monitor, tmp_path: Path) -> None:
    hostile = texts(monitor)
    for name in ("simple_python", "irrelevance", "live_relevance", "multi_turn_base", "exec_simple", "memory_kv"):
        rows = DATA.questions(name)
        turns = [len(row["question"]) for row in rows]
        several = name.startswith(("multi_turn", "memory"))
        answers: dict[str, Any] = {}
        for i, (row, count) in enumerate(zip(rows, turns, strict=True)):
            text = hostile[i % len(hostile)]
            answers[row["id"]] = [[text, text]] * count if several else text
        write_results(tmp_path / "result", "hostile", name, answers)
    start = time.process_time()
    verdicts = score_results(tmp_path / "result")
    assert time.process_time() - start < 30
    refused = {v["category"] for v in verdicts if v["error_type"] == "guard:refused"}
    assert {"simple_python", "multi_turn_base"} <= refused
    wrong = [v for v in verdicts if v["category"] in ("simple_python", "multi_turn_base", "exec_simple", "memory_kv")]
    assert not any(verdict["valid"] for verdict in wrong)


@pytest.mark.timeout(60)
def test_an_api_that_is_asked_for_the_impossible_is_not_called_and_the_next_answer_is_judged() -> None:
    math = next(row for row in DATA.questions("multi_turn_base") if "MathAPI" in row["involved_classes"])
    gold = DATA.gold("multi_turn_base")[math["id"]]
    bomb = [["[power(base=9999999999, exponent=99999999)]"]] * len(gold)
    talk = [["I see."]] * len(gold)
    with closing(Worker()) as worker:
        talked = next(worker.judge_all([Item("v4", "multi_turn_base", math, gold, talk)]))
        start = time.monotonic()
        verdicts = list(worker.judge_all([Item("v4", "multi_turn_base", math, gold, bomb)] * 20))
        seconds = time.monotonic() - start
        again = next(worker.judge_all([Item("v4", "multi_turn_base", math, gold, talk)]))
    assert {verdict["error_type"] for verdict in verdicts} == {"guard:refused"}
    assert verdicts[0]["error"] == ["a power too large to be computed"]
    assert seconds < 5, "none of the twenty was executed"
    assert talked == again and talked["error_type"] == "multi_turn:empty_turn_model_response"


BOMBS = (
    "power(base=9, exponent=99999999)", "power(9, 99999999)", "power(base=9, exponent=-99999999)",
    "square_root(number=2, precision=999999999)", "logarithm(value=2, base=3, precision=99999999)",
    "round_number(number=5, decimal_places=-99999999)", "math_factorial(n=99999999)",
    "calc_binomial_probability(n=99999999, k=5, p=0.5)", "calculate_permutations(n=99999999, k=1)",
    "get_fibonacci_sequence(n=99999999)", "get_fibonacci_number(n=99999999)",
    "calculate_future_value(present_value=1, interest_rate=7, periods=99999999)", "pwd(a=power(9, 99999999))",
)  # fmt: skip
HARMLESS = (
    "power(base=2, exponent=10)", "power(base=1.5, exponent=100000)", "power(2.0, 1e9)", "power(base='9')",
    "square_root(number=2, precision=50)", "logarithm(10, 2, 10)", "round_number(number=2.345, decimal_places=2)",
    "math_factorial(n=170)", "get_fibonacci_sequence(n=1000)", "power(base=1e999, exponent=2)", "power(base=[1])",
    "calculate_future_value(present_value=1000, interest_rate=0.05, periods=10000)", "power()", "pwd(99999999)",
)  # fmt: skip


@pytest.mark.parametrize("call", BOMBS + HARMLESS)
def test_numbers_that_would_keep_an_api_busy_for_minutes_are_refused_and_others_are_not(call: str) -> None:
    refused = inspect_call(call, {"pwd", *COSTS}, simulation._resolvable())
    assert bool(refused) == (call in BOMBS), refused


def test_costs_name_the_parameters_of_the_official_functions_in_their_order() -> None:
    bridge.simulated_apis()  # decides where the package makes its folders
    from bfcl_eval.eval_checker.multi_turn_eval.func_source_code.math_api import MathAPI

    for name, (parameters, _) in COSTS.items():
        official = getattr(MathAPI, name, None)
        if official is not None:
            assert tuple(inspect.signature(official).parameters)[1:] == parameters, name
    assert sum(hasattr(MathAPI, name) for name in COSTS) == 4


@pytest.mark.skipif(not executable.package_installed(), reason=f"needs {executable.PACKAGE}")
def test_costs_name_the_parameters_of_the_executed_functions_too() -> None:
    _, functions = executable._checker()
    for name, (parameters, _) in COSTS.items():
        if hasattr(functions, name):
            assert tuple(inspect.signature(getattr(functions, name)).parameters) == parameters, name


@pytest.mark.parametrize("text", ["lambda x: ((9**64)**64)**64", "lambda x: x**65", "lambda x: 2**x"])
def test_a_function_in_text_holds_no_tower_of_powers(text: str) -> None:
    assert inspect_formula(text) and inspect_formula("lambda x: 3*x**5 + x**4 - 2*x**3 + x**2") is None


@pytest.mark.parametrize(
    "call",
    [
        "cd(folder='a')", "cd(folder=pwd())", "echo(content='x = open(1)', file_name='a')", "f(a=[1, {'b': -2.5}])",
        "ls(a=None, b=True, c=(1, 2))", "no_such_call(a=open('x'))"[:23] + ")", "cd(folder=",
    ],
)  # fmt: skip
def test_calls_that_models_write_are_left_to_the_official_code(call: str) -> None:
    assert inspect_call(call, {"cd", "pwd", "echo", "ls"}, simulation._resolvable()) is None


@pytest.mark.parametrize(
    "call",
    [
        "open(file='x')", "json.dumps(1)", "importlib.import_module('os')", "cd(folder=open('x'))", "cd(folder=json)",
        "cd(folder=[x for x in (1,)])", "cd(folder=9**9)", "(lambda: 1)()", "copy.copy(x=1)",
        "cd(folder=f'{1}')", "ls() if 1 else 2", "cd(a=func_call)", "cd(a=1)[0]", "print(a=1)",
        "cd(a=0x" + "f" * 9_999 + ")",
    ],
)  # fmt: skip
def test_everything_else_is_refused(call: str) -> None:
    assert inspect_call(call, {"cd", "ls"}, simulation._resolvable())


def test_the_sandbox_lets_nothing_out_even_when_a_guard_would(monitor: Monitor) -> None:
    code = f"""
import json, sys
from eval.bfcl.sandbox import close_sandbox
close_sandbox()
attempts = [
    lambda: open({str(monitor.canary)!r}, "w"),
    lambda: __import__("os").open({str(monitor.canary)!r}, 65),
    lambda: __import__("os").system("touch {monitor.canary}"),
    lambda: __import__("subprocess").run(["true"]),
    lambda: __import__("socket").create_connection(("127.0.0.1", {monitor.port})),
    lambda: __import__("os").fork(),
    lambda: __import__("ctypes").CDLL(None),
    lambda: bytearray(4 << 30),
]
failed = []
for attempt in attempts:
    try:
        attempt()
    except BaseException as error:
        failed.append(type(error).__name__)
print(json.dumps([len(attempts), failed]))
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    count, failed = json.loads(done.stdout)
    assert len(failed) == count and failed[-1] == "MemoryError"


@pytest.mark.skipif(not executable.package_installed(), reason=f"needs {executable.PACKAGE}")
def test_executable_answers_do_nothing_but_call_what_is_offered(monitor: Monitor) -> None:
    row = DATA.questions("exec_simple")[0]
    gold = DATA.gold("exec_simple")[row["id"]]
    hostile = [*texts(monitor), f"[get_coordinate_by_ip_address(ip_address='127.0.0.1:{monitor.port}')]"]
    with closing(Worker()) as worker:
        verdicts = list(worker.judge_all([Item("v4", "exec_simple", row, gold, text) for text in hostile]))
    assert not any(verdict["valid"] for verdict in verdicts)
