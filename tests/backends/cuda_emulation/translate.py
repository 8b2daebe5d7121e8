#!/usr/bin/env python3
"""Makes C++ of CUDA C++: kernel<<<grid, block, bytes, stream>>>(...) becomes a call of wsi::emulation::Launch.

usage: translate.py SOURCE OUTPUT
"""
import pathlib
import sys

PAIRS = {"(": ")", "<": ">", "[": "]", "{": "}"}


def closing(text, at):
    """Where the bracket at `at` closes."""
    opened, depth = text[at], 0
    for i in range(at, len(text)):
        if text[i] == opened:
            depth += 1
        elif text[i] == PAIRS[opened]:
            depth -= 1
            if depth == 0:
                return i
    raise ValueError("a bracket stays open")


def callee_begin(text, end):
    """Where the name, with or without template arguments, that ends at `end` begins."""
    at = end
    if text[at - 1] == ">":
        depth = 0
        while True:
            at -= 1
            depth += {">": 1, "<": -1}.get(text[at], 0)
            if depth == 0:
                break
    while text[at - 1].isalnum() or text[at - 1] in "_:":
        at -= 1
    return at


def split(text):
    """The parts between commas that are in no bracket."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "(<[{") - (c in ")>]}")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def translate(text):
    done, at = "", 0
    while (opened := text.find("<<<", at)) >= 0:
        name_end = len(text[:opened].rstrip())
        begin = callee_begin(text, name_end)
        closed = text.index(">>>", opened)
        grid, block, _, stream = split(text[opened + 3:closed])
        arguments = text.index("(", closed)
        end = closing(text, arguments) + 1
        done += text[at:begin]
        done += (f"wsi::emulation::Launch(dim3({grid}), dim3({block}), {stream}, [&] "
                 f"{{ {text[begin:name_end]}{text[arguments:end]}; }})")
        at = end
    return done + text[at:]


def main():
    source, output = map(pathlib.Path, sys.argv[1:])
    text = translate(source.read_text(encoding="utf-8"))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(f'#line 1 "{source}"\n{text}', encoding="utf-8")


if __name__ == "__main__":
    main()
