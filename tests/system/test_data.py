"""Data nodes on real databases: every plan on every way rows can travel, checked against SQL written by hand."""
import json
import os

import data_scene
import harness
from data_scene import TARGETS, CUSTOMERS_COPY, DataScene, ask_postgres, differences, extract, fill_postgres, line, load, node, same
from harness import document

# name -> (document, the same by hand in PostgreSQL's SQL over the source tables). Targets are made by the load.
PLANS = {}


def plan(name, by_hand, *nodes, edges=None):
    PLANS[name] = (line(name, *nodes, edges=edges), by_hand)


def columns(**expressions):
    return [{"name": name, "expression": text} for name, text in expressions.items()]


plan("filter", "select id, amount from orders where status = 'paid' and qty >= 2 and amount > 10.5",
     extract("orders"), node("filter", where="status = 'paid' and qty >= 2 and amount > 10.5"),
     node("select", columns=["id", "amount"]), load("t_filter"))
plan("nulls_in_conditions",
     "select id from orders where not (qty > 3 or note like 'p%') or customer_id is null",
     extract("orders"), node("filter", where="not (qty > 3 or note like 'p%') or customer_id is null"),
     node("select", columns=["id"]), load("t_nulls"))
plan("extract_filter",
     "select id, name, since from customers where vip and since >= '2005-06-01'",
     extract("customers", filter="vip and since >= '2005-06-01'", columns=["id", "name", "since"]), load("t_extract"))
plan("own_sql",
     "select customer_id, count(*) as n from orders group by customer_id",
     node("extract", "q", connection="shop", sql="select customer_id, count(*) as n from orders group by customer_id -- by hand"),
     load("t_sql"))
plan("arithmetic",
     """select id, qty + 1 as a, qty - 10 as b, qty * 3 as c, qty / 2 as d, qty % 4 as e, amount * qty as f, amount / 3 as g,
        amount + 0.5 as h, -amount as i, weight * 2 as j, weight / 4 as k, (big / 7)::bigint as l, 7 / 2 as m, -7 / 2 as n, -7 % 3 as o
        from orders""",
     extract("orders"), node("map", columns=columns(
         a="qty + 1", b="qty - 10", c="qty * 3", d="qty / 2", e="qty % 4", f="amount * qty", g="amount / 3", h="amount + 0.5",
         i="-amount", j="weight * 2", k="weight / 4", l="big / 7", m="7 / 2", n="-7 / 2", o="-7 % 3")),
     node("select", columns=["id", *"abcdefghijklmno"]), load("t_arithmetic"))
plan("comparisons",
     """select id from orders where (qty between 2 and 5 or qty in (7, 9)) and status in ('paid', 'open', null)
        and amount <> 12.50 and (note is distinct from 'plain') and status not in ('void')""",
     extract("orders"), node("filter", where="(qty between 2 and 5 or qty in (7, 9)) and status in ('paid', 'open', null) and "
                             "amount <> 12.50 and (note is distinct from 'plain') and status not in ('void')"),
     node("select", columns=["id"]), load("t_comparisons"))
plan("like",
     "select id, note from orders where note like '%a%' or note ilike 'ÉL%' or note like '100\\%' or note like 'a\\_b'",
     extract("orders"), node("filter", where="note like '%a%' or note ilike 'ÉL%' or note like '100\\%' or note like 'a\\_b'"),
     node("select", columns=["id", "note"]), load("t_like"))
plan("case",
     """select id, case when qty > 5 then 'many' when qty > 2 then 'some' else 'few' end as much,
        case status when 'paid' then 1 when 'open' then 2 end as code, coalesce(note, status, '?') as said, nullif(qty, 3) as q
        from orders""",
     extract("orders"), node("map", columns=columns(
         much="case when qty > 5 then 'many' when qty > 2 then 'some' else 'few' end",
         code="case status when 'paid' then 1 when 'open' then 2 end", said="coalesce(note, status, '?')", q="nullif(qty, 3)")),
     node("select", columns=["id", "much", "code", "said", "q"]), load("t_case"))
