"""A tokenizer as large as Llama 3.1's, with its special tokens at their ids, and dialogs that try its masks."""

import json
import random
from functools import lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from toolace.calls import Call
from toolace.dialogs import Dialog, Message, number_calls
from toolace.tools import Tool

ROOT = Path(__file__).parents[2]
BASE, SPECIAL = 128_000, 256
NAMED = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    4: "<|finetune_right_pad_id|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: "<|eot_id|>",
    10: "<|python_tag|>",
}
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def special_names() -> list[str]:
    """The 256 special tokens in the order of their ids."""
    reserved = iter(range(SPECIAL))
    return [NAMED.get(i) or f"<|reserved_special_token_{next(reserved)}|>" for i in range(SPECIAL)]


@lru_cache(maxsize=1)
def llama31_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE learnt from the README, padded to 128,000 tokens, and 256 special ones after them."""
    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=3000, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    learnt.train_from_iterator([(ROOT / "README.md").read_text(encoding="utf-8")], trainer)
    model = learnt.to_str()
    inner = json.loads(model)["model"]
    vocabulary = dict(inner["vocab"])
    vocabulary |= {f"unused token {i}": i for i in range(len(vocabulary), BASE)}
    merges = [tuple(pair) for pair in inner["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special_names())
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", name_or_path="like-llama-3.1"
    )


def _tool(name: str, **properties: str) -> Tool:
    schema = {
        "type": "object",
        "properties": {key: {"type": kind, "description": f"Wert von {key} — 値"} for key, kind in properties.items()},
        "required": list(properties)[:1],
    }
    return Tool(name, f"Answers about {name}.", schema)


TOOLS = (
    _tool("weather.get", city="string", days="integer"),
    _tool("send_mail", to="string", body="string", urgent="boolean"),
    _tool("math.mean", values="array"),
    _tool("book_room", guest="object", nights="integer"),
    _tool("never_used", x="string"),
    _tool("never_used_too", y="number"),
)
TEXTS = [
    "São Paulo",
    "Zürich 🌧️",
    "京都の天気",
    "مرحبا بالعالم",
    "e\u0301\u0301 naïve café",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 ok",
    'it\'s "quoted"',
    "tab\tand\nline",
    "नमस्ते",
    "  spaces  ",
    "C:\\path",
    "<not a tag>",
    "a=b, c(d)",
    "½ of 3.50 €",
    "\u200bzero width",
    "ÅÄÖ" * 9,
    "9" * 12,
]


def _call(rng: random.Random) -> Call:
    kind = rng.randrange(4)
    if kind == 0:
        return Call("weather.get", {"city": rng.choice(TEXTS), "days": rng.randrange(1000)})
    if kind == 1:
        return Call("send_mail", {"to": rng.choice(TEXTS), "body": rng.choice(TEXTS) * 2, "urgent": rng.random() < 0.5})
    if kind == 2:
        return Call("math.mean", {"values": [rng.randrange(100), round(rng.random(), 3), -7]})
    return Call("book_room", {"guest": {"name": rng.choice(TEXTS), "age": None}, "nights": rng.randrange(9)})


def dialog(number: int) -> Dialog:
    """A dialog of 1 to 12 assistant turns: calls, parallel calls, calls after words, results, plain answers."""
    rng = random.Random(number)
    messages = [Message("system", f"Be brief. {rng.choice(TEXTS)}")] if rng.random() < 0.5 else []
    turns = rng.randrange(1, 13)
    while turns:
        messages.append(Message("user", f"{rng.choice(TEXTS)}? ({number}) {rng.choice(TEXTS)}"))
        turns -= 1
        if rng.random() < 0.6:
            calls = tuple(_call(rng) for _ in range(rng.choice([1, 1, 1, 2, 3])))
            words = rng.choice(TEXTS).strip() if rng.random() < 0.1 else ""
            messages.append(Message("assistant", words, calls))
            if turns:
                messages += [Message("tool", f'{{"out": "{rng.choice(CLEAN)}"}}', name=call.name) for call in calls]
                messages.append(Message("assistant", f"{rng.choice(TEXTS)} {rng.choice(TEXTS)}."))
                turns -= 1
        else:
            messages.append(Message("assistant", f"{rng.choice(TEXTS)} — {rng.choice(TEXTS)}!"))
    return Dialog(f"row-{number}", "", TOOLS, number_calls(messages), {})


CLEAN = [text for text in TEXTS if not set(text) & set('"\\\n\t')]
