#!/usr/bin/env python3
"""Runs every test program and counts what they report.

Each program prints TAP (https://testanything.org): `ok N - claim` or
`not ok N - claim`, with `# SKIP` behind what was left out. A program that
crashes, hangs or prints nothing is one failure more. The last line is
`N passed, N failed`, with `, N skipped` behind it when something was.

    tests/run.py [PATTERN]     only programs whose name contains PATTERN
"""
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from postgres import Postgres

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SANITIZED = "build/address-undefined"
TAP = re.compile(r"^(not ok|ok) +\d+ *-? *(.*?)(# *SKIP.*)?$", re.MULTILINE)
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "15"))


class Program:
    def __init__(self, name, argv, timeout=300, env=None, one=False):
        self.name, self.argv, self.timeout = name, argv, timeout
        self.env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", **(env or {})}
        self.one = one  # prints no TAP: its exit status is the one test
        self.passed = self.failed = self.skipped = 0
        self.output, self.seconds = "", 0.0

    def run(self):
        begin = time.monotonic()
        try:
            done = subprocess.run(self.argv, cwd=ROOT, env=self.env, timeout=self.timeout,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            status, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as late:
            status, output = f"no end after {self.timeout} s", late.stdout or b""
        self.seconds = time.monotonic() - begin
        self.output = output.decode("utf-8", "replace")
        self.count(status)
        return self

    def count(self, status):
        if self.one:
            self.passed, self.failed = (1, 0) if status == 0 else (0, 1)
            return
        for verdict, _, skip in TAP.findall(self.output):
            if skip:
                self.skipped += 1
            elif verdict == "ok":
                self.passed += 1
            else:
                self.failed += 1
        if self.failed == 0 and (status != 0 or self.passed + self.skipped == 0):
            self.output += f"\n{self.name}: exit status {status}, {self.passed} passed"
            self.failed += 1


def units():
    found = []
    for build in ("build", SANITIZED):
        for path in sorted(glob.glob(f"{ROOT}/{build}/tests/test_*")):
            if os.access(path, os.X_OK) and not path.endswith((".o", ".d")):
                found.append(Program(f"unit {os.path.relpath(path, ROOT)}", [path]))
    return found


def others(work):
    found = [Program("arrows", [sys.executable, "tests/arrows.py"])]
    for build, seeds in (("build", "60"), (SANITIZED, "6")):
        found.append(Program(f"sim {build}", [f"{build}/tests/simulator", "--tap", "--seeds", seeds]))
    for path in sorted(glob.glob(f"{ROOT}/build/fuzz/fuzz_*")):
        if path.endswith((".o", ".d")):
            continue
        name = os.path.basename(path)
        corpus = f"{work}/{name}"
        os.mkdir(corpus)
        seeds = f"{ROOT}/tests/fuzz/{name.replace('fuzz_', 'corpus_')}"
        argv = [path, corpus, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048",
                "-print_final_stats=1", f"-artifact_prefix={work}/"]
        found.append(Program(f"fuzz {name}", argv + ([seeds] if os.path.isdir(seeds) else []), one=True))
    return found


def systems():
    found = []
    for build in ("build", SANITIZED):
        for path in sorted(glob.glob(f"{ROOT}/tests/system/test_*.py")):
            found.append(Program(f"system {os.path.basename(path)} {build}", [sys.executable, path],
                                 timeout=600, env={"DISPATCH_BIN": f"{ROOT}/{build}/bin"}))
    return found


def needs_postgres(program):
    return "test_pg" in program.name or "test_data" in program.name


def report(program):
    print(f"{'FAIL' if program.failed else 'ok  '} {program.name}: {program.passed} passed, "
          f"{program.failed} failed" + (f", {program.skipped} skipped" if program.skipped else "") +
          f" ({program.seconds:.1f} s)", flush=True)
    if program.failed:
        lines = program.output.splitlines()
        print("\n".join("    " + line for line in lines[-200:]), flush=True)


def main():
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    work = tempfile.mkdtemp(prefix="dispatch-tests-")
    finished = []
    server = None
    try:
        # One PostgreSQL for all that want one; each makes databases of its own.
        if any(needs_postgres(p) and pattern in p.name for p in units() + systems()):
            server = Postgres()
            server.start()
            os.environ["DISPATCH_TEST_PG"] = server.dsn
        # Units and fuzzers two at a time; system tests alone, since they watch the clock.
        quick = [p for p in units() + others(work) if pattern in p.name]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for program in pool.map(Program.run, quick):
                report(program)
                finished.append(program)
        for program in systems():
            if pattern in program.name:
                finished.append(program.run())
                report(program)
    finally:
        if server:
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    passed = sum(p.passed for p in finished)
    failed = sum(p.failed for p in finished)
    skipped = sum(p.skipped for p in finished)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
