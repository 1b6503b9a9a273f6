"""What the tests of data nodes stand on: the same tables in SQLite and in PostgreSQL, agents whose connections lead to
the one or the other, and answers to compare.

A *way* says where the connections lead and so how rows travel:

    lite     SQLite to SQLite, in the agent
    inside   one PostgreSQL database: INSERT ... SELECT in the server
    across   two PostgreSQL databases: COPY to COPY
    plain    one PostgreSQL database without push-down: everything in the agent
    up       SQLite to PostgreSQL
    down     PostgreSQL to SQLite
"""
import decimal
import os
import random
import sqlite3
import sys

import harness
from harness import Agent, Broker

sys.path.insert(0, os.path.join(harness.ROOT, "tests"))
import postgres  # noqa: E402

WAYS = ("lite", "inside", "across", "plain", "up", "down")
SOURCE_IS_LITE = {"lite", "up"}
TARGET_IS_LITE = {"lite", "down"}

SCHEMA = """
create table customers (id integer, name varchar(40), country text, credit numeric(10,2), since date, vip boolean);
create table orders (id integer, customer_id integer, status text, qty integer, amount numeric(12,2), note text,
                     ordered timestamp, weight double precision, big bigint);
create table employees (employee_id integer, first_name varchar(40), department_id integer, salary numeric,
                        hire_date date);
create table departments (department_id integer, department_name varchar(40));
"""
TARGETS = """
create table sales_by_country (country text, orders bigint, revenue numeric(14,2));
create table orders_clean (id integer, customer_id integer, status text, qty integer, amount numeric(12,2), note text,
                           ordered timestamp, weight double precision, big bigint, country text);
create table employees_copy (employee_id integer, first_name varchar(40), department_id integer, salary numeric,
                             hire_date date);
create table department_totals (department text, total_salary numeric, headcount integer);
"""
CUSTOMERS_COPY = SCHEMA.split(";")[0] + ";"

WORDS = ["", "plain", "Ünïcödé ß", "it's \"quoted\"", "tab\there", "line\nbreak", "back\\slash", "\\N", "semi;colon", "100%",
         "a_b", "'; drop table orders; --", "  blanks  ", "ÉLAN vital"]


def rows_of_tables(seed=7, orders=400):
    """table -> rows, the same every time."""
    r = random.Random(seed)

    def maybe(value, chance=0.12):
        return None if r.random() < chance else value

    def day():
        return f"{r.randint(1999, 2026):04d}-{r.randint(1, 12):02d}-{r.randint(1, 28):02d}"

    def money(most):
        return f"{r.randint(-most, most * 20) / 100:.2f}"

    countries = ["DE", "FR", "US", "at", None, "Côte d'Ivoire"]
    customers = [(i, maybe(r.choice(WORDS[1:6]) + f" {i}"), r.choice(countries), maybe(money(500000)), maybe(day()),
                  maybe(r.random() < 0.4)) for i in range(1, 41)]
    lines = [(i, maybe(r.randint(1, 50)), r.choice(["paid", "open", "PAID", "void", None]), maybe(r.randint(0, 9)),
              maybe(money(100000)), maybe(r.choice(WORDS)),
              maybe(f"{day()} {r.randint(0, 23):02d}:{r.randint(0, 59):02d}:{r.randint(0, 59):02d}"
                    + r.choice(["", ".5", ".123456"])),
              maybe(r.choice([0.5, 1.25, 3.0, -7.75, 1e10, 0.1])),
              maybe(r.choice([0, 1, -1, 2**31, 2**40 + r.randint(0, 99), -2**62]))) for i in range(1, orders + 1)]
    employees = [(100 + i, f"Name {i}", maybe(r.randint(1, 6)), maybe(f"{r.randint(0, 9000)}.{r.randint(0, 999):03d}"),
                  maybe(day())) for i in range(1, 31)]
    departments = [(i, f"Department {i}") for i in range(1, 6)]
    return {"customers": customers, "orders": lines, "employees": employees, "departments": departments}


