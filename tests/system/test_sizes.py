"""How large a workflow is when nobody says it: what agents estimate of its sources, then what its last run has read; and
that asking never holds a submission up for longer than it may."""
import os
import socket
import sqlite3
import time

import data_scene
import harness
from data_scene import DataScene
from harness import Agent, Broker, wait_for

POOLS = "default,etl,high-memory"
RULES = """
rules:
  - {name: big, pool: high-memory, when: {size_at_least: 100KiB}}
  - {name: rest, pool: default}
"""
ROWS = 4000  # about 400 KB of text


def copy(name, source, **fields):
    """Rows of a source into a file."""
    return {"name": name, "nodes": [source, {"id": "out", "kind": "csv_write", "path": f"{name}.out"}],
            "edges": [{"source": source["id"], "target": "out"}], **fields}


def extract(table, connection="shop", **fields):
    return {"id": "in", "kind": "extract", "connection": connection, "table": table, **fields}


def csv_read(path):
    return {"id": "in", "kind": "csv_read", "path": path}


def size_of(run):
    return run["features"]["size_source"], run["features"]["size_bytes"]


class Sizes(harness.SystemTest):
    def start(self, config="", agent=True, connections=""):
        self.files = self.scene.path("files")
        os.makedirs(self.files, exist_ok=True)
        self.db = self.scene.path("shop.db")
        with sqlite3.connect(self.db) as db:
            db.executescript("create table big (id integer, t text); create table small (id integer); insert into small values (1)")
            db.executemany("insert into big values (?, ?)", [(i, "x" * 100) for i in range(ROWS)])
        db.close()
        with open(os.path.join(self.files, "big.csv"), "w") as file:
            file.write("id,t\n" + "".join(f"{i},{'x' * 100}\n" for i in range(ROWS)))
        with open(os.path.join(self.files, "small.csv"), "w") as file:
            file.write("id\n1\n")
        self.agent_config = (f"connections:\n  - {{name: shop, engine: sqlite, dsn: \"{self.db}\"}}\n{connections}"
                             f"data:\n  files: {self.files}\n")
        self.broker = Broker(self.scene, config=RULES + config)
        if agent:
            self.join()

    def join(self):
        self.agent = Agent(self.scene, self.broker, "a1", POOLS, slots=4, config=self.agent_config)
        wait_for(lambda: "a1" in self.broker.workers())

    def run_of(self, document, **fields):
        answer = self.broker.execute(document, wait=30, **fields)
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["state"], "COMPLETED", answer.json["error"])
        return answer.json

    def accepted(self, document, **fields):
        """The run as it was admitted, and how long that took."""
        began = time.monotonic()
        run = self.broker.submit(document, **fields)
        return self.broker.run(run), time.monotonic() - began

    def first_estimated_then_measured(self, document, low, high):
        first = self.run_of(document)
        source, size = size_of(first)
        self.assertEqual(source, "estimated")
        self.assertTrue(low <= size <= high, size)
        self.assertEqual((first["wanted_pool"], first["rule"]), ("high-memory", "big"))
        self.assertIn("(estimated)", first["decision"]["why"])
        read = next(node["bytes_out"] for node in first["nodes"] if node["id"] == "in")
        second = self.run_of(document)
        self.assertEqual(size_of(second), ("measured", read))
        self.assertEqual((second["wanted_pool"], second["rule"]), ("high-memory", "big"))
        self.assertIn("(measured)", second["decision"]["why"])

    # -- estimated, measured --------------------------------------------------

    def test_a_sqlite_table_is_estimated_then_measured(self):
        self.start()
        self.first_estimated_then_measured(copy("tables", extract("big")), 300_000, 700_000)
        small = self.run_of(copy("small", extract("small")))
        self.assertEqual(size_of(small)[0], "estimated")
        self.assertEqual(small["wanted_pool"], "default")

    def test_a_file_is_estimated_then_measured(self):
        self.start()
        self.first_estimated_then_measured(copy("files", csv_read("big.csv")), 400_000, 500_000)
        self.assertEqual(size_of(self.run_of(copy("small", csv_read("small.csv")))), ("estimated", 5))

    def test_postgresql_says_what_it_thinks(self):
        server = DataScene.postgres()
        database = f"sizes_{os.getpid()}"
        server.createdb(database)
        server.sql(f"create table big as select i as id, repeat('x', 100) as t from generate_series(1, {ROWS}) i; analyze big;"
                   "create table small as select 1 as id; analyze small", database)
        self.start(connections=f"  - {{name: pg, engine: postgresql, dsn: \"{server.dsn_of(database)}\"}}\n")
        self.first_estimated_then_measured(copy("table", extract("big", "pg")), 200_000, 900_000)
        self.first_estimated_then_measured(
            copy("query", {"id": "in", "kind": "extract", "connection": "pg",
                           "sql": "select id, t from big where id > 0 -- all"}), 200_000, 900_000)
        small = self.run_of(copy("few", {"id": "in", "kind": "extract", "connection": "pg",
                                         "sql": "select id from big where id = 7"}))
        self.assertEqual((size_of(small)[0], small["wanted_pool"]), ("estimated", "default"))
        # More than one statement is not explained.
        bad, _ = self.accepted(copy("two", {"id": "in", "kind": "extract", "connection": "pg",
                                            "sql": "select 1 as a; drop table small"}))
        self.assertEqual(size_of(bad), ("unknown", None))
        self.broker.until(bad["run_id"])
        self.assertEqual(server.sql("select count(*) from small", database).strip(), "1")

    def test_what_was_measured_outlives_the_broker(self):
        self.start()
        document = copy("kept", csv_read("big.csv"))
        self.run_of(document)
        self.agent.program.stop()
        self.broker.stop()
        self.broker.start()
        run, _ = self.accepted(document)
        self.assertEqual(size_of(run)[0], "measured")
        self.assertEqual(run["wanted_pool"], "high-memory")

    def test_an_id_is_measured_by_itself_and_failed_runs_are_not(self):
        self.start()
        self.run_of(copy("same", csv_read("big.csv"), id="w1"))
        other = copy("same", csv_read("small.csv"), id="w2")
        self.assertEqual(size_of(self.run_of(other)), ("estimated", 5))
        self.assertEqual(size_of(self.run_of(copy("renamed", csv_read("small.csv"), id="w1")))[0], "measured")
        missing = copy("missing", csv_read("nowhere.csv"))
        for _ in range(2):
            failed = self.broker.execute(missing, wait=30).json
            self.assertEqual((failed["state"], size_of(failed)), ("FAILED", ("unknown", None)))

    # -- precedence -----------------------------------------------------------

    def test_what_is_declared_wins(self):
        self.start()
        document = copy("declared", csv_read("big.csv"))
        self.run_of(document)
        by_request = self.run_of(document, size_bytes=7)
        self.assertEqual((size_of(by_request), by_request["wanted_pool"]), (("declared", 7), "default"))
        self.assertEqual(size_of(self.run_of({**document, "size_bytes": 8})), ("declared", 8))
        by_source = copy("declared", {**csv_read("big.csv"), "size_bytes": 9})
        self.assertEqual(size_of(self.run_of(by_source)), ("declared", 9))

    def test_a_plan_and_the_story_say_where_the_size_is_from(self):
        self.start()
        document = copy("told", csv_read("big.csv"))
        answer = self.broker.post("/api/v1/workflows/plan", {"workflow": document})
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json["features"]["size_source"], "estimated")
        self.assertEqual(answer.json["wanted_pool"], "high-memory")
        run = self.run_of(document)
        self.assertIn("(estimated)", str(self.broker.explain(run["run_id"])["story"]))

    def test_a_batch_is_estimated_as_a_whole(self):
        self.start()
        documents = [copy(f"b{i}", csv_read(("big.csv", "small.csv", "nowhere.csv")[i % 3])) for i in range(30)]
        answer = self.broker.post("/api/v1/workers/execute", [{"workflow": document} for document in documents])
        self.assertEqual((answer.status, answer.json["accepted"]), (202, 30), answer)
        for i, item in enumerate(answer.json["items"]):
            run = self.broker.run(item["run_id"])
            self.assertEqual(run["features"]["size_source"], ("estimated", "estimated", "unknown")[i % 3])
            self.assertEqual(run["wanted_pool"], ("high-memory", "default", "default")[i % 3])

    def test_a_sum_needs_all_of_its_sources(self):
        self.start()
        two = {"name": "two", "nodes": [{**csv_read("big.csv"), "id": "a"}, {**csv_read("small.csv"), "id": "b"},
                                        {"id": "u", "kind": "union"}, {"id": "o", "kind": "csv_write", "path": "u.out"}],
               "edges": [{"source": "a", "target": "u"}, {"source": "b", "target": "u"}, {"source": "u", "target": "o"}]}
        big = os.path.getsize(os.path.join(self.files, "big.csv"))
        run, _ = self.accepted(two)
        self.assertEqual(size_of(run), ("estimated", big + 5))
        two["nodes"][1]["path"], two["name"] = "nowhere.csv", "one"
        run, _ = self.accepted(two)
        self.assertEqual(size_of(run), ("unknown", None))

    # -- without an answer ----------------------------------------------------

    def test_without_an_agent_the_size_is_unknown_until_there_is_one(self):
        self.start(agent=False, config="size_estimate: 10s\n")
        document = copy("alone", csv_read("big.csv"))
        run, took = self.accepted(document)
        self.assertEqual((size_of(run), run["wanted_pool"]), (("unknown", None), "default"))
        self.assertLess(took, 5)  # nobody was waited for
        self.join()
        run, _ = self.accepted(copy("not alone", csv_read("big.csv")))
        self.assertEqual(size_of(run)[0], "estimated")

    def test_nobody_is_asked_when_told_so(self):
        self.start(config="size_estimate: 0\n")
        document = copy("quiet", csv_read("big.csv"))
        self.assertEqual(size_of(self.run_of(document)), ("unknown", None))
        self.assertEqual(size_of(self.run_of(document))[0], "measured")

    def test_a_source_that_hangs_holds_nobody_up(self):
        """Two servers that take connections and say nothing: the agent gives up after three seconds."""
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        for listener in listeners:
            self.addCleanup(listener.close)
        self.start(config="size_estimate: 200ms\n", connections="".join(
            f"  - {{name: hung{i}, engine: postgresql, dsn: \"host=127.0.0.1 port={listener.getsockname()[1]} user=u dbname=d\"}}\n"
            for i, listener in enumerate(listeners)))
        hanging = {"name": "hanging", "nodes": [extract("t", "hung0", timeout_s=1), {**extract("t", "hung1"), "id": "in2"},
                                                {"id": "u", "kind": "union"}, {"id": "o", "kind": "csv_write", "path": "h.out"}],
                   "edges": [{"source": "in", "target": "u"}, {"source": "in2", "target": "u"}, {"source": "u", "target": "o"}]}
        later = "2100-01-01T00:00:00Z"
        for _ in range(2):
            run, took = self.accepted(hanging, start_at=later)
            self.assertEqual(size_of(run), ("unknown", None))
            self.assertLess(took, 2.5 * harness.PATIENCE)
        # Neither the agent nor the front stands still meanwhile.
        self.assertEqual(size_of(self.run_of(copy("other", csv_read("big.csv"))))[0], "estimated")

    def test_a_lock_holds_nobody_up(self):
        self.start(config="size_estimate: 200ms\n")
        db = sqlite3.connect(self.db, isolation_level=None)
        self.addCleanup(db.close)
        db.execute("begin exclusive")
        run, took = self.accepted(copy("locked", extract("big")), start_at="2100-01-01T00:00:00Z")
        self.assertEqual(size_of(run), ("unknown", None))
        self.assertLess(took, 2.5 * harness.PATIENCE)

    def test_questions_about_many_workflows_at_once_are_all_answered(self):
        """Also by an agent that has no time for all: then the size is unknown, and nobody waits in vain."""
        self.start()
        sources = []
        for i in range(200):
            with open(os.path.join(self.files, f"f{i}.csv"), "w") as file:
                file.write("id\n" + "1\n" * i)
            sources.append(csv_read(f"f{i}.csv"))
        answer = self.broker.post("/api/v1/workers/execute", [{"workflow": copy(f"m{i}", s)} for i, s in enumerate(sources)])
        self.assertEqual((answer.status, answer.json["accepted"]), (202, 200), answer)
        known = 0
        for i, item in enumerate(answer.json["items"]):
            source, size = size_of(self.broker.run(item["run_id"]))
            self.assertIn((source, size), [("unknown", None), ("estimated", 3 + 2 * i)])
            known += source == "estimated"
        self.assertGreater(known, 0)


if __name__ == "__main__":
    data_scene.main()
