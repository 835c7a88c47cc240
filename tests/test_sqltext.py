"""What is read off SQL text: conditions, assignments, locks, and that nothing makes it raise."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autolock.database.sqltext import Assigned, Condition, Sql, parse


def read(text: str, dialect: str = "postgres") -> Sql:
    sql = parse(text, dialect)
    assert sql is not None
    return sql


def conditions(text: str) -> list[tuple[str, str, str, str]]:
    return [(c.column, c.operator, c.value, c.kind) for c in read(text).conditions]


# -- parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "label"),
    [
        (":amount", ":amount"),
        ("%(amount)s", ":amount"),
        ("$amount", ":amount"),
        ("$1", "$1"),
        ("%s", "%s#0"),
        ("?", "?#0"),
        ("?2", "?2"),
        (":id::uuid", ":id"),
        ("CAST(:id AS uuid)", ":id"),
        ("(%s)", "%s#0"),
    ],
)
def test_every_driver_s_parameters_are_read(written: str, label: str) -> None:
    sql = read(f"SELECT balance FROM accounts WHERE id = {written} AND state = 'open'")
    assert sql.conditions[0] == Condition("id", "=", label, "accounts", "placeholder")
    assert sql.exact


def test_parameters_are_numbered_as_the_driver_fills_them() -> None:
    sql = read("UPDATE accounts SET balance = balance - %s, note = %s WHERE id = %s LIMIT %s", "mysql")
    assert [assigned.placeholders for assigned in sql.sets] == [("%s#0",), ("%s#1",)]
    assert sql.conditions[0].value == "%s#2"


def test_what_stands_in_strings_and_comments_is_no_parameter() -> None:
    text = "SELECT id FROM t /* :no %s */ WHERE at > '10:30' AND name = 'a ? %s :b' AND \"odd:name\" = %s -- $1"
    assert [c.value for c in read(text).conditions] == ["'10:30'", "'a ? %s :b'", "%s#0"]


def test_a_question_mark_may_be_an_operator() -> None:
    sql = read("SELECT * FROM events WHERE payload ? 'key' AND id = $1")
    assert (sql.conditions, sql.exact) == ((Condition("id", "=", "$1", "events", "placeholder"),), False)


# -- conditions --------------------------------------------------------------------------------


def test_a_conjunction_is_taken_apart() -> None:
    text = (
        "SELECT * FROM t WHERE (a = :a AND b >= 2) AND :c > c AND d IS NULL AND e IS NOT NULL AND f IN (1, 2)"
        " AND g = ANY(:g) AND h BETWEEN 1 AND 9 AND NOT i AND j AND k NOT IN (:k) AND l = m AND n < now()"
    )
    assert conditions(text) == [
        ("a", "=", ":a", "placeholder"),
        ("b", ">=", "2", "literal"),
        ("c", "<", ":c", "placeholder"),
        ("d", "is null", "", "literal"),
        ("e", "is not null", "", "literal"),
        ("f", "in", "1, 2", "literal"),
        ("g", "in", ":g", "placeholder"),
        ("h", ">=", "1", "literal"),
        ("h", "<=", "9", "literal"),
        ("i", "=", "FALSE", "literal"),
        ("j", "=", "TRUE", "literal"),
        ("k", "not in", ":k", "placeholder"),
        ("l", "=", "m", "column"),
        ("n", "<", "CURRENT_TIMESTAMP", "expression"),
    ]
    assert read(text).exact


@pytest.mark.parametrize(
    "where",
    [
        "id = :id OR owner = :owner",
        "id = :id AND (a = 1 OR b = 2)",
        "id = :id AND EXISTS (SELECT 1 FROM other)",
        "id = :id AND NOT (a BETWEEN 1 AND 2)",
        "id = :id AND lower(name) = lower(:name)",
        "id = :id AND (a, b) = (1, 2)",
    ],
)
def test_what_is_no_plain_conjunction_is_not_exact(where: str) -> None:
    assert not read(f"DELETE FROM t WHERE {where}").exact


def test_a_function_of_a_column_names_the_column_and_the_whole_comparison() -> None:
    sql = read("SELECT 1 FROM users WHERE lower(email) = lower(:email)")
    assert sql.conditions == (Condition("email", "=", "LOWER(email) = LOWER(:email)", "users", "expression"),)


def test_tables_are_told_apart_by_their_aliases() -> None:
    sql = read(
        "SELECT a.balance, u.name FROM bank.accounts a LEFT JOIN users AS u ON u.id = a.user_id"
        " WHERE a.id = $1 AND u.active AND a.owner = u.id AND flag = 1"
    )
    assert (sql.table, sql.tables, sql.columns) == ("accounts", ("accounts", "users"), ("balance",))
    assert (sql.joined, sql.outer_joined) == (True, True)
    assert [(c.table, c.column, c.value) for c in sql.conditions] == [
        ("accounts", "id", "$1"),
        ("users", "active", "TRUE"),
        ("accounts", "owner", "users.id"),
        ("", "flag", "1"),
    ]


# -- SELECT ------------------------------------------------------------------------------------


def test_what_a_select_asks_for() -> None:
    assert read("SELECT * FROM t").columns == ("*",)
    assert read("SELECT t.id, t.n AS number, n + 1 FROM t").columns == ("id", "n")
    assert read("SELECT coalesce(max(n), 0) + 1 FROM t").aggregates == {"max"}
    assert read("SELECT count(*), sum(x) FROM t GROUP BY y").aggregates == {"count", "sum"}
    assert read("SELECT row_number() OVER (ORDER BY id) FROM t").aggregates == {"row_number"}
    assert read("SELECT a FROM t UNION SELECT b FROM u").aggregates == {"union"}
    assert read("SELECT id FROM t WHERE n > (SELECT avg(n) FROM t)").aggregates == frozenset()
    assert read("SELECT DISTINCT a FROM t").distinct
    assert read("SELECT a FROM t GROUP BY a").grouped
    assert read("SELECT a FROM t ORDER BY a LIMIT 1").limited
    assert read("SELECT a FROM t ORDER BY a").ordered


def test_the_table_is_seen_through_exists_and_subqueries() -> None:
    sql = read("SELECT EXISTS (SELECT 1 FROM users WHERE email = :email)")
    assert (sql.table, sql.aggregates, sql.exact) == ("users", {"exists"}, True)
    assert sql.conditions == (Condition("email", "=", ":email", "users", "placeholder"),)

    nested = read("SELECT * FROM (SELECT * FROM orders WHERE state = 'new') o WHERE o.id = :id")
    assert (nested.table, nested.exact) == ("orders", False)


def test_a_table_that_is_a_parameter_has_no_name() -> None:
    assert read("SELECT * FROM %s WHERE id = %s").table == ""


# -- locks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lock", "skips"),
    [
        ("SELECT * FROM jobs FOR UPDATE", "update", False),
        ("SELECT * FROM jobs FOR NO KEY UPDATE NOWAIT", "update", False),
        ("SELECT * FROM jobs FOR UPDATE SKIP LOCKED", "update", True),
        ("SELECT * FROM jobs FOR SHARE", "share", False),
        ("SELECT * FROM jobs LOCK IN SHARE MODE", "share", False),
        ("SELECT * FROM app.jobs j JOIN queues q ON q.id = j.queue FOR UPDATE OF j SKIP LOCKED", "update", True),
        ("SELECT * FROM jobs j JOIN queues q ON q.id = j.queue FOR UPDATE OF q", "", False),
        ("SELECT * FROM jobs", "", False),
        ("LOCK TABLE jobs IN EXCLUSIVE MODE", "update", False),
        ("LOCK jobs", "update", False),
        ("LOCK TABLE jobs IN SHARE MODE", "share", False),
    ],
)
def test_locks_of_the_main_table(text: str, lock: str, skips: bool) -> None:
    sql = read(text)
    assert (sql.table, sql.lock, sql.skip_locked) == ("jobs", lock, skips)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "UPDATE jobs SET state = 'run' WHERE id = (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 1"
            " FOR UPDATE SKIP LOCKED) RETURNING *",
            "update",
        ),
        (
            "WITH next AS (SELECT id FROM jobs WHERE state = 'new' FOR UPDATE SKIP LOCKED LIMIT 1)"
            " UPDATE jobs SET state = 'run' FROM next WHERE jobs.id = next.id RETURNING jobs.id",
            "update",
        ),
        (
            "WITH claimed AS (UPDATE jobs SET state = 'run' WHERE id IN (SELECT id FROM jobs WHERE state = 'new'"
            " FOR UPDATE SKIP LOCKED) RETURNING id) SELECT * FROM claimed",
            "update",
        ),
        (
            "DELETE FROM jobs WHERE id = (SELECT id FROM jobs LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING payload",
            "delete",
        ),
    ],
)
def test_claiming_a_row_in_one_statement(text: str, kind: str) -> None:
    sql = read(text)
    assert (sql.kind, sql.table, sql.tables, sql.lock, sql.skip_locked, sql.returning) == (
        kind,
        "jobs",
        ("jobs",),
        "update",
        True,
        True,
    )


@pytest.mark.parametrize(
    ("call", "held"),
    [
        ("pg_advisory_xact_lock(hashtext(:key))", "xact"),
        ("pg_try_advisory_lock($1)", "session"),
        ("pg_advisory_unlock($1)", "unlock"),
        ("pg_advisory_xact_lock_shared(1)", ""),
        ("GET_LOCK('x', 10)", "session"),
    ],
)
def test_advisory_locks(call: str, held: str) -> None:
    assert read(f"SELECT {call}").advisory == held


# -- writes ------------------------------------------------------------------------------------


def test_an_update_that_computes_in_sql() -> None:
    sql = read("UPDATE accounts SET balance = balance - :n, state = 'used' WHERE id = :id AND balance >= :n")
    assert sql.sets == (
        Assigned("balance", frozenset({"balance"}), (":n",), "balance - :n"),
        Assigned("state", frozenset(), (), "'used'"),
    )
    assert conditions("UPDATE accounts SET n = 1 WHERE balance >= :n") == [("balance", ">=", ":n", "placeholder")]


def test_an_update_reads_only_its_own_row_s_columns() -> None:
    sql = read("UPDATE t SET n = o.n + 1, m = (SELECT max(m) FROM t) + k FROM other o WHERE o.id = t.id")
    assert [assigned.columns for assigned in sql.sets] == [frozenset(), {"k"}]
    assert sql.joined


@pytest.mark.parametrize(
    ("text", "conflict"),
    [
        ("INSERT INTO users (email, plan) VALUES (:email, 'free')", False),
        ("INSERT INTO users (email, plan) VALUES (:email, 'free') ON CONFLICT DO NOTHING", True),
        ("INSERT OR IGNORE INTO users (email, plan) VALUES (:email, 'free')", True),
        ("INSERT OR REPLACE INTO users (email, plan) VALUES (:email, 'free')", True),
        ("REPLACE INTO users (email, plan) VALUES (:email, 'free')", True),
        ("INSERT IGNORE INTO `users` (`email`, `plan`) VALUES (:email, 'free')", True),
    ],
)
def test_inserts_of_every_dialect(text: str, conflict: bool) -> None:
    sql = read(text)
    assert (sql.kind, sql.table, sql.on_conflict) == ("insert", "users", conflict)
    assert sql.inserted == (("email", ":email"), ("plan", "'free'"))


def test_what_an_insert_does_on_a_conflict() -> None:
    postgres = read("INSERT INTO hits (k) VALUES ($1) ON CONFLICT (k) DO UPDATE SET n = hits.n + 1 RETURNING n")
    assert (postgres.sets, postgres.returning) == ((Assigned("n", frozenset({"n"}), (), "hits.n + 1"),), True)
    mysql = read("INSERT INTO hits (k) VALUES (%s) ON DUPLICATE KEY UPDATE n = n + 1")
    assert (mysql.sets[0].columns, mysql.on_conflict) == ({"n"}, True)


def test_an_insert_from_a_select() -> None:
    sql = read("INSERT INTO seats (event, who) SELECT :event, :who WHERE NOT EXISTS (SELECT 1 FROM seats)")
    assert (sql.from_select, sql.exact) == (True, False)
    assert sql.inserted == (("event", ":event"), ("who", ":who"))


def test_several_rows_have_no_one_value() -> None:
    assert read("INSERT INTO t (a, b) VALUES (1, 2), (3, 4)").inserted == (("a", ""), ("b", ""))


# -- other statements --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "isolation"),
    [
        ("BEGIN", "begin", ""),
        ("begin immediate;", "begin", ""),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "begin", "serializable"),
        ("COMMIT;", "commit", ""),
        ("END", "commit", ""),
        ("ROLLBACK", "rollback", ""),
        ("ROLLBACK TO SAVEPOINT s", "other", ""),
        ("SAVEPOINT s", "other", ""),
        ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "set isolation", "repeatable read"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "set isolation", "serializable"),
        ("SET LOCAL lock_timeout = '1s'", "other", ""),
        ("CREATE TABLE t (a int)", "ddl", ""),
        ("PRAGMA foreign_keys", "other", ""),
        ("CALL work(1)", "other", ""),
    ],
)
def test_kinds(text: str, kind: str, isolation: str) -> None:
    sql = read(text)
    assert (sql.kind, sql.isolation) == (kind, isolation)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "select the best option",
        "update the docs",
        "with care",
        "end of the day",
        "start here",
        "SELECT 1; SELECT 2",
        "BEGIN; UPDATE t SET a = 1; COMMIT",
        "SELECT * FROM {table} WHERE id = 1",
        "SELECT * FROM t WHERE (",
        "WITH a AS (UPDATE x SET y = 1), b AS (UPDATE x SET y = 2) SELECT 1",
        "(" * 4000 + "SELECT 1" + ")" * 4000,
    ],
)
def test_what_is_no_single_statement(text: str) -> None:
    assert parse(text) is None


def test_nothing_is_printed_about_what_is_not_understood(caplog: pytest.LogCaptureFixture) -> None:
    parse("LOCK TABLES a WRITE, b READ")
    parse("GRANT ALL ON t TO u")
    assert not caplog.records
    assert not logging.getLogger("sqlglot").disabled


_WORDS = [
    *("SELECT", "INSERT", "UPDATE", "DELETE", "INTO", "FROM", "SET", "WHERE", "VALUES", "AND", "OR", "NOT", "IN"),
    *("(", ")", ",", "*", "=", ">=", "<", "+", "-", "EXISTS", "NULL", "IS", "t", "a.b", "accounts", "balance", ":x"),
    *("$1", "%s", "?", "'q'", "1", "ORDER BY", "LIMIT", "FOR UPDATE", "SKIP LOCKED", "OF", "WITH", "AS", "UNION"),
    *("JOIN", "LEFT", "ON", "ON CONFLICT", "DO NOTHING", "DO UPDATE SET", "RETURNING", "count(", "max(", ";", "::"),
    *("BETWEEN", "ANY(", "CASE WHEN", "THEN", "END", "LOCK", "TABLE", "BEGIN", "REPLACE", "->>", "OVER", "INTERVAL"),
]
_FIRST = (
    "SELECT",
    "UPDATE t SET a =",
    "INSERT INTO t (a)",
    "DELETE FROM t",
    "WITH x AS (",
    "REPLACE INTO",
    "LOCK",
    "SET",
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(_FIRST), st.lists(st.sampled_from(_WORDS), max_size=25), st.sampled_from(["postgres", "sqlite"]))
def test_words_in_any_order_never_raise(first: str, words: list[str], dialect: str) -> None:
    sql = parse(" ".join((first, *words)), dialect)
    assert sql is None or isinstance(sql, Sql)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(_FIRST), st.text(max_size=60))
def test_any_text_never_raises(first: str, rest: str) -> None:
    sql = parse(f"{first} {rest}")
    assert sql is None or isinstance(sql, Sql)