def fill_lite(path, ddl, tables):
    with sqlite3.connect(path) as db:
        db.executescript(ddl)
        for table, rows in tables.items():
            if rows:
                db.executemany(f"insert into {table} values ({','.join('?' * len(rows[0]))})", rows)
    db.close()


def copy_text(value):
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return "t" if value else "f"
    text = str(value)
    for char, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(char, escape)
    return text


def fill_postgres(server, database, ddl, tables):
    script = ddl
    for table, rows in tables.items():
        script += f"\ncopy {table} from stdin;\n"
        script += "".join("\t".join(copy_text(value) for value in row) + "\n" for row in rows) + "\\.\n"
    server.sql(script, database)


def plain(value):
    """One form for what both engines mean: numbers by value, booleans as 1 and 0."""
    if value is None or isinstance(value, bytes):
        return value
    text = str(value)
    if text in ("t", "True"):
        return "1"
    if text in ("f", "False"):
        return "0"
    try:
        number = decimal.Decimal(text)
    except decimal.InvalidOperation:
        return text
    if not number.is_finite() or text != text.strip() or "_" in text:
        return text
    return format(number.normalize() + 0, "f")


def uncopy(field):
    if field == "\\N":
        return None
    out, at = [], 0
    names = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "b": "\b", "f": "\f", "v": "\v"}
    while at < len(field):
        if field[at] == "\\":
            at += 1
            out.append(names.get(field[at], field[at]))
        else:
            out.append(field[at])
        at += 1
    return "".join(out)


def ask_postgres(server, database, query):
    out = server.sql(f"set timezone = 'UTC';\ncopy ({query}) to stdout;", database)
    return [tuple(plain(uncopy(field)) for field in line.split("\t")) for line in out.split("\n")] if out else []


def ask_lite(path, query):
    db = sqlite3.connect(path)
    try:
        return [tuple(plain(value) for value in row) for row in db.execute(query)]
    finally:
        db.close()


def close(a, b):
    """Equal, or two doubles that differ in their last digits only."""
    if a == b or a is None or b is None:
        return a == b
    digits = [sum(char.isdigit() for char in str(value).lstrip("-0.")) for value in (a, b)]
    if max(digits) < 15:
        return False
    try:
        x, y = decimal.Decimal(str(a)), decimal.Decimal(str(b))
    except decimal.InvalidOperation:
        return False
    # Exact decimals are longer, unless SQLite holds them.
    return abs(x - y) <= abs(y) * decimal.Decimal("1e-13") and min(digits) <= 17


def differences(got, want):
    """What only the one and only the other has, at most three of each."""
    left, right = [], list(want)
    for row in got:
        for i, other in enumerate(right):
            if row == other or (len(row) == len(other) and all(map(close, row, other))):
                del right[i]
                break
        else:
            left.append(row)
    return left[:3], right[:3]


def same(rows):
    """For comparing without order."""
    return sorted(rows, key=lambda row: tuple((value is None, str(value)) for value in row))


