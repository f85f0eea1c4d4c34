"""The review as one HTML file: no server, nothing fetched; verdicts are kept in the browser and saved as JSON Lines.

Dialogs are hostile text. They stand in the page as data only: JSON in which `<`, `>` and `&` are escapes, shown with
`textContent`; a content security policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_gen.review import Candidate

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #1c2733; }
header { position: sticky; top: 0; background: #fff; padding: .5rem 0; border-bottom: 1px solid #c9d3dc; }
article { border: 1px solid #c9d3dc; border-radius: 6px; margin: 1rem 0; padding: .75rem 1rem; }
article.kept { border-left: 6px solid #2e7d4f; } article.rejected { border-left: 6px solid #b3402e; }
.role { color: #51606e; font-size: .85rem; margin-top: .5rem; } pre { white-space: pre-wrap; margin: 0; font: inherit; }
.call { font-family: ui-monospace, monospace; font-size: .9rem; background: #f2f5f8; padding: .25rem .5rem; }
.verdict { font-weight: 600; } button { font: inherit; margin-right: .5rem; } input { font: inherit; width: 20rem; }
"""

_SCRIPT = """
"use strict";
const dialogs = JSON.parse(document.getElementById("dialogs").textContent);
const said = {};
const make = (name, text, kind) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (kind) node.className = kind;
  return node;
};
const count = () => {
  const all = Object.values(said).filter((s) => s.keep !== undefined);
  document.getElementById("count").textContent = all.length + " of " + dialogs.length + " reviewed";
};
for (const dialog of dialogs) {
  const box = make("article");
  const why = dialog.rule ? "rejected by " + dialog.rule + ": " + dialog.evidence : "kept by the rules";
  box.append(make("div", dialog.id + " \\u2013 " + why, "verdict"));
  box.append(make("div", "tools: " + dialog.tools.join(", "), "role"));
  for (const turn of dialog.turns) {
    box.append(make("div", turn.role, "role"));
    if (turn.text) box.append(make("pre", turn.text));
    for (const call of turn.calls) box.append(make("pre", call, "call"));
  }
  const note = make("input");
  note.placeholder = "note";
  note.setAttribute("aria-label", "note on " + dialog.id);
  const review = said[dialog.digest] = { id: dialog.id, digest: dialog.digest, note: "", rule: dialog.rule };
  note.addEventListener("input", () => { review.note = note.value; });
  const choose = (text, keep) => {
    const button = make("button", text);
    button.type = "button";
    button.addEventListener("click", () => {
      review.keep = keep;
      box.className = keep ? "kept" : "rejected";
      count();
    });
    return button;
  };
  const row = make("p");
  row.append(choose("Keep", true), choose("Reject", false), note);
  box.append(row);
  document.querySelector("main").append(box);
}
document.getElementById("save").addEventListener("click", () => {
  const lines = Object.values(said).filter((s) => s.keep !== undefined).map((s) => JSON.stringify(s) + "\\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "reviews.jsonl";
  link.click();
});
count();
"""


def page(candidates: Sequence[Candidate]) -> str:
    """The page for some dialogs."""
    shown = [_plain(candidate) for candidate in candidates]
    data = json.dumps(shown).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    policy = f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; script-src 'sha256-{_hash(_SCRIPT)}'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n<title>Review of dialogs</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<header><strong>Review of dialogs</strong> "
        '<span id="count" role="status"></span> <button id="save" type="button">Save reviews.jsonl</button></header>\n'
        f'<main></main>\n<script id="dialogs" type="application/json">{data}</script>\n'
        f"<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _plain(candidate: Candidate) -> dict[str, object]:
    turns = []
    for message in candidate.row["messages"]:
        if isinstance(message, dict):
            made = [call.get("function") for call in message.get("tool_calls") or () if isinstance(call, dict)]
            calls = [f"{f.get('name')}({json.dumps(f.get('arguments'))})" for f in made if isinstance(f, dict)]
            turns.append({"role": str(message.get("role")), "text": str(message.get("content") or ""), "calls": calls})
    return {
        "id": candidate.id,
        "digest": candidate.digest,
        "rule": candidate.rule,
        "evidence": candidate.evidence,
        "tools": [str(tool.get("name")) for tool in candidate.row.get("tools") or () if isinstance(tool, dict)],
        "turns": turns,
    }
