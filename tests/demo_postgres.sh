#!/bin/bash
# demo_postgres.sh - the same documents on a real PostgreSQL: `make demo-postgres`
# starts one in a temporary directory (tests/postgres.py), fills it, and runs
# workflows within one database, between two, and from a file. Keeps nothing.
set -u
[ -n "${DISPATCH_TEST_PG:-}" ] || exec python3 "$(dirname "$0")/postgres.py" -- "$0" "$@"
. "$(dirname "$0")/demo_scene.sh"
export PGOPTIONS='-c client_min_messages=warning'

in_database() { # NAME: SQL on stdin, or -c SQL
    psql -X -q -P pager=off -v ON_ERROR_STOP=1 -d "${DISPATCH_TEST_PG/dbname=postgres/dbname=$1}" "${@:2}" || fail "psql failed"
}
show() { # NAME SQL
    printf '%s$ psql %s -c "%s"%s\n' "$dim" "$1" "$2" "$plain"
    in_database "$1" -c "$2"
}

headline 'A PostgreSQL with two databases, shop and mart'
in_database postgres -c 'create database shop' && in_database postgres -c 'create database mart'
in_database shop <<'SQL'
create table customers (id integer primary key, name text, country text);
create table orders (id integer primary key, customer_id integer, status text, qty integer, amount numeric(12,2));
create table employees (employee_id integer, first_name varchar(40), department_id integer, salary numeric, hire_date date);
create table departments (department_id integer, department_name varchar(40));
insert into customers select n, 'Customer ' || n, (array['Austria','Chile','Denmark','France'])[1 + n % 4] from generate_series(1, 5000) n;
insert into orders select n, 1 + (n::bigint * 7919) % 5000, (array['paid','open','void'])[1 + n % 3], n % 7, (n % 90000) / 100.0
  from generate_series(1, 500000) n;
insert into employees select 100 + n, 'Name ' || n, 1 + n % 4, 900 + n * 10, date '2020-01-01' + n from generate_series(1, 40) n;
insert into departments values (1, 'Sales'), (2, 'Research'), (3, 'Support'), (4, 'Board');
analyze;
SQL
in_database mart <<'SQL'
create table sales_by_country (country text, orders bigint, revenue numeric(14,2));
create table department_totals (department text, total_salary numeric, headcount integer);
SQL

headline 'Agents that know them by name: this file is all the configuration there is'
cat >"$dir/agents.yaml" <<EOT
connections:
  - name: shop
    engine: postgresql
    dsn: ${DISPATCH_TEST_PG/dbname=postgres/dbname=shop}
    aliases: [hr, a1b0c5de-0000-4000-8000-000000000091, a1b0c5de-0000-4000-8000-000000000092]
    read_only: true
  - name: mart
    engine: postgresql
    dsn: ${DISPATCH_TEST_PG/dbname=postgres/dbname=mart}
    aliases: [a1b0c5de-0000-4000-8000-000000000093]
EOT
cat "$dir/agents.yaml"
start_broker --connections "$dir/agents.yaml"

headline 'Paid orders by country, from shop to mart: joined and grouped in shop, copied to mart'
ctl plan "$DATA/neutral-daily-sales.json" || fail 'plan failed'
ctl run --watch "$DATA/neutral-daily-sales.json" || fail 'daily-sales did not complete'
show mart 'select * from sales_by_country order by 1'

headline "A document of the existing product's addWorkflow, as it is"
ctl run --watch "$DATA/v1-department-totals.json" || fail 'department totals did not complete'
show mart 'select * from department_totals order by 1'

headline 'The same run again: truncated and loaded in one transaction, noted in the same one'
ctl run --wait "$DATA/neutral-daily-sales.json" 2>/dev/null || fail 'daily-sales did not complete'
show mart 'select node, attempt, loaded_rows, loaded_at from dispatch_loads order by loaded_at'

clean_up
printf '\nThat was all of it; databases, broker and agents are gone again.\n'
