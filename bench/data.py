#!/usr/bin/env python3
"""Data nodes beside what people would type instead, in one run: ratios, medians of several, alternating.

    bench/data.py [BIN] [--rows N] [--repeats N]

Starts a PostgreSQL of its own (tests/postgres.py), a broker and one agent on loopback; everything is in a temporary
directory. Figures are wall-clock from submission to the final state, as a client sees them.
"""
import argparse
import os
import resource
import statistics
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "system")]

WIDE = """
create table %s (id bigint, customer integer, status text, qty integer, amount numeric(12,2), ordered timestamp, note text)
"""
FILTER_MAP = ("select id, customer, upper(status) as status, qty + 1 as qty, amount * 2 as amount, ordered, note "
              "from wide where qty < 95")


def median(values):
    return statistics.median(values)


def timed(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


class PeakMemory:
    """The largest resident size of any data process while it is watched, in MiB."""

    def __init__(self, top):
        self.top, self.peak, self.over = top, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def watch(self):
        import harness
        while not self.over.wait(0.05):
            for pid in harness.descendants_of(self.top):
                try:
                    with open(f"/proc/{pid}/status") as status:
                        fields = dict(line.split(":", 1) for line in status)
                except OSError:
                    continue
                if fields.get("Name", "").strip() == "node" and "VmHWM" in fields:
                    self.peak = max(self.peak, int(fields["VmHWM"].split()[0]) / 1024)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bin", nargs="?", default=os.path.join(ROOT, "build", "bin"))
    arguments.add_argument("--rows", type=int, default=5_000_000)
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    os.environ["DISPATCH_BIN"] = os.path.abspath(options.bin)
    os.environ["PSQLRC"] = "/dev/null"
    if "DISPATCH_TEST_PG" not in os.environ:
        runner = os.path.join(ROOT, "tests", "postgres.py")
        os.execv(sys.executable, [sys.executable, runner, "--", sys.executable, *sys.argv])
    import data_scene
    import harness
    Bench(options, data_scene, harness).run()


class Bench:
    def __init__(self, options, data_scene, harness):
        self.rows, self.repeats = options.rows, options.repeats
        self.d, self.h = data_scene, harness
        self.server = data_scene.Server()
        self.scene = harness.Scene()
        self.server.createdb("bench_shop")
        self.server.createdb("bench_mart")
        self.missed = 0

    def say(self, what, seconds, other, peer, limit, at_least):
        """limit is of the ratio (None: for information); at_least: our speed over theirs, else our time over theirs."""
        ratio = other / seconds if at_least else seconds / other
        good = limit is None or (ratio >= limit if at_least else ratio <= limit)
        self.missed += not good
        verdict = "" if limit is None else f"({'>=' if at_least else '<='} {limit}) {'ok' if good else 'MISSED'}"
        print(f"{what:44} {seconds:8.2f} s   {peer:30} {other:8.2f} s   "
              f"{'speed' if at_least else 'time'} ratio {ratio:5.2f} {verdict}", flush=True)

    def fill(self):
        self.server.sql(WIDE % "wide" + f""";
            insert into wide select n, n % 100000, case n % 3 when 0 then 'paid' when 1 then 'open' else 'void' end, n % 100,
            (n % 1000000) / 100.0, timestamp '2020-01-01' + n * interval '7 seconds', 'note ' || n
            from generate_series(1, {self.rows}) n;
            create table orders as select id, customer, qty, amount from wide limit 1000000;
            vacuum analyze wide; vacuum analyze orders""", "bench_shop")
        for name, place in (("copied", "bench_mart"), ("by_hand", "bench_mart"), ("copied", "bench_shop"),
                            ("by_hand", "bench_shop")):
            self.server.sql(WIDE % name, place)
        print(f"{self.rows} rows, {int(self.server.sql('select pg_relation_size($$wide$$)', 'bench_shop')) / 2**20:.0f} MiB")
        import sqlite3
        with sqlite3.connect(self.scene.path("crm.db")) as db:
            db.execute("create table customers (id integer, name text, country text)")
            db.executemany("insert into customers values (?, ?, ?)",
                           ((i, f"Name {i}", f"C{i % 50}") for i in range(100_000)))
        db.close()
        with sqlite3.connect(self.scene.path("small.db")) as db:
            db.execute("create table five (id integer, name text)")
            db.executemany("insert into five values (?, ?)", ((i, f"Name {i}") for i in range(5)))
        db.close()

    def agent(self, name, settings=""):
        places = (("shop", "postgresql", self.server.dsn_of("bench_shop")), ("mart", "postgresql", self.server.dsn_of("bench_mart")),
                  ("crm", "sqlite", self.scene.path("crm.db")), ("small", "sqlite", self.scene.path("small.db")))
        config = "connections:\n" + "".join(f"  - {{name: {n}, engine: {e}, dsn: \"{d}\"}}\n" for n, e, d in places)
        return self.h.Agent(self.scene, self.broker, name, "default" if name == "push" else "etl", config=config + settings)

    def execute(self, document, pool="default"):
        run = self.broker.execute(document, wait=300, preferred_pool=pool, allow_fallback=False)
        if "run_id" not in (run.json or {}):
            raise RuntimeError(str(run))
        if run.json.get("state") != "COMPLETED":
            run = self.broker.until(run.json["run_id"], deadline=600)
            if run["state"] != "COMPLETED":
                raise RuntimeError(f"{document['name']}: {run['state']}: {run.get('error')}")

    def psql(self, place, sql, **more):
        return subprocess.Popen([f"{self.server.bin}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                                 self.server.dsn_of(place), "-c", sql], **more)

    def pipe(self):
        self.server.sql("truncate by_hand", "bench_mart")
        out = self.psql("bench_shop", f"copy ({FILTER_MAP}) to stdout", stdout=subprocess.PIPE)
        into = self.psql("bench_mart", "copy by_hand from stdin", stdin=out.stdout)
        out.stdout.close()
        if into.wait() or out.wait():
            raise RuntimeError("psql failed")

    def filter_map(self, mart):
        d = self.d
        return d.line("filter-map", d.extract("wide"), d.node("filter", where="qty < 95"),
                      d.node("map", columns=[{"name": "status", "expression": "upper(status)"},
                                             {"name": "qty", "expression": "qty + 1"},
                                             {"name": "amount", "expression": "amount * 2"}]),
                      d.node("load", "load", connection=mart, table="copied", mode="truncate"))

    def stream(self):
        """PostgreSQL to PostgreSQL: the filter and the map in the source's server, and, without push-down, in the agent."""
        for what, pool, limit in (("filter + map, PostgreSQL to PostgreSQL", "default", 0.6),
                                  ("the same without push-down, in the agent", "etl", None)):
            ours, theirs, peak = [], [], 0
            for _ in range(self.repeats):
                with PeakMemory(os.getpid()) as memory:
                    ours.append(timed(lambda: self.execute(self.filter_map("mart"), pool)))
                peak = max(peak, memory.peak)
                theirs.append(timed(self.pipe))
            self.say(what, median(ours), median(theirs), "psql COPY TO | psql COPY FROM", limit, True)
            print(f"    resident at most {peak:.0f} MiB (<= 64) {'ok' if peak <= 64 else 'MISSED'}")
            self.missed += peak > 64

    def pushed(self):
        ours, theirs = [], []
        names = "id, customer, status, qty, amount, ordered, note"
        for _ in range(self.repeats):
            ours.append(timed(lambda: self.execute(self.filter_map("shop"))))
            theirs.append(timed(lambda: self.server.sql(
                f"begin; truncate by_hand; insert into by_hand ({names}) {FILTER_MAP}; commit", "bench_shop")))
        self.say("the same within one database", median(ours), median(theirs), "INSERT ... SELECT by hand", 1.2, False)

    def join(self):
        d = self.d
        document = d.line(
            "join-group", d.extract("orders"), d.node("extract", "customers", connection="crm", table="customers"),
            d.node("join", on=[{"left": "customer", "right": "id"}]),
            d.node("aggregate", group_by=["country"], columns=[{"name": "n", "expression": "count(*)"},
                                                              {"name": "total", "expression": "sum(amount)"}]),
            d.node("load", "load", connection="crm", table="by_country", mode="truncate", create=True),
            edges="orders>join customers>join join>aggregate aggregate>load")
        csv, db = self.scene.path("orders.csv"), self.scene.path("shell.db")
        script = (f".mode csv\ncreate table orders (id integer, customer integer, qty integer, amount numeric);\n.import {csv} orders\n"
                  f"attach '{self.scene.path('crm.db')}' as crm;\ncreate table by_country as select country, count(*) as n, "
                  f"sum(amount) as total from orders o join crm.customers c on o.customer = c.id group by country;\n")

        def shell():
            if os.path.exists(db):
                os.unlink(db)
            with open(csv, "wb") as out:
                if self.psql("bench_shop", "copy orders to stdout csv", stdout=out).wait():
                    raise RuntimeError("psql failed")
            subprocess.run(["sqlite3", db], input=script, text=True, check=True)

        ours, theirs = [], []
        for _ in range(self.repeats):
            ours.append(timed(lambda: self.execute(document, "etl")))
            theirs.append(timed(shell))
        self.say("1,000,000 rows, join + group across systems", median(ours), median(theirs), "psql + sqlite3 shell", 1.0, True)

    def small(self):
        d = self.d
        document = d.line("five", d.node("extract", "five", connection="small", table="five"),
                          d.node("load", "load", connection="small", table="five_copy", mode="truncate", create=True))
        times = [timed(lambda: self.execute(document)) for _ in range(100)]
        good = median(times) < 0.030
        self.missed += not good
        print(f"5 rows, SQLite to SQLite, submit to result: median {median(times) * 1000:.1f} ms, "
              f"p99 {sorted(times)[98] * 1000:.1f} ms (median < 30) {'ok' if good else 'MISSED'}", flush=True)

    def run(self):
        try:
            self.broker = self.h.Broker(self.scene)
            self.agent("push")
            self.agent("plain", "data: {pushdown: false}\n")
            self.fill()
            self.small()
            self.join()
            self.pushed()
            self.stream()
        finally:
            self.scene.close()
            for name in ("bench_shop", "bench_mart"):
                self.server.sql(f'drop database if exists "{name}"')
        print(f"{self.missed} targets missed" if self.missed else "all targets met")


if __name__ == "__main__":
    main()
