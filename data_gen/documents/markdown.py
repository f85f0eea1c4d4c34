"""Markdown manuals: passages under their headings, for speciation by a language model.

A passage describes no single API in a known form, so its Document has an empty `structure`: it is read by the
speciation agent and is never adapted directly (`is_passage`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from data_gen.documents.document import Document
from data_gen.documents.loading import Report, read_bytes
from data_gen.documents.naming import snake
from toolace import InputError

# our choice: about 1,000 tokens; some passages and an instruction fit into 4,096.
PASSAGE_CHARACTERS = 4_000
# Shorter ones are headings and links.
SHORTEST = 40

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})[ \t]*")
_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def is_passage(document: Document) -> bool:
    """Whether a Document is text only: speciation reads it, adaptation passes it over."""
    return not document.structure


def read_file(path: Path, report: Report) -> Iterator[Document]:
    """Yields the passages of one manual; a file that is no text goes to `report`."""
    try:
        raw = read_bytes(path)
    except InputError as error:
        report(error)
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        report(InputError(f"is not UTF-8 (byte {error.start})", where=path, fix="Save it as UTF-8."))
        return
    yield from read(text, str(path))


def read(text: str, file: str) -> Iterator[Document]:
    """Yields the passages of a text, at most 4,000 characters each, with the headings above them as `path`."""
    stem = Path(file).stem
    title = ""
    number = 0
    for headings, body in sections(text):
        title = title or (headings[0] if headings else stem)
        for part in pieces(body, PASSAGE_CHARACTERS - len(" > ".join(headings)) - 2):
            if len(part) < SHORTEST:
                continue
            number += 1
            passage = f"{' > '.join(headings)}\n\n{part}" if headings else part
            source = {"package": "", "version": "", "file": file, "operation": f"passage {number}"}
            id_ = f"markdown:{snake(stem) or 'manual'}:{number}"
            yield Document(id_, title, passage, tuple(headings) or (title,), {}, source, "")


def sections(text: str) -> Iterator[tuple[list[str], str]]:
    """(headings from the top one, text below the last of them); headings inside code are code."""
    stack: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""

    def done() -> tuple[list[str], str]:
        return [heading for _, heading in stack], "\n".join(lines).strip()

    for line in _FRONT.sub("", text.replace("\r\n", "\n")).split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1][:3]
        heading = None if fence else _HEADING.fullmatch(line)
        underline = None if fence or not lines or not lines[-1].strip() else _UNDERLINE.fullmatch(line)
        if heading:
            yield done()
            level, words = len(heading[1]), heading[2]
        elif underline and not lines[-1].lstrip().startswith(("-", "*", "|", ">")):
            words, level = lines.pop().strip(), 1 if underline[1][0] == "=" else 2
            yield done()
        else:
            lines.append(line)
            continue
        lines.clear()
        while stack and stack[-1][0] >= level:
            stack.pop()
        stack.append((level, words.strip()[:120] or "Untitled"))
    yield done()


def pieces(text: str, most: int) -> Iterator[str]:
    """The text in pieces of at most `most` characters, cut between paragraphs, else lines, else anywhere."""
    most = max(most, 200)
    while len(text) > most:
        cut = max(text.rfind("\n\n", most // 2, most), 0) or max(text.rfind("\n", most // 2, most), 0) or most
        yield text[:cut].strip()
        text = text[cut:].strip()
    if text:
        yield text
