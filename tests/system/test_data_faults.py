"""Data runs that go wrong: what is said of them, and that targets are as they were.

Ways as in data_scene.py. Whatever has to happen in the middle of a load happens to one that would take minutes if nobody
ended it, and the middle is seen from outside: in the server's list of sessions or in the counts of the run."""
import json
import os
import signal
import sqlite3
import subprocess
import threading
import unittest

import data_scene
import harness
import postgres
from data_scene import DataScene, ask_lite, ask_postgres, extract, fill_postgres, line, node
from harness import Agent, Broker, descendants_of, is_alive, wait_for

WAYS = ("lite", "inside", "across", "plain")
QUICK = "lease: {length: 2s, accept: 1s, margin: 500ms, cancel_grace: 1s}\n"
ROWS = 1000


def number_row(i):
    """One of a thousand; each kind of fault has its row."""
    return (i, "six" if i == 617 else str(i), 0 if i == 500 else 1, 2**40 if i == 701 else i,
            "99999.125" if i == 333 else "1.5", "x" * 30 if i == 402 else "ok", None if i == 250 else "g")


def literal(value):
    if value is None:
        return "null"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def insert(table, rows):
    return f"insert into {table} values " + ", ".join(f"({', '.join(map(literal, row))})" for row in rows) + ";\n"


SOURCE = """
create table numbers (id integer, word text, divisor integer, big bigint, money numeric(14,3), label text, gap text);
create table few (id integer, label text);
create table "we""ird '; drop table few; --" (id integer, "a "" b; --" text);
""" + insert("numbers", map(number_row, range(1, ROWS + 1))) + insert("few", [(1, "one"), (2, "two"), (3, "three")]) + \
    insert("\"we\"\"ird '; drop table few; --\"", [(1, "'; drop table few; --"), (2, "\\'); $1 %s")])

OLD = {  # target -> (columns, rows that are there before)
    "t_small": ("id integer, v integer", [(-1, -1)]),
    "t_money": ("id integer, v numeric(6,2)", [(-1, "-1")]),
    "t_label": ("id integer, v varchar(5)", [(-1, "old")]),
    "t_gap": ("id integer, v text not null", [(-1, "old")]),
    "t_key": ("id integer primary key, v text", [(-1, "old"), (42, "old")]),
    "t_plain": ("id integer, v text", [(-1, "old")]),
    "t_other": ("id integer, v text", [(-1, "old")]),
}
TARGETS = "".join(f"create table {table} ({columns});\n{insert(table, rows)}" for table, (columns, rows) in OLD.items())


def pick(node_id="pick", /, **columns):
    return node("select", node_id, columns=[{"name": name, "expression": text} for name, text in columns.items()])


def into(table, id="load", **fields):
    return node("load", id, connection="mart", table=table, mode=fields.pop("mode", "truncate"), **fields)


def numbers(v):
    return [extract("numbers"), pick(id="id", v=v)]


def said(agent, server, inside=None, across=None, lite=None):
    """Who fails with what: where the agent computes, where a server does."""
    return {"plain": agent, "lite": agent if lite is None else lite, "inside": inside or server, "across": across or server}


def always(*who, **but):
    return said(who, who, **but)


# name -> (nodes, what is said, the row that is left out with on_errors skip). A server that failed because of a value
# does not say where; then the agent looks for the row.
BAD_ROWS = {
    "text that is no number": (
        numbers("cast(word as integer)") + [into("t_small")], always("pick", 'row 617, "v": "six" is not an integer'), 617),
    "text that is no number for the target": (
        numbers("word") + [into("t_small")], always("load", 'row 617, "v": "six" is not an integer'), 617),
    "division by zero": (
        numbers("cast(big / divisor as text)") + [into("t_plain")], always("pick", 'row 500, "v": division by zero'), 500),
    "too big for the target": (  # where SQLite's integers have 64 bits
        numbers("big") + [into("t_small")], always("load", 'row 701, "v": 1099511627776 does not fit 32 bits', lite=()), 701),
    "too big a decimal": (
        numbers("money") + [into("t_money")], always("load", 'row 333, "v": "99999.125" does not fit decimal(6,2)'), 333),
    "too long a text": (
        numbers("label") + [into("t_label")], always("load", f'row 402, "v": "{"x" * 30}" is longer than 5 characters'), 402),
    "NULL into NOT NULL": (
        numbers("gap") + [into("t_gap")], always("load", 'row 250, "v": NULL where a value is required'), 250),
    "a key twice": (
        numbers("label") + [into("t_key", mode="append")],
        said(("load", 'duplicate key value violates unique constraint "t_key_pkey" (row 42): Key (id)=(42)'), None,
             inside=("load", 'duplicate key value violates unique constraint "t_key_pkey": Key (id)=(42)'),
             across=("load", 'duplicate key value violates unique constraint "t_key_pkey" (row 42): Key (id)=(42)'),
             lite=("load", "connection mart, row 42: a row with the same t_key.id is there already")), 42),
}


