"""A tiny random Llama with the embedded model's tokenizer: the real code paths, in milliseconds."""

import shutil
from pathlib import Path

from toolace.embedded import prepare
from toolace.rows import write_rows

FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json")


def make_tiny_llama(folder: Path) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    for name in FILES:
        shutil.copyfile(prepare() / name, folder / name)
    return folder


SYSTEM = 'Call functions.\n[{"name": "weather", "description": "Weather of a city.", "parameters": {"type": "dict", '
SYSTEM += '"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}]'
CITIES = ["Oslo", "Lima", "Kyoto", "São Paulo", "Zürich", "Hanoi", "Accra", "Porto", "Quito", "Riga", "Leeds", "Turin"]


def row(number: int, system: str = SYSTEM, turns: int = 1) -> dict:
    conversations = []
    for turn in range(turns):
        city = CITIES[(number + turn) % len(CITIES)]
        conversations += [
            {"from": "user", "value": f"Weather in {city} for {number + 2} days 🌧?"},
            {"from": "assistant", "value": f'[weather(city="{city}", days={number + 2}), weather(city="{city}")]'},
        ]
        if turn + 1 < turns:
            conversations += [
                {"from": "tool", "value": '[{"name": "weather", "results": {"high": 21}}]'},
                {"from": "assistant", "value": f"In {city}: 21 degrees."},
            ]
    return {"system": system, "conversations": conversations}


def write_training_rows(path: Path, count: int, turns: int = 1) -> Path:
    write_rows(path, (row(i, turns=turns) for i in range(count)))
    return path


RECIPE = '''recipe: r"""
name: tiny
out: {out}
seed: 5
model: {{model_name_or_path: {model}, dtype: float32}}
lora: {{r: 4, lora_alpha: 8, target_modules: all-linear}}
data: {{files: [{data}], max_length: 512, share_prefix: {share}, global_batch_size: 2}}
train:
  learning_rate: 1e-2
  num_train_epochs: {epochs}
  logging_steps: 1
  save_steps: 2
  report_to: none
# """; import toolace.launch; toolace.launch.run(__name__, __file__)
'''


def write_recipe(folder: Path, model: Path, data: Path, share: bool = True, epochs: int = 1) -> Path:
    path = folder / "tiny.yaml"
    text = RECIPE.format(out=folder / "run", model=model, data=data, share=str(share).lower(), epochs=epochs)
    path.write_text(text, encoding="utf-8")
    return path