plan("text_functions",
     """select id, upper(note) as a, lower(note) as b, length(note) as c, substr(note, 2, 3) as d, trim(note) as e,
        replace(note, 'a', 'AA') as f, reverse(note) as g, concat(status, '-', note) as h, md5(note) as i, initcap(note) as j,
        ltrim(note, ' p') as k, rtrim(note) as l, lpad(note, 8, '*') as m, note || '!' as n,
        encode(sha256(convert_to(note, 'UTF8')), 'hex') as o, left(note, 3) as p from orders""",
     extract("orders"), node("map", columns=columns(
         a="Upper(note)", b="Lower(note)", c="Length(note)", d="Substr(note, 2, 3)", e="Trim(note)", f="Replace(note, 'a', 'AA')",
         g="Reverse(note)", h="Concat(status, '-', note)", i="MD5(note)", j="Initcap(note)", k="LTrim(note, ' p')",
         l="RTrim(note)", m="lpad(note, 8, '*')", n="note || '!'", o="SHA256(note)", p="left(note, 3)")),
     node("select", columns=["id", *"abcdefghijklmnop"]), load("t_text"))
plan("number_functions",
     """select id, abs(amount) as a, ceil(amount) as b, floor(amount) as c, round(amount) as d, round(amount, 1) as e,
        mod(qty, 3) as f, sqrt(qty::float8) as g, power(qty::float8, 2) as h, trunc(amount, 1) as i, sign(amount) as j,
        exp(qty::float8) as k, round(amount / 7, 4) as l, greatest(qty, 3) as m, least(amount, 100) as n from orders""",
     extract("orders"), node("map", columns=columns(
         a="Abs(amount)", b="Ceil(amount)", c="Floor(amount)", d="Round(amount)", e="Round(amount, 1)", f="Mod(qty, 3)",
         g="Sqrt(qty)", h="Power(qty, 2)", i="trunc(amount, 1)", j="sign(amount)", k="Exp(qty)", l="round(amount / 7, 4)",
         m="greatest(qty, 3)", n="least(amount, 100)")),
     node("select", columns=["id", *"abcdefghijklmn"]), load("t_numbers"))
plan("date_functions",
     """select id, extract(year from ordered)::bigint as a, extract(month from ordered)::bigint as b,
        (date_trunc('month', ordered) + interval '1 month' - interval '1 day')::date as c, ordered + interval '3 days' as d,
        cast(ordered as date) as e, cast(ordered as date) + 40 as f, cast(ordered as date) - date '2020-02-29' as g from orders""",
     extract("orders"), node("map", columns=columns(
         a="Get_Date_Part(ordered, 'YYYY')", b="Get_Date_Part(ordered, 'MM')", c="Last_Day(cast(ordered as date))",
         d="Add_To_Date(ordered, 'DD', 3)", e="cast(ordered as date)", f="cast(ordered as date) + 40",
         g="cast(ordered as date) - date '2020-02-29'")),
     node("select", columns=["id", *"abcdefg"]), load("t_dates"))
plan("casts",
     """select id, qty::text as a, amount::text as b, amount::bigint as c, qty::numeric as d, ordered::date as e,
        (qty > 3)::text as f, amount::float8 as g, '12'::bigint + qty as h, amount::numeric(10,1) as i from orders""",
     extract("orders"), node("map", columns=columns(
         a="cast(qty as text)", b="amount::text", c="cast(amount as integer)", d="cast(qty as decimal)", e="cast(ordered as date)",
         f="cast(qty > 3 as text)", g="cast(amount as double)", h="cast('12' as integer) + qty", i="cast(amount as numeric(10,1))")),
     node("select", columns=["id", *"abcdefghi"]), load("t_casts"))