# Found before the first row moves; on_errors does not matter. None: SQLite does not mind.
BAD_PLANS = {
    "types that do not compare": (
        [extract("numbers"), node("filter", where="id > label"), pick(id="id", v="label"), into("t_plain")],
        always("filter", 'where: cannot compare "id" (integer) with "label" (text)')),
    "a literal of another type": (
        numbers("cast(big > 'x' as text)") + [into("t_plain")], always("pick", 'column "v": "x" is not an integer')),
    "no such column": (
        numbers("nope") + [into("t_plain")],
        always("pick", 'column "v": there is no column "nope" (a text is written in single quotes); there are: id, word, ')),
    "no such column in the target": (
        [extract("numbers"), pick(id="id", nope="word"), into("t_plain")],
        said(("load", 'table "public"."t_plain" has no column "nope"; it has id, v'), None,
             inside=("load", 'table "public"."t_plain" has no column "nope"; it has id, v'),
             across=("load", 'the table "t_plain" has no column "nope": it has id, v'),
             lite=("load", 'connection mart: table "t_plain" has no column "nope" that can be written; it has: id, v'))),
    "no such table": (
        [extract("nothing"), into("t_plain")],
        said(("nothing", 'there is no table "nothing" in schema "public"'), ("nothing", 'there is no table "nothing" in schema "public"'),
             lite=("nothing", 'connection shop: there is no table "nothing"'))),
    "no such target": (
        numbers("word") + [into("t_nothing")],
        said(("load", 'there is no table "t_nothing" in schema "public"'), ("load", 'there is no table "t_nothing" in schema "public"'),
             lite=("load", 'connection mart: there is no table "t_nothing"; a load with "create" makes it'))),
    "no such schema": (
        [extract("few", schema="nowhere"), pick(id="id", v="label"), into("t_plain")],
        said(("few", 'there is no schema "nowhere"'), ("few", 'there is no schema "nowhere"'), lite=())),
    "a date into an integer": (
        numbers("cast('2020-01-01' as date)") + [into("t_small")],
        said(("load", 'column "v": "v" (date) cannot be cast to integer'), None,
             inside=("load", 'column "v" is of type integer but expression is of type date'),
             across=("load", 'column "v": "v" (date) cannot be cast to integer'))),
    "two columns of one name": (
        [extract("few"), extract("few", "again"), node("join", on=[{"left": "id", "right": "id"}], columns=["id", {"name": "v", "column": "label"}]),
         into("t_nothing")], None),
}


def states_of(run):
    return {n["id"]: n["state"] for n in run["nodes"]}


def node_of(run, id):
    return next(n for n in run["nodes"] if n["id"] == id)


class Scenes(harness.SystemTest):
    def start(self, way, source=SOURCE, **more):
        self.data = DataScene(self.scene, way, tables={}, targets=TARGETS, **more)
        self.data.change(source, mart=False)
        return self.data

    def old(self, table):
        """Is the target as it was before?"""
        return sorted(self.data.in_mart(f"select * from {table}")) == \
            sorted(tuple(map(data_scene.plain, row)) for row in OLD[table][1])

    def renew(self, table):
        self.data.change(f"delete from {table};" + insert(table, OLD[table][1]))

    def log(self, run):
        return self.data.broker.get(f"/api/v1/runs/{run['run_id']}/logs").body.decode()

    def rows_of(self, run_id, id):
        """Rows that the node of an unfinished run has given so far."""
        run = self.data.broker.run(run_id)
        self.assertNotIn(run["state"], harness.FINAL, run)
        return next((n.get("rows_out") or 0 for n in run["nodes"] if n["id"] == id), 0)

    def counts(self, table):
        return self.data.in_mart(f"select count(*) from {table}")[0][0]

    def endless(self, way):
        """About a million rows each second, for an hour. In FROM the series would be written to disk first."""
        if way == "lite":
            return ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000) "
                    "select i as id, 'x' as v from n")
        return "select cast(i % 1000 as integer) as id, 'x' as v from (select generate_series(1, 1000000000) as i) s"


