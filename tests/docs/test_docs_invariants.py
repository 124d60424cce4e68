"""Every invariant that code, tests or the bench name by its code is defined in docs/reliability.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\b(?:S[1-8]|I[1-9]|D[1-9]|T[1-9]|C[1-9]|R[1-9]|A[1-9]|K[1-9]|P[1-9]|E[1-9])\b")


def test_every_invariant_that_is_named_is_defined() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    defined = set(re.findall(r"^\| ([A-Z]\d) \| .*\. \|$", page, re.MULTILINE))
    named = {
        code: str(path.relative_to(ROOT))
        for folder in ("sellctl", "faults", "benchmarks", "tests", "docs")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md"}
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }
    assert {code: path for code, path in named.items() if code not in defined} == {}