plan("not_in_postgresql",  # no crc32 there: the step runs in the agent
     "select id from orders where note is not null",
     extract("orders"), node("filter", where="crc32(note) >= 0"), node("select", columns=["id"]), load("t_crc"))
for how in ("inner", "left", "right", "full"):
    plan(f"join_{how}",
         f"select o.id as id, o.qty, c.id as cid, c.name from orders o {how} join customers c on o.customer_id = c.id",
         extract("orders"), extract("customers"),
         node("join", how=how, on=[{"left": "customer_id", "right": "id"}],
              columns=["id", "qty", {"name": "cid", "column": "id", "from": "right"}, "name"]),
         load(f"t_join_{how}"), edges="orders>join customers>join join>load")
plan("join_of_shared_names",
     "select coalesce(e.department_id, d.department_id) as department_id, first_name, department_name "
     "from employees e full join departments d on e.department_id = d.department_id",
     extract("employees"), extract("departments"),
     node("join", how="full", on=[{"left": "department_id", "right": "department_id"}]),
     node("select", columns=["department_id", "first_name", "department_name"]), load("t_join_using"),
     edges="employees>join departments>join join>select select>load")
plan("join_several_keys",
     "select a.id as a, b.id as b from orders a join orders b on a.customer_id = b.customer_id and a.qty = b.qty and a.id < b.id",
     extract("orders", "a"), extract("orders", "b"),
     node("join", on=[{"left": "customer_id", "right": "customer_id"}, {"left": "qty", "right": "qty"},
                      {"left": "id", "right": "id", "operator": "<"}],
          columns=[{"name": "a", "column": "id", "from": "left"}, {"name": "b", "column": "id", "from": "right"}]),
     load("t_join_keys"), edges="a>join b>join join>load")
plan("join_of_unlike_types",
     "select o.id, e.employee_id from orders o join employees e on o.big = e.salary or (o.qty = e.department_id and false)",
     extract("orders"), extract("employees"),
     node("join", on=[{"left": "big", "right": "salary"}], columns=["id", "employee_id"]), load("t_join_unlike"),
     edges="orders>join employees>join join>load")
plan("join_after_filters",
     "select c.country, o.amount from (select * from orders where qty > 2) o join (select * from customers where vip) c "
     "on o.customer_id = c.id",
     extract("orders"), node("filter", "big", where="qty > 2"), extract("customers"), node("filter", "vips", where="vip"),
     node("join", on=[{"left": "customer_id", "right": "id"}], columns=["country", "amount"]), load("t_join_filters"),
     edges="orders>big customers>vips big>join vips>join join>load")
plan("aggregate",
     """select status, count(*) as n, count(qty) as q, sum(qty) as s, sum(amount) as a, avg(amount) as v, avg(qty) as w,
        min(amount) as lo, max(ordered) as hi, min(note collate "C") as first_note, count(distinct customer_id) as cs,
        sum(weight) as f, round(stddev(qty::float8)::numeric, 6) as sd from orders group by status""",
     extract("orders"), node("aggregate", group_by=["status"], columns=columns(
         n="count(*)", q="count(qty)", s="sum(qty)", a="sum(amount)", v="avg(amount)", w="Avg(qty)", lo="min(amount)",
         hi="max(ordered)", first_note="min(note)", cs="count(distinct customer_id)", f="sum(weight)",
         sd="round(cast(std(qty) as decimal), 6)")), load("t_aggregate"))
plan("aggregate_of_all", "select count(*) as n, sum(amount) * 2 as twice from orders",
     extract("orders"), node("aggregate", columns=columns(n="count(*)", twice="sum(amount) * 2")), load("t_total"))
plan("aggregate_of_none", "select count(*) as n, sum(amount) as total from orders where qty > 1000",
     extract("orders", filter="qty > 1000"), node("aggregate", columns=columns(n="count(*)", total="sum(amount)")),
     load("t_none"))