class Faults(Scenes):
    # ---- bad rows and bad plans ----------------------------------------------------

    def bad_rows(self, way):
        data = self.start(way)
        wrong = []
        for name, (nodes, by_way, _) in BAD_ROWS.items():
            table = nodes[-1]["table"]
            run = data.execute(line(name, *nodes))
            if not by_way[way]:
                if run["state"] != "COMPLETED":
                    wrong.append(f"{name}: {run}")
                self.renew(table)
                continue
            who, text = by_way[way]
            error = node_of(run, who)["error"] or ""
            if run["state"] != "FAILED" or text not in error or who not in run["error"] or text not in run["error"]:
                wrong.append(f"{name}: {run['state']}, {run['error']}, {who}: {error}")
            if set(states_of(run).values()) != {"failed", "cancelled"} or states_of(run)[who] != "failed":
                wrong.append(f"{name}: {states_of(run)}")
            if not self.old(table):
                wrong.append(f"{name}: {table} has changed")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def bad_plans(self, way):
        data = self.start(way)
        wrong = []
        for name, (nodes, by_way) in BAD_PLANS.items():
            if by_way is None or not by_way[way]:
                continue
            run = data.execute(line(name, *[{**n, "on_errors": "skip"} if n["kind"] == "load" and way == "plain" else n for n in nodes]))
            who, text = by_way[way]
            error = node_of(run, who)["error"] or ""
            if run["state"] != "FAILED" or text not in error or text not in run["error"]:
                wrong.append(f"{name}: {run['state']}, {run['error']}, {who}: {error}")
            for id, state in states_of(run).items():
                if (state == "failed") != (id == who) or state not in ("failed", "cancelled", "skipped"):
                    wrong.append(f"{name}: {states_of(run)}")
            if nodes[-1]["table"] in OLD and not self.old(nodes[-1]["table"]):
                wrong.append(f"{name}: {nodes[-1]['table']} has changed")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def bad_rows_left_out(self, way):
        data = self.start(way)
        wrong = []
        for name, (nodes, by_way, row) in BAD_ROWS.items():
            if not by_way[way]:
                continue
            who, text = by_way["lite" if way == "lite" else "plain"]  # nothing is pushed down then
            table = nodes[-1]["table"]
            run = data.execute(line(name, *nodes[:-1], {**nodes[-1], "on_errors": "skip"}))
            got = {n["id"]: (n["rows_in"], n["rows_out"], n["rows_rejected"]) for n in run["nodes"]}
            want = {"numbers": (ROWS, ROWS, 0), "pick": (ROWS, ROWS - (who == "pick"), int(who == "pick")),
                    "load": (ROWS - (who == "pick"), ROWS - 1, int(who == "load"))}
            if run["state"] != "COMPLETED" or got != want:
                wrong.append(f"{name}: {run['state']} {run['error']}: {got}")
            if f'node "{who}": left out: {text}' not in self.log(run):
                wrong.append(f"{name}: log: {self.log(run)}")
            old = {int(r[0]) for r in OLD[table][1]} if nodes[-1]["mode"] == "append" else set()
            ids = sorted(int(r[0]) for r in data.in_mart(f"select id from {table}"))
            if ids != sorted((set(range(1, ROWS + 1)) - {row}) | old):
                wrong.append(f"{name}: {table} has {len(ids)} rows")
            self.renew(table)
        # A row with two faults is one row, and what is left out is told in twenty lines at most.
        run = data.execute(line("two faults", extract("numbers"),
                                pick(id="case when id > 100 then cast('a' || word as integer) else id end",
                                     v="cast(case when id > 100 then cast('b' || word as integer) else id end as text)"),
                                into("t_plain", on_errors="skip")))
        if (node_of(run, "pick")["rows_rejected"], node_of(run, "load")["rows_out"]) != (ROWS - 100, 100) or \
                self.log(run).count("left out: ") != 20 or "more rows were left out" not in self.log(run):
            wrong.append(f"two faults: {run}\n{self.log(run)}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    # ---- several targets -----------------------------------------------------------

    def several_targets(self, way):
        data = self.start(way)
        run = data.execute(line(
            "two loads", extract("few"), pick(id="id", v="label"), into("t_plain"), extract("numbers"),
            pick("bad", id="id", v="cast(cast(word as integer) as text)"), into("t_other", "load2"), node("command", "after", argv=["true"]),
            node("command", "never", argv=["true"]),
            edges="few>pick pick>load numbers>bad bad>load2 load>after load2>never"))
        self.assertEqual(run["state"], "FAILED")
        states = states_of(run)
        self.assertEqual({id: states[id] for id in ("few", "pick", "load", "after", "never")},
                         {"few": "completed", "pick": "completed", "load": "completed", "after": "completed", "never": "skipped"})
        self.assertEqual(sorted(states[id] for id in ("numbers", "bad", "load2")), ["cancelled", "cancelled", "failed"])
        self.assertEqual(self.counts("t_plain"), "3")
        self.assertTrue(self.old("t_other"))

        self.renew("t_plain")
        run = data.execute(line(
            "one extract, two loads", extract("numbers"), pick("good", id="id", v="word"), into("t_plain"),
            pick("long", id="id", v="label"), into("t_label", "load2"), edges="numbers>good good>load numbers>long long>load2"))
        self.assertEqual((run["state"], states_of(run)),
                         ("FAILED", {"numbers": "completed", "good": "completed", "load": "completed", "long": "cancelled", "load2": "failed"}))
        self.assertIn("5", node_of(run, "load2")["error"])
        self.assertEqual(self.counts("t_plain"), str(ROWS))
        self.assertTrue(self.old("t_label"))

        # The other way round: what fails first leaves the rest alone.
        self.renew("t_plain")
        run = data.execute(line(
            "one extract, two loads", extract("numbers"), pick("long", id="id", v="label"), into("t_label", "load2"),
            pick("good", id="id", v="word"), into("t_plain"), edges="numbers>good good>load numbers>long long>load2"))
        self.assertEqual((run["state"], states_of(run)),
                         ("FAILED", {"numbers": "completed", "good": "completed", "load": "completed", "long": "cancelled", "load2": "failed"}))

    def hand_overs(self, way):
        data = self.start(way)
        mark = self.scene.path("mark")
        run = data.execute(line(
            "command between", node("command", "before", argv=["touch", mark]), extract("few"), pick(id="id", v="label"),
            node("command", "between", argv=["rm", mark]), into("t_plain"), node("command", "after", argv=["test", "!", "-e", mark]),
            edges="before>few few>pick pick>between pick>load between>load load>after"))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(data.in_mart("select v from t_plain")), [("one",), ("three",), ("two",)])
        self.assertEqual((node_of(run, "pick")["rows_out"], node_of(run, "load")["rows_in"]), (3, 3))

        run = data.execute(line(
            "broken between", extract("few"), pick(id="id", v="label"), node("command", "between", argv=["false"]), into("t_other"),
            edges="few>pick pick>between pick>load between>load"))
        self.assertEqual((run["state"], states_of(run)),
                         ("FAILED", {"few": "completed", "pick": "completed", "between": "failed", "load": "skipped"}))
        self.assertTrue(self.old("t_other"))

        run = data.execute(line(
            "sql first", node("sql", "make", connection="shop", sql="create table made as select id, label from few where id < 3"),
            node("sql", "add", connection="shop", sql="insert into made values (9, 'nine')"),
            extract("made"), pick(id="id", v="label"), into("t_plain"), edges="make>add add>made made>pick pick>load"))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(data.in_mart("select v from t_plain")), [("nine",), ("one",), ("two",)])

        run = data.execute(line(
            "fan out", extract("few"), node("csv_write", "file", path="few.csv"), pick(id="id", v="label"), into("t_plain"),
            node("filter", "some", where="id > 1"), into("t_other", "second"),
            edges="few>file few>pick pick>load load>some some>second"))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(self.scene.read("files/few.csv"), ["id,label", "1,one", "2,two", "3,three"])
        self.assertEqual((self.counts("t_plain"), self.counts("t_other")), ("3", "2"))

    def itself(self, way):
        """A table that is read and truncated."""
        data = self.start(way)
        data.change("create table own (id integer, label text);" + insert("own", [(i, f"l{i}") for i in range(1, 301)]))
        read = node("extract", "own", connection="mart", table="own")
        for nodes in ([read, node("filter", where="id % 3 = 0"), into("own")],
                      [node("extract", "own", connection="mart", sql="select id, label from own where id % 2 = 0"), into("own")],
                      [read, node("extract", "again", connection="mart", table="own"),
                       node("join", on=[{"left": "id", "right": "id"}], columns=["id", {"name": "label", "column": "label", "from": "right"}]),
                       into("own")]):
            edges = "own>join again>join join>load" if len(nodes) == 4 else None
            run = data.execute(line("itself", *nodes, edges=edges))
            self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(int(row[0]) for row in data.in_mart("select id from own")), list(range(6, 301, 6)))
        # Appending to itself ends, and a failure leaves it alone.
        run = data.execute(line("double", read, into("own", mode="append")))
        self.assertEqual((run["state"], self.counts("own")), ("COMPLETED", "100"))
        run = data.execute(line("broken", read, pick(id="id", label="cast(100 / (id - 150) as text)"), into("own")))
        self.assertEqual((run["state"], self.counts("own")), ("FAILED", "100"))

    # ---- contents ------------------------------------------------------------------

    def contents(self, way):
        data = self.start(way)
        big = 10 * 1024 * 1024
        long = "select 1 as id, " + ("cast(hex(zeroblob(5242880)) as text)" if way == "lite" else f"repeat('0', {big})") + " as v"
        run = data.execute(line("big cell", node("extract", "q", connection="shop", sql=long), into("t_plain")))
        self.assertEqual((run["state"], run["error"], data.in_mart("select length(v) from t_plain")), ("COMPLETED", None, [(str(big),)]))

        with open(self.scene.path("files/quotes.csv"), "w", newline="") as out:
            out.write('id,v\n1,"a ""b"", c\nd"\n2,\'; drop table few; --\n3,""\n')
        run = data.execute(line("quotes", node("csv_read", "file", path="quotes.csv", columns=[{"name": "id", "type": "integer"}, {"name": "v"}]),
                                into("t_plain")))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(data.in_mart("select id, v from t_plain"))[:2], [("1", 'a "b", c\nd'), ("2", "'; drop table few; --")])

        self.renew("t_plain")
        for name, kind, bytes, words in (
                ("invalid.csv", "csv_read", b"id,v\n1,ok\n2,\xc3(\n3,ok\n", ["invalid.csv", "line 3", "UTF-8"]),
                ("number.csv", "csv_read", b'id,v\n1,"o\nk"\nx,ok\n', ["number.csv", "line 4", "x"]),
                ("short.csv", "csv_read", b"id,v\n1,ok\n2\n", ["short.csv", "line 3"]),
                ("nul.jsonl", "jsonl_read", b'{"id": 1, "v": "ok"}\n{"id": 2, "v": "a\\u0000b"}\n', ["nul.jsonl", "line 2"]),
                ("cut.jsonl", "jsonl_read", b'{"id": 1, "v": "ok"}\n{"id": 2, "v": "a', ["cut.jsonl", "line 2"])):
            with open(self.scene.path(f"files/{name}"), "wb") as out:
                out.write(bytes)
            columns = [{"name": "id", "type": "integer"}, {"name": "v"}]
            run = data.execute(line(name, node(kind, "file", path=name, columns=columns), into("t_plain")))
            self.assertEqual((run["state"], states_of(run)["file"]), ("FAILED", "failed"), (name, run))
            for word in words:
                self.assertIn(word, node_of(run, "file")["error"], name)
            self.assertTrue(self.old("t_plain"), name)
            run = data.execute(line(name, node(kind, "file", path=name, columns=columns, on_errors="skip"), into("t_other", on_errors="skip")))
            self.assertEqual((run["state"], run["error"]), ("COMPLETED", None), name)
            rejected = node_of(run, "file")["rows_rejected"]
            self.assertEqual((rejected, node_of(run, "load")["rows_out"]), (1, 2 if name == "invalid.csv" else 1), (name, run))
            self.assertIn("left out: ", self.log(run), name)

        for path in ("../few.csv", "/etc/passwd", "nothing.csv"):
            run = data.execute(line("path", node("csv_read", "file", path=path), into("t_plain")))
            self.assertEqual((run["state"], states_of(run)["file"]), ("FAILED", "failed"), run)
            self.assertTrue(self.old("t_plain"))

    def injection(self, way):
        data = self.start(way)
        weird, column = "we\"ird '; drop table few; --", 'a " b; --'
        run = data.execute(line("weird", extract(weird, "read"), node("select", columns=["id", {"name": "v", "column": column}]),
                                node("filter", where="v <> 'it''s; drop table few; --'"), into("t_plain")))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(data.in_mart("select * from t_plain")), [("1", "'; drop table few; --"), ("2", "\\'); $1 %s")])
        run = data.execute(line("weird", extract(weird, "read"), {**into(weird + "2"), "create": True}))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(self.counts('"we""ird \'; drop table few; --2"'), "2")
        run = data.execute(line("weird", extract("few"), pick(id="id", v="label"), into("t_plain'; drop table t_other; --")))
        self.assertEqual(run["state"], "FAILED")

        self.renew("t_plain")
        for sql in ("select 1 as id, 'a' as v; drop table few", "delete from few", "delete from few returning id, label as v",
                    "with gone as (delete from few returning id) select id, 'x' as v from gone", "commit; drop table few", "",
                    "select id, label as v from few); drop table few; --"):
            answer = data.broker.execute(line("sql", node("extract", "q", connection="shop", sql=sql), into("t_plain")), wait=30)
            if answer.status != 200:
                self.assertProblem(answer, 422)
            else:
                self.assertEqual((answer.json["state"], states_of(answer.json)["q"]), ("FAILED", "failed"), (sql, answer))
                self.assertTrue(node_of(answer.json, "q")["error"], sql)
            self.assertTrue(self.old("t_plain"), sql)
        run = data.execute(line("all there", extract("few"), pick(id="id", v="label"), into("t_plain")))
        self.assertEqual((run["state"], self.counts("t_plain")), ("COMPLETED", "3"))
        for name in ("shop'; drop table few; --", "../shop", "sh op"):
            self.assertProblem(data.broker.execute(line("name", node("extract", "few", connection=name, table="few"), into("t_plain"))), 422)

    def test_a_missing_connection_is_waited_for_by_name(self):
        data = self.start("lite")
        run_id = data.broker.submit(line("nowhere", node("extract", "few", connection="elsewhere", table="few"), into("t_plain")))
        waiting = wait_for(lambda: [run for run in [data.broker.explain(run_id)] if "NO_CAPABLE_AGENT" in json.dumps(run)], what="the reason")
        self.assertIn("elsewhere", json.dumps(waiting))
        self.assertTrue(self.old("t_plain"))

    # ---- previews, progress --------------------------------------------------------

    def previews(self, way):
        data = self.start(way)
        run = data.execute(line("preview", extract("numbers"), node("filter", where="id <= 900"), pick(id="id", v="label"), into("t_plain")),
                           preview_rows=5)
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        answer = data.broker.get(f"/api/v1/runs/{run['run_id']}/preview")
        self.assertStatus(answer, 200)
        shown = {n["id"]: n for n in answer.json["nodes"]}
        for id in ("numbers", "filter", "pick", "load"):
            self.assertEqual(len(shown.get(id, {"rows": []})["rows"]), 5, (id, answer.json))
        self.assertEqual(shown["pick"]["columns"], ["id", "v"])
        self.assertEqual([row[1] for row in shown["pick"]["rows"]], ["ok"] * 5)
        pushed = way in ("inside", "across")
        out = {n["id"]: n["rows_out"] for n in run["nodes"]}
        self.assertEqual(out, {"numbers": None if pushed else ROWS, "filter": None if pushed else 900,
                               "pick": None if way == "inside" else 900, "load": 900})

    def progress(self, way):
        data = self.start(way)
        run_id = data.broker.submit(line("long", node("extract", "q", connection="shop", sql=self.endless(way)), into("t_plain")))

        def rows():  # those of the target's own database are all read first
            return self.rows_of(run_id, "q" if way == "plain" else "load")
        first = wait_for(rows, 8, "rows while it runs")
        wait_for(lambda: rows() > first, 8, "more rows")
        self.assertStatus(data.broker.post(f"/api/v1/runs/{run_id}/cancel"), 202)
        self.assertEqual(data.broker.until(run_id)["state"], "CANCELLED")
        self.assertTrue(self.old("t_plain"))

    # ---- limits --------------------------------------------------------------------

    def limits(self, way):
        rows = 120000
        wide = ("with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) select i as id, 'a%%048d' || i as v from n" % rows
                if way == "lite" else f"select i as id, 'a' || repeat('x', 48) || i as v from generate_series(1, {rows}) i")
        for settings, words in (("  memory: 32MiB\n", None), ("  memory: 32MiB\n  spill_max: 1MiB\n", ["spill_max", "1 MiB"])):
            data = self.start(way, settings=settings)
            # Both sides and the sort are bigger than the memory.
            nodes = (node("extract", "a", connection="shop", sql=wide), node("extract", "b", connection="shop", sql=wide),
                     pick("a2", id="id", v="initcap(v)"), pick("b2", id="id", w="initcap(v)"),
                     node("join", on=[{"left": "id", "right": "id"}], columns=["id", "v", "w"]),
                     node("sort", by=[{"column": "w", "descending": True}]), node("select", columns=["id", "v"]), into("t_plain"))
            run = data.execute(line("big", *nodes, edges="a>a2 b>b2 a2>join b2>join join>sort sort>select select>load"), wait=60)
            if words:
                self.assertEqual(run["state"], "FAILED", run)
                for word in words:
                    self.assertIn(word, run["error"])
                self.assertTrue(self.old("t_plain"))
            else:
                self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
                self.assertEqual(self.counts("t_plain"), str(rows))
            data.agent.stop()

    def out_of_memory(self, way):
        data = self.start(way, settings="  memory: 32MiB\n")
        cell = 90 * 1024 * 1024
        sql = f"select 1 as id, {f'cast(hex(zeroblob({cell // 2})) as text)' if way == 'lite' else f'repeat(chr(48), {cell})'} as v"
        run = data.execute(line("huge cell", node("extract", "q", connection="shop", sql=sql), pick(id="id", v="lower(v)"),
                                into("t_plain", on_errors="skip")))
        self.assertEqual(run["state"], "FAILED", run)
        self.assertIn("memory", run["error"])
        self.assertTrue(self.old("t_plain"))

    # ---- merge ---------------------------------------------------------------------

    def merge(self, way):
        data = self.start(way)
        run = data.execute(line("merge", extract("few"), pick(id="id + 40", v="label"), into("t_key", mode="merge", key=["id"])))
        self.assertEqual((run["state"], run["error"]), ("COMPLETED", None))
        self.assertEqual(sorted(data.in_mart("select * from t_key")), [("-1", "old"), ("41", "one"), ("42", "two"), ("43", "three")])
        self.assertEqual(node_of(run, "load")["rows_out"], 3)
        self.renew("t_key")
        run = data.execute(line("twins", extract("few"), pick(id="7", v="label"), into("t_key", mode="merge", key=["id"])))
        self.assertEqual((run["state"], states_of(run)["load"]), ("FAILED", "failed"))
        self.assertIn("7", node_of(run, "load")["error"])
        self.assertIn("came before in this load" if way == "lite" else "have the same key", node_of(run, "load")["error"])
        self.assertTrue(self.old("t_key"))
        run = data.execute(line("no index", extract("few"), pick(id="id", v="label"), into("t_plain", mode="merge", key=["id"])))
        self.assertEqual((run["state"], states_of(run)["load"]), ("FAILED", "failed"))
        self.assertIn("unique", node_of(run, "load")["error"].lower())
        self.assertTrue(self.old("t_plain"))
        run = data.execute(line("no such key", extract("few"), pick(id="id", v="label"), into("t_key", mode="merge", key=["nope"])))
        self.assertEqual((run["state"], states_of(run)["load"]), ("FAILED", "failed"))
        self.assertIn("nope", node_of(run, "load")["error"])
        self.assertTrue(self.old("t_key"))