class DataScene:
    """A broker, one agent of one way, and its databases."""
    server = None  # one for all tests of a file
    count = 0

    @classmethod
    def postgres(cls):
        if cls.server is None:
            cls.server = Server()
        return cls.server

    def __init__(self, scene, way, tables=None, settings="", broker_config=None, targets=TARGETS, slots=4):
        self.scene, self.way = scene, way
        self.tables = rows_of_tables() if tables is None else tables
        self.server = self.postgres() if way != "lite" else None
        DataScene.count += 1
        self.shop = self.make(f"shop_{os.getpid()}_{self.count}", way in SOURCE_IS_LITE, SCHEMA, self.tables)
        if way in ("inside", "plain"):
            self.mart = self.shop
            self.server.sql(targets, self.shop)
        else:
            self.mart = self.make(f"mart_{os.getpid()}_{self.count}", way in TARGET_IS_LITE, targets, {})
        os.makedirs(scene.path("files"), exist_ok=True)
        self.config = (self.connection("shop", self.shop, way in SOURCE_IS_LITE,
                                       ["hr", *(f"a1b0c5de-0000-4000-8000-0000000000{n}" for n in ("91", "92"))]) +
                       self.connection("mart", self.mart, way in TARGET_IS_LITE,
                                       ["a1b0c5de-0000-4000-8000-000000000093"]))
        if way in ("inside", "plain"):  # one connection by two names
            self.config = self.connection(
                "shop", self.shop, False,
                ["hr", "mart", *(f"a1b0c5de-0000-4000-8000-0000000000{n}" for n in ("91", "92", "93"))])
        self.config = (f"connections:\n{self.config}data:\n  files: {scene.path('files')}\n" +
                       ("  pushdown: false\n" if way == "plain" else "") + settings)
        self.broker = Broker(scene, config=broker_config, name=f"broker-{way}-{self.count}")
        self.agent = Agent(scene, self.broker, f"agent-{way}-{self.count}", "default,etl,high-memory", slots=slots,
                           config=self.config)

    def make(self, name, lite, ddl, tables):
        if lite:
            fill_lite(self.scene.path(name + ".db"), ddl, tables)
            return self.scene.path(name + ".db")
        self.server.createdb(name)
        fill_postgres(self.server, name, ddl, tables)
        return name

    def connection(self, name, place, lite, aliases):
        dsn = place if lite else self.server.dsn_of(place)
        return (f"  - name: {name}\n    engine: {'sqlite' if lite else 'postgresql'}\n    dsn: \"{dsn}\"\n"
                f"    aliases: [{', '.join(aliases)}]\n")

    def execute(self, document, wait=30, **fields):
        answer = self.broker.execute(document, wait=wait, **fields)
        assert answer.status in (200, 202), answer
        return answer.json

    def in_mart(self, query):
        """Rows of a query that both engines understand."""
        if self.way in TARGET_IS_LITE:
            return ask_lite(self.mart, query)
        return ask_postgres(self.server, self.mart, query)

    def change(self, script, mart=True):
        place = self.mart if mart else self.shop
        if self.way in (TARGET_IS_LITE if mart else SOURCE_IS_LITE):
            with sqlite3.connect(place) as db:
                db.executescript(script)
            db.close()
        else:
            self.server.sql(script, place)


class Server(postgres.Postgres):
    """The server of DISPATCH_TEST_PG; main() sees to it that there is one."""

    def __init__(self):
        super().__init__()
        words = dict(word.split("=", 1) for word in os.environ["DISPATCH_TEST_PG"].split())
        self.port, self.user = int(words["port"]), words["user"]


def main():
    """As harness.main(), under a PostgreSQL of its own when there is none: the server must not be a child of the tests,
    which end all their children."""
    if "DISPATCH_TEST_PG" not in os.environ:
        runner = os.path.join(harness.ROOT, "tests", "postgres.py")
        os.execv(sys.executable, [sys.executable, runner, "--", sys.executable, *sys.argv])
    harness.main()


def node(kind, id=None, **fields):
    return {"id": id or kind, "kind": kind, **fields}


def line(name, *nodes, edges=None):
    """A workflow of nodes, one after the other unless edges says otherwise ("a>b c>b")."""
    if edges is None:
        pairs = [(a["id"], b["id"]) for a, b in zip(nodes, nodes[1:])]
    else:
        pairs = [tuple(edge.split(">")) for edge in edges.split()]
    return {"name": name, "nodes": list(nodes), "edges": [{"source": a, "target": b} for a, b in pairs]}


def load(table, id="load", **fields):
    return node("load", id, connection="mart", table=table, create=True, mode=fields.pop("mode", "truncate"), **fields)


def extract(table, id=None, **fields):
    return node("extract", id or table, connection="shop", table=table, **fields)