plan("group_by_decimal", "select amount, count(*) as n from orders group by amount",
     extract("orders"), node("aggregate", group_by=["amount"], columns=columns(n="count(*)")), load("t_by_decimal"))
plan("distinct", "select distinct status, qty from orders",
     extract("orders"), node("select", columns=["status", "qty"]), node("distinct"), load("t_distinct"))
plan("distinct_by_column", "select distinct on (status) status, qty, id from orders order by status, id",
     extract("orders"), node("select", columns=["id", "status", "qty"]), node("distinct", columns=["status"]),
     node("select", "again", columns=["status", "qty", "id"]), load("t_distinct_by"))
plan("union_all", "select id, note as said from orders where qty > 5 union all select id, name from customers",
     extract("orders", filter="qty > 5", columns=["id", {"name": "said", "column": "note"}]),
     extract("customers", columns=["id", {"name": "said", "column": "name"}]), node("union"), load("t_union"),
     edges="orders>union customers>union union>load")
plan("union_distinct_of_numbers", "select qty as n from orders union select credit from customers",
     extract("orders", columns=[{"name": "n", "column": "qty"}]), extract("customers", columns=[{"name": "n", "column": "credit"}]),
     node("union", distinct=True), load("t_union_distinct"), edges="orders>union customers>union union>load")
plan("rename_and_type", "select id::text as number, amount::numeric(12,1) as about from orders",
     extract("orders"), node("select", columns=[{"name": "number", "column": "id", "type": "text"},
                                                {"name": "about", "column": "amount", "type": "numeric(12,1)"}]), load("t_rename"))
plan("diamond",
     "select a.id, a.note from (select * from orders where qty > 4) a join (select * from orders where status = 'paid') b on a.id = b.id",
     extract("orders"), node("filter", "many", where="qty > 4"), node("filter", "paid", where="status = 'paid'"),
     node("join", on=[{"left": "id", "right": "id"}], columns=["id", {"name": "note", "column": "note", "from": "left"}]),
     load("t_diamond"), edges="orders>many orders>paid many>join paid>join join>load")
plan("everything_at_once",
     """select country, sum(amount * qty) as turnover, count(*) as n from (select * from orders where status is not null) o
        left join customers c on o.customer_id = c.id where coalesce(country, '') <> 'US' group by country having count(*) > 3""",
     extract("orders"), extract("customers"), node("filter", "said", where="status is not null"),
     node("join", how="left", on=[{"left": "customer_id", "right": "id"}]), node("filter", "abroad", where="coalesce(country, '') <> 'US'"),
     node("aggregate", group_by=["country"], columns=columns(turnover="sum(amount * qty)", n="count(*)")),
     node("filter", "often", where="n > 3"), node("sort", by=[{"column": "turnover", "descending": True}]), load("t_all"),
     edges="orders>said said>join customers>join join>abroad abroad>aggregate aggregate>often often>sort sort>load")
plan("letters_of_two_columns",
     "select id from customers where lower(name) = lower(country) or name ilike lower(country) || '%' or lower(name) in (upper(country), 'x') "
     "or strpos(name, lower(country)) > 3 or initcap(country) < upper(name)",
     extract("customers"), node("filter", where="lower(name) = lower(country) or name ilike lower(country) || '%' or "
                                "lower(name) in (upper(country), 'x') or strpos(name, lower(country)) > 3 or initcap(country) < upper(name)"),
     node("select", columns=["id"]), load("t_letters"))
plan("forty_maps_that_would_multiply",  # if all selects were made one, each column would occur 3^40 times
     "select id, qty from orders",
     extract("orders", columns=["id", "qty"]), *(node("map", f"m{i}", columns=columns(id="id + id - id")) for i in range(40)),
     load("t_forty"))
plan("sequence", "select n as k, n * n as square from generate_series(10, 100, 10) n",
     node("sequence", column="k", start=10, step=10, count=10), node("map", columns=columns(square="k * k")), load("t_sequence"))