class Lost(Scenes):
    """What servers, agents and people do in the middle of a load."""

    def start(self, way, **more):
        return super().start(way, source="create table few (id integer, label text);" + insert("few", [(1, "one"), (2, "two"), (3, "three")]),
                             broker_config=QUICK, **more)

    def sessions(self):
        """Pids of the runs' sessions that are at work in the target or the source."""
        data = self.data
        return [int(pid) for pid in data.server.sql(
            "select pid from pg_stat_activity where application_name like 'dispatch %' and state <> 'idle' and datname in "
            f"({literal(data.shop)}, {literal(data.mart)})").split()]

    def writer(self):
        """The session that writes."""
        return self.data.server.sql(
            f"select pid from pg_stat_activity where datname = {literal(self.data.mart)} and application_name like 'dispatch %' and "
            "(query like 'COPY %FROM STDIN%' or query like '%dispatch_rows_kept%') and state = 'active'")

    def busy(self, way):
        """A load that goes on for ever, in the middle of its rows: the id of its run."""
        data = self.data
        run_id = data.broker.submit(self.forever(way), on_lost="fail")
        self.at_work(way, run_id)
        return run_id

    def at_work(self, way, run_id):
        """Inside, rows that may be read from the target are kept by the server first; plain ones by the agent."""
        if way in ("inside", "across"):
            wait_for(self.writer, 8, "the session that writes")
        else:
            wait_for(lambda: self.rows_of(run_id, "q" if way == "plain" else "load") > 0, 8, "rows")

    def forever(self, way, **fields):
        return line("forever", node("extract", "q", connection="shop", sql=self.endless(way)), into("t_plain", **fields))

    def cancelled(self, way):
        data = self.start(way)
        run_id = self.busy(way)
        self.assertStatus(data.broker.post(f"/api/v1/runs/{run_id}/cancel"), 202)
        run = data.broker.until(run_id)
        self.assertEqual((run["state"], set(states_of(run).values())), ("CANCELLED", {"cancelled"}))
        if way != "lite":
            wait_for(lambda: not self.sessions(), 5, "the statements ended in the server")
        self.assertTrue(self.old("t_plain"))

    def too_long(self, way):
        data = self.start(way)
        nodes = self.forever(way)["nodes"]
        run = data.execute(line("node", nodes[0], {**nodes[1], "timeout_s": 0.7}))
        self.assertEqual((run["state"], states_of(run)["load"]), ("FAILED", "failed"), run)
        self.assertIn("0.7", node_of(run, "load")["error"])
        self.assertTrue(self.old("t_plain"))
        run = data.execute(line("run", *nodes), timeout_s=1)
        self.assertEqual((run["state"], states_of(run)["load"]), ("TIMED_OUT", "cancelled"), run)
        if way != "lite":
            wait_for(lambda: not self.sessions(), 5, "the statements ended in the server")
        self.assertTrue(self.old("t_plain"))

    def statement_too_long(self, way):
        data = self.start(way, settings="  statement_timeout: 300ms\n  lock_timeout: 200ms\n")
        run = data.execute(line("slow", node("extract", "q", connection="shop", sql="select 1 as id, pg_sleep(60)::text as v"), into("t_plain")))
        self.assertEqual(run["state"], "FAILED", run)
        self.assertIn("statement timeout (300 ms)", run["error"])
        self.assertTrue(self.old("t_plain"))
        holder = postgres_session(data.server, data.mart, "begin; lock table t_plain; select 'held';")
        try:
            run = data.execute(line("locked", extract("few"), pick(id="id", v="label"), into("t_plain")))
        finally:
            holder()
        self.assertEqual((run["state"], states_of(run)["load"]), ("FAILED", "failed"), run)
        self.assertIn("lock timeout", run["error"])
        self.assertIn("200 ms", run["error"])
        self.assertTrue(self.old("t_plain"))

    def killed_session(self, way):
        data = self.start(way)
        run_id = self.busy(way)
        pid, who = (self.sessions()[0], "q") if way == "plain" else (self.writer(), "load")
        data.server.sql(f"select pg_terminate_backend({pid})")
        run = data.broker.until(run_id)
        self.assertEqual((run["state"], states_of(run)[who]), ("FAILED", "failed"), run)
        self.assertRegex(run["error"], "terminating connection|the connection was lost")
        if who == "load":
            self.assertIn("the target is unchanged", run["error"])
        wait_for(lambda: not self.sessions(), 5, "the other session ended too")
        self.assertTrue(self.old("t_plain"))
        if way == "across":  # the side that reads
            run_id = self.busy(way)
            data.server.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = {literal(data.shop)} "
                            "and application_name like 'dispatch %'")
            run = data.broker.until(run_id)
            self.assertEqual(run["state"], "FAILED", run)
            self.assertRegex(run["error"], "terminating connection|the connection was lost")
            wait_for(lambda: not self.sessions(), 5, "the other session ended too")
            self.assertTrue(self.old("t_plain"))

    def lost_agent(self, way):
        """The agent and all it started die in the middle; another one loads, exactly once. Whoever looks meanwhile sees the
        old rows, the new ones or has to wait, and never none or both."""
        data = self.start(way)
        seen, done = set(), threading.Event()
        query = "select count(*), coalesce(sum(case when id = -1 then 1 else 0 end), 0) from t_plain"

        def look():
            while not done.is_set():
                try:
                    if way == "lite":
                        seen.update(ask_lite(data.mart, query))
                    else:
                        out = data.server.sql(f"set lock_timeout = '200ms'; {query};", data.mart)
                        seen.add(tuple(out.split("|")))
                except (RuntimeError, sqlite3.OperationalError):
                    pass  # has to wait
                done.wait(0.03)
        # The first attempt does not end; the second one has three rows.
        if way == "lite":
            data.change("create table gate (open integer)", mart=False)
            sql = ("with recursive n(i) as (select 1 union all select i + 1 from n where i < "
                   "case when (select count(*) from gate) > 0 then 3 else 1000000000 end) select i as id, 'x' as v from n")
        else:
            data.change("create table gate (open integer)", mart=False)
            sql = ("select cast(i as integer) as id, 'x' as v from (select generate_series(1, "
                   "case when (select count(*) from gate) > 0 then 3 else 1000000000 end) as i) s")
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            run_id = data.broker.submit(line("twice", node("extract", "q", connection="shop", sql=sql), into("t_plain")), on_lost="retry")
            self.at_work(way, run_id)
            family = [data.agent.pid, *descendants_of(data.agent.pid)]
            for pid in family:
                os.kill(pid, signal.SIGKILL)
            data.agent.program.wait()
            wait_for(lambda: not any(map(is_alive, family)), 10, "they are dead")
            data.change("insert into gate values (1)", mart=False)
            self.second_agent()
            run = data.broker.until(run_id, deadline=30)
        finally:
            done.set()
            watcher.join()
        self.assertEqual((run["state"], run["attempt"], run["error"]), ("COMPLETED", 2, None))
        self.assertEqual(sorted(data.in_mart("select * from t_plain")), [("1", "x"), ("2", "x"), ("3", "x")])
        self.assertTrue(seen and seen <= {("1", "1"), ("3", "0")}, seen)

    def second_agent(self):
        return Agent(self.scene, self.data.broker, "second", "default,etl,high-memory", slots=2, config=self.data.config)

    def unheard(self, way):
        """The first attempt commits, but dies before anybody hears of it."""
        data = self.start(way)
        data.change("create table gate (open integer)", mart=False)
        # Waits for the gate, then gives three rows.
        if way == "lite":
            sql = ("with recursive w(i) as (select 1 union all select i + 1 from w where i < 30000000) "
                   "select id, label as v from few where (select count(*) from w) > 0")
        else:
            sql = "select id, label as v from few, (select pg_sleep(1.5)) s"
        run_id = data.broker.submit(line("unheard", node("extract", "q", connection="shop", sql=sql), into("t_other", mode="append")),
                                    on_lost="retry")
        data.broker.until(run_id, "RUNNING")
        wait_for(lambda: states_of(data.broker.run(run_id)).get("load") == "running", what="the load has begun")
        family = [data.agent.pid, *descendants_of(data.agent.pid)]
        leaf = [pid for pid in family if open(f"/proc/{pid}/comm").read().strip() == "node"]
        self.assertEqual(len(leaf), 1, family)
        for pid in family:
            if pid not in leaf:
                os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: self.counts("t_other") == "4", 20, "the commit")
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        data.agent.program.wait()
        self.second_agent()
        run = data.broker.until(run_id, deadline=30)
        self.assertEqual((run["state"], run["attempt"], run["error"]), ("COMPLETED", 2, None))
        self.assertEqual(self.counts("t_other"), "4")
        self.assertEqual((node_of(run, "load")["state"], node_of(run, "load")["rows_out"]), ("completed", 3))
        self.assertIn("an earlier attempt of this run has loaded it", self.log(run))

    def test_a_server_that_is_restarted_in_mid_copy_changes_nothing(self):
        with Aside() as server:  # all others go on using the common one
            self.data = data = DataScene.__new__(DataScene)
            data.server, data.way, data.shop, data.mart = server, "inside", "shop", "mart"
            server.createdb("shop")
            server.createdb("mart")
            fill_postgres(server, "shop", "create table few (id integer, label text);" + insert("few", [(1, "one")]), {})
            fill_postgres(server, "mart", TARGETS, {})
            data.config = "connections:\n" + "".join(
                f"  - name: {name}\n    engine: postgresql\n    dsn: \"{server.dsn_of(name)}\"\n" for name in ("shop", "mart"))
            data.broker = Broker(self.scene, config=QUICK)
            data.agent = Agent(self.scene, data.broker, "agent", "default,etl,high-memory", slots=4, config=data.config)
            for mode in ("fast", "immediate"):
                run_id = self.busy("across")
                server.restart(mode)
                run = data.broker.until(run_id)
                self.assertEqual((run["state"], states_of(run)["load"] in ("failed", "cancelled")), ("FAILED", True), run)
                self.assertRegex(run["error"], "terminating connection|the connection was lost")
                self.assertTrue(self.old("t_plain"))
            run = data.execute(line("again", extract("few"), pick(id="id", v="label"), into("t_plain")))
            self.assertEqual((run["state"], self.counts("t_plain")), ("COMPLETED", "1"))

    def test_a_connection_that_cannot_be_made_is_told_without_its_secrets(self):
        data = self.start("across")
        shut = postgres.free_port()
        secret = "hunter2-s3cret"
        dead = f"host=127.0.0.1 port={shut} user=dispatch password={secret} dbname=x"
        wrong = f"host=127.0.0.1 port={data.server.port} user=nobody-there password={secret} dbname={data.shop}"
        odd = f"host=127.0.0.1 port={data.server.port} nonsense={secret}"
        config = data.config.replace("connections:\n", "connections:\n" + "".join(
            f"  - name: {name}\n    engine: postgresql\n    dsn: \"{dsn}\"\n" for name, dsn in (("dead", dead), ("wrong", wrong), ("odd", odd))), 1)
        Agent(self.scene, data.broker, "other", "default", config=config)
        for name, words in (("dead", "Connection refused"), ("wrong", "nobody-there"), ("odd", "see that its dsn is right")):
            for nodes, who in (([node("extract", "few", connection=name, table="few"), into("t_plain")], "few"),
                               ([extract("few"), pick(id="id", v="label"), node("load", "load", connection=name, table="t", mode="truncate")], "load"),
                               ([node("sql", "q", connection=name, sql="select 1")], "q")):
                run = data.execute(line(name, *nodes))
                self.assertEqual((run["state"], states_of(run)[who]), ("FAILED", "failed"), run)
                self.assertIn(f"no connection to PostgreSQL (connection {name}): ", node_of(run, who)["error"])
                self.assertIn(words, node_of(run, who)["error"])
                told = json.dumps(run) + self.log(run) + json.dumps(data.broker.explain(run["run_id"]))
                self.assertNotIn(secret, told)
                self.assertNotIn(str(shut), node_of(run, who)["error"])
        self.assertNotIn(secret, "".join(program.read_log() for program in self.scene.programs))
        self.assertTrue(self.old("t_plain"))


