#!/usr/bin/env python3
"""The rooms and the arrows between them, read off the #include lines.

policy uses nothing of ours; pools uses policy; agents uses only agents;
dispatcher uses pools, policy and, of agents, wire.h alone. Only pools/store
knows LMDB. A main is in a file called main_*.c. Includes name the folder.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ALLOWED = {
    "policy": {"policy"},
    "pools": {"pools", "policy"},
    "agents": {"agents"},
    "dispatcher": {"dispatcher", "pools", "policy"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def sources():
    for room in ALLOWED:
        for path in sorted(glob.glob(f"{ROOT}/{room}/*.[ch]")):
            with open(path, encoding="utf-8") as file:
                yield room, os.path.relpath(path, ROOT), file.read()


def wrong_arrows():
    for room, path, text in sources():
        for quote, name in INCLUDE.findall(text):
            if quote != '"':
                continue
            target = name.split("/")[0]
            if "/" not in name:
                yield f"{path} includes {name} without its folder"
            elif target not in ALLOWED[room] and not (room == "dispatcher" and name == "agents/wire.h"):
                yield f"{path} includes {name}"


def strangers_to_lmdb():
    for _, path, text in sources():
        if "<lmdb.h>" in text and path != "pools/store.c":
            yield f"{path} includes lmdb.h"


def misnamed_mains():
    for _, path, text in sources():
        if re.search(r"^int main\(", text, re.MULTILINE) and not os.path.basename(path).startswith("main_"):
            yield f"{path} has a main"


def unknown_at_the_top():
    allowed = {"dispatcher", "pools", "agents", "policy", "bench", "tests", "Makefile", "README.md", "LICENSE", "build"}
    for name in sorted(os.listdir(ROOT)):
        if name not in allowed and not name.startswith("."):
            yield f"{name} is not one of the agreed rooms"


CLAIMS = [("includes point down the arrows", wrong_arrows),
          ("only pools/store.c knows LMDB", strangers_to_lmdb),
          ("a main is in main_*.c", misnamed_mains),
          ("the top level holds the agreed rooms", unknown_at_the_top)]

failed = False
print(f"1..{len(CLAIMS)}")
for number, (claim, check) in enumerate(CLAIMS, 1):
    problems = list(check())
    failed = failed or bool(problems)
    print(f"{'not ok' if problems else 'ok'} {number} - {claim}")
    for problem in problems:
        print(f"# {problem}")
sys.exit(failed)