EXAMPLES = {  # document -> (target, the same by hand)
    "neutral-copy-customers.json": ("customers", "select * from customers"),
    "neutral-daily-sales.json": (
        "sales_by_country",
        "select country, count(*), sum(amount) from orders o left join customers c on o.customer_id = c.id "
        "where status = 'paid' and qty >= 2 group by country"),
    "v1-copy-sequence-only.json": ("employees_copy", "select * from employees"),
    "v1-department-totals.json": (
        "department_totals",
        "select department_name, sum(salary), count(employee_id) from employees e left join departments d "
        "on e.department_id = d.department_id where employee_id != 102 and salary >= 1000 group by department_name"),
}


class Ways(harness.SystemTest):
    """One test a way; each runs all plans."""

    def start(self, way, **more):
        self.data = DataScene(self.scene, way, **more)
        self.reference = f"ref_{os.getpid()}_{DataScene.count}"
        server = DataScene.postgres()
        server.createdb(self.reference)
        fill_postgres(server, self.reference, data_scene.SCHEMA, self.data.tables)
        return self.data

    def by_hand(self, query):
        return same(ask_postgres(DataScene.postgres(), self.reference, query))

    def all_plans(self, way):
        data = self.start(way)
        ids = {name: data.broker.submit(doc) for name, (doc, _) in PLANS.items()}
        wrong = []
        for name, (doc, query) in PLANS.items():
            run = data.broker.until(ids[name], deadline=60)
            if run["state"] != "COMPLETED":
                wrong.append(f"{name}: {run['state']}: {run.get('error')}")
                continue
            target = doc["nodes"][-1]["table"]
            names = ", ".join(f'"{column}"' for column in self.columns_of(query))
            got, want = same(data.in_mart(f"select {names} from {target}")), self.by_hand(query)
            here, there = differences(got, want)
            if here or there:
                wrong.append(f"{name}: {len(got)} rows, by hand {len(want)}; only here {here}, only by hand {there}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def columns_of(self, query):
        server = DataScene.postgres()
        out = server.sql(f"copy (select * from ({query}) q limit 0) to stdout (format csv, header)", self.reference)
        return [name.strip('"') for name in out.split("\n")[0].split(",")]

    def all_examples(self, way):
        targets = TARGETS if way in ("inside", "plain") else TARGETS + CUSTOMERS_COPY
        data = self.start(way, targets=targets)
        for name, (target, query) in EXAMPLES.items():
            if target == "customers" and way in ("inside", "plain"):
                continue  # the target is the source there: see the test of that
            run = data.execute(document(name))
            self.assertEqual(run["state"], "COMPLETED", f"{name}: {run.get('error')}")
            self.assertEqual(same(data.in_mart(f"select * from {target}")), self.by_hand(query), name)
        run = data.execute(document("reactflow-orders-clean.json"))
        # Its map computes country from a column that orders do not have: the author is told before anything is written.
        self.assertEqual(run["state"], "FAILED", run)
        self.assertIn("country", run["error"])
        data.change("alter table orders add column country text", mart=False)
        data.change("update orders set country = 'de' where id % 2 = 0", mart=False)
        run = data.execute(document("reactflow-orders-clean.json"))
        self.assertEqual(run["state"], "COMPLETED", run.get("error"))
        server = DataScene.postgres()
        server.sql("alter table orders add column country text; update orders set country = 'de' where id % 2 = 0", self.reference)
        names = "id, customer_id, status, qty, amount, note, ordered, weight, big"
        self.assertEqual(same(data.in_mart(f"select {names}, country from orders_clean")),
                         self.by_hand(f"select {names}, upper(country) from orders where status = 'paid'"))


class OddTypes(harness.SystemTest):
    """What PostgreSQL has besides our types, inside it and through the agent."""

    ODD = """create type mood as enum ('sad', 'ok');
        create table odd (u uuid, m mood, j json, i interval, t time, a integer[], n inet, x money, z timestamptz);
        insert into odd values ('6ecd8c99-4036-403d-bf84-cf8400f67836', 'ok', '{"a": 1}', '1 day', '10:00', '{1,2}', '10.0.0.1', 12.5,
        '2026-01-01 10:00+02'), (null, 'sad', '[1]', '2 days', '11:00', '{3}', '::1', 1, now());
        create table odd_copy (like odd); create table keyed (id integer unique, name text);"""

    def odd_types(self, way):
        data = DataScene(self.scene, way)
        data.server.sql(self.ODD, data.shop)
        for column in "umjitanxz":
            run = data.execute(line("sort", extract("odd"), node("sort", by=[column]), load("t_sorted")))
            self.assertEqual(run["state"], "COMPLETED", f"{column}: {run['error']}")
        for name, shape in (("distinct", node("distinct")), ("by", node("distinct", columns=["m"])),
                            ("group", node("aggregate", group_by=["j", "u"], columns=columns(n="count(*)")))):
            run = data.execute(line(name, extract("odd"), shape, load(f"t_{name}")))
            self.assertEqual((run["state"], run["nodes"][-1]["rows_out"]), ("COMPLETED", 2), f"{name}: {run['error']}")
        run = data.execute(line("copy", extract("odd"), node("load", connection="mart", table="odd_copy", mode="truncate")))
        self.assertEqual(run["state"], "COMPLETED", run["error"])
        self.assertEqual(data.in_mart("select * from odd_copy order by u"), data.in_mart("select * from odd order by u"))

    def test_columns_of_other_types_are_sorted_grouped_and_copied_inside(self):
        self.odd_types("inside")

    def test_columns_of_other_types_are_sorted_grouped_and_copied_by_the_agent(self):
        self.odd_types("plain")

    def test_names_that_postgresql_would_cut_are_refused(self):
        data = DataScene(self.scene, "inside")
        run = data.execute(line("long", extract("customers"), load("k" * 63 + "A")))
        self.assertEqual(run["state"], "FAILED")
        self.assertIn("would cut it to 63 bytes", run["error"])

    def test_rows_without_a_key_are_not_merged_again_and_again(self):
        for way, said in (("inside", "NULL in the key"), ("plain", "NULL where a value is required")):
            data = DataScene(self.scene, way)
            data.server.sql(self.ODD, data.shop)
            rows = extract("customers", columns=[{"name": "id", "expression": "nullif(id, 3)"}, "name"])
            merge = node("load", connection="mart", table="keyed", mode="merge", key=["id"])
            run = data.execute(line("merge", rows, merge))
            self.assertEqual(run["state"], "FAILED", way)
            self.assertIn(said, run["error"])
            self.assertEqual(data.in_mart("select count(*) from keyed"), [("0",)])
            for _ in range(2):
                run = data.execute(line("merge", extract("customers", filter="id <> 3", columns=["id", "name"]), merge))
                self.assertEqual(run["state"], "COMPLETED", run["error"])
            self.assertEqual(data.in_mart("select count(*) from keyed"), [("39",)])

    def test_parameters_that_nobody_fills_are_refused(self):
        for way, sql in (("lite", "select id from customers where id = :id"), ("inside", "select id from customers where id = $1")):
            data = DataScene(self.scene, way)
            run = data.execute(line("parameters", node("extract", "q", connection="shop", sql=sql), load("t_parameters")))
            self.assertEqual(run["state"], "FAILED")
            self.assertIn("parameter", run["error"])


def add_tests():
    for way in data_scene.WAYS:
        def plans(self, way=way):
            self.all_plans(way)

        def examples(self, way=way):
            self.all_examples(way)
        setattr(Ways, f"test_every_plan_gives_what_sql_by_hand_gives__{way}", plans)
        setattr(Ways, f"test_every_example_gives_what_sql_by_hand_gives__{way}", examples)


add_tests()

if __name__ == "__main__":
    data_scene.main()