class Aside(postgres.Postgres):
    """A server of the test's own, in a `with` inside of the test: it has to end before the scene, which ends all children."""

    def __enter__(self):
        try:
            return super().__enter__()
        except postgres.Missing as why:
            self.stop()
            raise unittest.SkipTest(str(why)) from None


def postgres_session(server, database, script):
    """A psql that has run the script and holds its transaction until what is returned is called."""
    psql = subprocess.Popen([f"{server.bin}/psql", "-X", "-q", "-A", "-t", "-d", server.dsn_of(database)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True)
    psql.stdin.write(script + "\n")
    psql.stdin.flush()
    psql.stdout.readline()

    def end():
        psql.stdin.close()
        psql.stdout.close()
        psql.wait()
    return end


CLAIMS = {
    "bad_rows": "bad_rows_fail_the_run_with_who_and_why_and_the_target_stays",
    "bad_plans": "bad_plans_are_told_before_the_first_row",
    "bad_rows_left_out": "bad_rows_are_left_out_counted_and_told_when_they_may_be",
    "several_targets": "each_target_ends_for_itself",
    "hand_overs": "rows_and_order_survive_a_change_of_process",
    "itself": "a_table_that_is_read_and_truncated_keeps_what_was_chosen",
    "contents": "odd_contents_arrive_or_are_refused_with_the_line",
    "injection": "nothing_in_a_document_becomes_sql",
    "previews": "previews_show_the_first_rows_of_each_node",
    "progress": "rows_are_counted_while_they_move_and_a_cancelled_load_leaves_nothing",
    "limits": "what_is_bigger_than_memory_spills_and_is_told_when_it_cannot",
    "out_of_memory": "what_does_not_fit_memory_is_told",
    "merge": "a_merge_inserts_and_updates_or_says_why_not",
    "cancelled": "a_cancelled_load_ends_in_the_server_and_leaves_nothing",
    "too_long": "time_outs_of_runs_and_nodes_end_loads",
    "statement_too_long": "time_outs_of_statements_and_locks_are_told",
    "killed_session": "a_session_that_dies_in_mid_copy_changes_nothing",
    "lost_agent": "a_load_whose_agent_died_is_done_once_by_another",
    "unheard": "a_load_that_was_committed_and_not_heard_of_is_not_done_again",
}
ONLY = {"limits": ("lite", "plain"), "out_of_memory": ("lite", "plain"), "progress": ("lite", "across", "plain"),
        "statement_too_long": ("inside", "across", "plain"), "killed_session": ("inside", "across", "plain")}


def add_tests():
    for method, claim in CLAIMS.items():
        for way in ONLY.get(method, WAYS):
            def test(self, method=method, way=way):
                getattr(self, method)(way)
            setattr(Lost if hasattr(Lost, method) and not hasattr(Faults, method) else Faults, f"test_{claim}__{way}", test)


add_tests()

if __name__ == "__main__":
    data_scene.main()
