#!/usr/bin/env python3
"""dispatchctl and worker_monitor against a real broker and real agents: what they print, where, and how they exit."""
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading

import harness
from harness import BIN, DATA, PATIENCE, Agent, Broker, SystemTest, shell, wait_for

# Exit codes that scripts may rely on.
OK, FAILED, USAGE, NOT_FOUND, CONFLICT, AUTH, UNREACHABLE, TIMEOUT, REFUSED = range(9)
RUN_FAILED, RUN_CANCELLED, RUN_CRASHED, RUN_TIMED_OUT = 10, 11, 12, 13
NOWHERE = "http://127.0.0.1:1"


class CliTest(SystemTest):
    def start(self, config=None, agents=("default", "etl", "high-memory"), slots=5):
        self.broker = Broker(self.scene, config)
        self.agents = [Agent(self.scene, self.broker, f"{pool}-agent", pool, slots) for pool in agents]
        wait_for(lambda: sum(a["health"] == "ok" for a in self.broker.workers().values()) == len(agents))
        return self.broker

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "DISPATCH_TOKEN", "DISPATCH_URL")}
        env.update(LC_ALL="C.UTF-8", TERM="xterm", ASAN_OPTIONS="detect_leaks=1")
        if hasattr(self, "broker"):
            env["DISPATCH_URL"] = self.broker.url
        env.update(more)
        return env

    def program(self, name, *args, stdin=None, env=None, timeout=60):
        done = subprocess.run([f"{BIN}/{name}", *args], input=stdin, capture_output=True, text=True,
                              env=self.environment(**(env or {})), timeout=timeout * PATIENCE)
        self.assertNotIn("Sanitizer", done.stderr)
        self.assertNotIn("runtime error", done.stderr)
        return done

    def ctl(self, *args, code=OK, **more):
        """Runs it, expects the code, returns what it printed."""
        done = self.program("dispatchctl", *args, **more)
        self.assertEqual(done.returncode, code, f"dispatchctl {args}: {done.stdout}{done.stderr}")
        self.said = done.stderr
        return done.stdout

    def json(self, *args, **more):
        return json.loads(self.ctl(*args, "-o", "json", **more))

    def file(self, workflow, name="workflow.json"):
        return self.scene.write(name, json.dumps(workflow))

    def terminal(self, *args, columns=80):
        """What a terminal of that width would get, and the exit code."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        process = subprocess.Popen([f"{BIN}/dispatchctl", *args], stdin=slave, stdout=slave, stderr=slave,
                                   env=self.environment())
        os.close(slave)
        got = b""
        while True:
            ready = select.select([master], [], [], 60)[0]
            try:
                part = os.read(master, 65536) if ready else b""
            except OSError:  # EIO: the other side is closed
                part = b""
            if not part:
                break
            got += part
        os.close(master)
        return got.decode(), process.wait()


class Running(CliTest):
    def test_a_run_is_submitted_and_its_id_is_all_that_a_pipe_sees(self):
        self.start()
        run_id = self.ctl("run", f"{DATA}/neutral-fan-out.json").strip()
        self.assertRegex(run_id, r"^[0-9a-f-]{36}$")
        self.assertEqual(self.broker.until(run_id)["state"], "COMPLETED")
        self.assertEqual(self.broker.run(run_id)["work_pool"], "high-memory")

    def test_wait_says_how_the_run_ended_by_the_exit_code(self):
        self.start()
        self.assertIn("COMPLETED", self.ctl("run", "--wait", "-", stdin=json.dumps(shell("true"))))
        self.assertIn("FAILED", self.ctl("run", "--wait", "-", stdin=json.dumps(shell("exit 3")), code=RUN_FAILED))
        self.assertIn("TIMED_OUT", self.ctl("run", "--wait", "--timeout", "300ms", "-",
                                            stdin=json.dumps(shell("sleep 60")), code=RUN_TIMED_OUT))
        ended = self.json("run", "--wait", "-", stdin=json.dumps(shell("exit 3")), code=RUN_FAILED)
        self.assertEqual(ended["state"], "FAILED")

    def test_a_cancelled_run_ends_the_wait_with_11(self):
        self.start()
        path = self.file(shell("sleep 60", "long"))
        ended = []
        waiter = threading.Thread(target=lambda: ended.append(self.program("dispatchctl", "run", "--wait", path)))
        waiter.start()
        run_id = wait_for(lambda: [r["run_id"] for r in self.broker.all_runs() if r["state"] == "RUNNING"])[0]
        self.assertIn("CANCEL", self.ctl("cancel", run_id, "--reason", "not needed"))
        waiter.join()
        self.assertEqual(ended[0].returncode, RUN_CANCELLED, ended[0])
        self.assertIn("not needed", self.ctl("explain", run_id))
        self.ctl("cancel", run_id)  # again is no error

    def test_the_wait_survives_a_restart_of_the_broker(self):
        self.start()
        host = self.broker.url.removeprefix("http://")
        path = self.file(shell("sleep 3", "patient"))
        with open(self.scene.path("said"), "wb") as said:
            watch = subprocess.Popen([f"{BIN}/dispatchctl", "run", "--watch", path], stdout=subprocess.PIPE,
                                     stderr=said, env=self.environment())
        wait_for(lambda: [r for r in self.broker.all_runs() if r["state"] == "RUNNING"])
        self.broker.kill()
        wait_for(lambda: "the run is kept" in "\n".join(self.scene.read("said")))
        self.broker.args = ["--http", host]  # where the client looks for it
        self.broker.start()
        out = watch.communicate(timeout=60 * PATIENCE)[0].decode()
        self.assertEqual(watch.returncode, OK, out)
        self.assertIn("patient COMPLETED", out)

    def test_watch_tells_each_node_once_in_a_pipe(self):
        self.start()
        out = self.ctl("run", "--watch", f"{DATA}/neutral-fan-out.json")
        self.assertEqual(len(re.findall(r"part-\d\d +completed", out)), 12, out)
        self.assertIn("14 of 14 nodes completed", out)
        self.assertNotIn("\033", out)

    def test_watch_draws_over_itself_on_a_terminal(self):
        self.start()
        out, code = self.terminal("run", "--watch", f"{DATA}/neutral-fan-out.json")
        self.assertEqual(code, OK, out)
        self.assertRegex(out, r"\033\[\d+A")
        self.assertIn("14/14 nodes", out)

    def test_options_reach_the_run(self):
        self.start()
        run_id = self.ctl("run", "--pool", "etl-pool", "--priority", "high", "--tag", "a", "--tag", "b", "--size",
                          "1MiB", "--param", "day=2026-11-20", "--timeout", "5m", "--retries", "2", "--on-lost",
                          "fail", "--no-fallback", "-", stdin=json.dumps(shell("true"))).strip()
        run = self.broker.until(run_id)
        self.assertEqual((run["wanted_pool"], run["priority"], run["retries"], run["on_lost"], run["timeout_s"]),
                         ("etl", "high", 2, "fail", 300))
        self.assertEqual(run["features"]["tags"], ["a", "b"])
        self.assertEqual(run["features"]["size_bytes"], 1 << 20)
        self.assertTrue(run["decision"]["fallback_forbidden"])
        later = self.ctl("run", "--start-at", "+1h", "-", stdin=json.dumps(shell("true"))).strip()
        self.assertEqual(self.broker.run(later)["state"], "SCHEDULED")
        out = self.ctl("explain", later)
        self.assertIn("BEGIN_TIME", out)
        self.assertRegex(out, r"starts +.*, in (59 min|1 h)")
        for wrong in ("takes it", "the next one", "waited", "comes next"):
            self.assertNotIn(wrong, out)

    def test_explain_of_a_back_off_tells_which_attempt_comes_next(self):
        self.start()
        run_id = self.ctl("run", "--retries", "9", "-", stdin=json.dumps(shell("exit 1"))).strip()
        wait_for(lambda: (run := self.broker.run(run_id))["state"] == "SCHEDULED" and run["attempt"] >= 2)
        out = self.ctl("explain", run_id)
        self.assertIn("RETRY_BACKOFF", out)
        self.assertRegex(out, r"starts +\S.*, (in|now)")
        self.assertRegex(out, r"comes next +attempt (\d+) of 10; attempt \d+ failed")
        self.assertNotIn("its place", out)
        self.assertNotIn("takes it", out)
        self.assertRegex("".join(self.broker.explain(run_id)["story"]), r"Attempt \d+ failed; attempt \d+ of 10 starts")
        self.ctl("cancel", run_id)


class Documents(CliTest):
    def test_plan_says_where_without_running(self):
        self.start()
        for name, rule, pool in (("neutral-fan-out", "large", "high-memory"), ("demo-load-shipments", "etl", "etl"),
                                 ("demo-nightly-report", "small", "default")):
            out = self.ctl("plan", f"{DATA}/{name}.json")
            self.assertIn(f"would start in {pool}", out)
            self.assertIn(f"{rule} → pool {pool}", out)
        self.assertIn("NO_CAPABLE_AGENT", self.ctl("plan", f"{DATA}/neutral-copy-customers.json"))
        self.assertEqual(self.broker.all_runs(), [])

    def test_a_bad_document_is_answered_with_every_problem_and_its_place(self):
        self.start()
        for verb in ("validate", "run", "plan"):
            self.ctl(verb, f"{DATA}/bad-many-problems.json", code=FAILED)
            for place in ("/name:", "/nodes/0:", "/nodes/1/kind:", "/edges/0/target:"):
                self.assertIn(f" {place}", self.said)
            self.assertNotIn("/workflow", self.said)
        self.ctl("validate", f"{DATA}/bad-cycle.json", code=FAILED)
        self.assertIn("a -> b -> a", self.said)
        self.ctl("run", f"{DATA}/bad-cut-off.json", code=FAILED)
        self.assertIn("bad-cut-off.json:4:", self.said)
        self.assertEqual(self.broker.all_runs(), [])

    def test_a_good_document_is_called_valid(self):
        self.start()
        for name in ("neutral-daily-sales", "reactflow-orders-clean", "v1-department-totals"):
            self.assertIn("valid", self.ctl("validate", f"{DATA}/{name}.json"))
        self.assertIn("inferred", self.ctl("validate", f"{DATA}/v1-copy-sequence-only.json"))

    def test_a_file_that_is_not_there_is_said(self):
        self.ctl("run", "/nowhere/x.json", code=FAILED)
        self.assertIn("/nowhere/x.json", self.said)
        self.ctl("run", "-", stdin="", code=FAILED)
        self.assertIn("empty", self.said)


class Reading(CliTest):
    def test_logs_are_the_jobs_own_words(self):
        self.start()
        workflow = {"name": "talk", "edges": [{"source": "one", "target": "two"}], "nodes": [
            {"id": "one", "kind": "command", "argv": ["sh", "-c", "printf 'a\\nb'; printf c"]},
            {"id": "two", "kind": "command", "argv": ["sh", "-c", "echo d; echo e >&2"]}]}
        run_id = self.ctl("run", "-", stdin=json.dumps(workflow)).strip()
        out = self.ctl("logs", "-f", run_id)
        self.assertEqual(sorted(out.splitlines()), ["one | a", "one | bc", "two | d", "two | e"])
        self.assertEqual(self.ctl("logs", run_id, "--node", "one"), "a\nbc")
        self.ctl("logs", run_id, "--node", "nope", code=FAILED)

    def test_output_with_a_nul_byte_is_shown(self):
        self.start()
        run_id = self.json("run", "--wait", "-", stdin=json.dumps(shell("printf 'a\\0b\\nc\\n'")))["run_id"]
        self.assertEqual(self.ctl("logs", run_id), "job | a\0b\njob | c\n")
        out, code = self.terminal("logs", run_id)
        self.assertEqual(code, OK, out)
        self.assertIn("a?b", out)

    def test_a_job_cannot_speak_to_the_terminal(self):
        self.start()
        run_id = self.ctl("run", "--wait", "-", "-o", "json",
                          stdin=json.dumps(shell("printf '\\033]0;owned\\007x\\n'; exit 1", "evil\u202ename")),
                          code=RUN_FAILED)
        run_id = json.loads(run_id)["run_id"]
        for args in (("logs", run_id), ("show", run_id), ("explain", run_id), ("ps", "--all"), ("show", run_id, "-o",
                                                                                               "json")):
            out, code = self.terminal(*args)
            self.assertEqual(code, OK, out)
            self.assertNotIn("\007", out)
            self.assertNotIn("\033]", out)
            self.assertNotIn("\u202e", out)

    def test_ps_lists_and_filters(self):
        self.start()
        done = self.ctl("run", "--wait", "-", stdin=json.dumps(shell("true", "short")))
        self.assertIn("short", done)
        live = self.ctl("run", "-", stdin=json.dumps(shell("sleep 60", "long"))).strip()
        self.broker.until(live, "RUNNING")
        self.assertIn("long", self.ctl("ps"))
        self.assertNotIn("short", self.ctl("ps"))
        self.assertIn("short", self.ctl("ps", "--all"))
        self.assertIn("short", self.ctl("ps", "--state", "completed"))
        self.assertNotIn("short", self.ctl("ps", "--pool", "etl", "--all"))
        self.ctl("ps", "--state", "sleeping", code=FAILED)
        self.assertEqual(len(self.json("ps", "--all", "--limit", "1")["items"]), 1)

    def test_a_run_is_found_by_a_part_of_its_id(self):
        self.start()
        run_id = self.ctl("run", "-", stdin=json.dumps(shell("true"))).strip()
        self.broker.until(run_id)
        for part in (run_id[:13], run_id[-6:], run_id):
            self.assertIn(run_id, self.ctl("show", part))
        self.ctl("show", "ffffffff", code=NOT_FOUND)
        self.ctl("show", "01939f5e-7a11-7c3e-9d1f-2b8a5c0d4e6f", code=NOT_FOUND)
        self.ctl("show", "my-run", code=USAGE)

    def test_json_is_the_apis_own_answer(self):
        self.start()
        run_id = self.ctl("run", "--wait", "-", "-o", "json", stdin=json.dumps(shell("true")))
        run_id = json.loads(run_id)["run_id"]
        self.assertEqual(self.json("show", run_id), self.broker.run(run_id))
        self.assertEqual(self.json("explain", run_id), self.broker.explain(run_id))
        self.assertEqual(self.json("plan", f"{DATA}/neutral-fan-out.json")["wanted_pool"], "high-memory")
        self.assertEqual({p["name"] for p in self.json("pool", "list")["items"]}, {"default", "etl", "high-memory"})

    def test_tables_fit_the_terminal(self):
        self.start()
        run_id = self.ctl("run", "--wait", f"{DATA}/neutral-fan-out.json", "-o", "json")
        run_id = json.loads(run_id)["run_id"]
        for args in (("ps", "--all"), ("explain", run_id), ("show", run_id), ("pool", "list"),
                     ("pool", "status", "high-memory"), ("plan", f"{DATA}/neutral-daily-sales.json")):
            out, code = self.terminal(*args, columns=100)
            self.assertEqual(code, OK, out)
            self.assertIn("\033[", out)
            for line in re.sub(r"\033\[[0-9;]*[A-Za-z]", "", out).splitlines():
                self.assertLessEqual(len(line), 100, line)

    def test_no_color_is_respected(self):
        self.start()
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            environment = self.environment
            self.environment = lambda env=env, environment=environment, **more: environment(**env, **more)
            out, _ = self.terminal("pool", "list")
            self.environment = environment
            self.assertNotIn("\033", out)
        self.assertIn("\033[", self.ctl("pool", "list", "--color", "always"))


class Explaining(CliTest):
    def test_explain_tells_of_a_full_pool_who_holds_it_and_what_to_do(self):
        self.start(slots=5)
        path = self.file(shell("sleep 60", "sleeper"))
        ids = [self.ctl("run", "--pool", "high-memory", "--no-fallback", path).strip() for _ in range(4)]
        self.broker.until(ids[1], "RUNNING")
        out = self.ctl("explain", ids[3])
        for words in ("requested → pool high-memory", "2 of 2 slots in use", "the request allows no fallback",
                      "POOL_FULL", "1 run is before it", "Who holds the slots of high-memory", ids[0], ids[1],
                      "pool set high-memory limit=N"):
            self.assertIn(words, out)

    def test_explain_tells_of_a_fallback(self):
        self.start()
        self.ctl("pool", "pause", "default", "--reason", "maintenance")
        run_id = self.ctl("run", "-", stdin=json.dumps(shell("true", "moved"))).strip()
        self.assertEqual(self.broker.until(run_id)["work_pool"], "etl")
        out = self.ctl("explain", run_id)
        self.assertRegex(out, r"fallback +default → etl")
        self.assertRegex(out, r"default +0/5 +1 +paused")
        self.assertRegex(out, r"etl +0/3 +1 +took it")

    def test_explain_tells_of_a_pool_without_agents(self):
        self.start(agents=("default",))
        run_id = self.ctl("run", "--no-fallback", "--pool", "etl", "-", stdin=json.dumps(shell("true"))).strip()
        out = self.ctl("explain", run_id)
        self.assertIn("NO_AGENT", out)
        self.assertIn("--pools etl", out)

    def test_explain_tells_what_no_agent_can_do(self):
        self.start()
        run_id = self.ctl("run", f"{DATA}/neutral-copy-customers.json").strip()
        out = self.ctl("explain", run_id)
        self.assertIn("NO_CAPABLE_AGENT", out)
        self.assertIn('no agent has the connection "mart" or "shop"', out)
        self.assertIn("no agent has the connection", self.ctl("plan", f"{DATA}/neutral-copy-customers.json"))


class Operating(CliTest):
    def test_a_paused_pool_is_shown_everywhere_with_its_reason(self):
        self.start()
        self.assertIn("paused", self.ctl("pool", "pause", "etl", "--reason", "index rebuild", "--for", "10m"))
        self.assertIn("index rebuild", self.ctl("pool", "status", "etl"))
        self.assertIn("index rebuild", self.ctl("status", code=FAILED))
        self.assertIn("open", self.ctl("pool", "resume", "etl-pool"))  # an alias will do
        self.assertIn("healthy", self.ctl("status"))
        self.assertIn("draining", self.ctl("pool", "drain", "etl"))

    def test_a_closed_pool_refuses_with_8(self):
        self.start()
        self.ctl("pool", "close", "etl")
        self.ctl("run", "--pool", "etl", "-", stdin=json.dumps(shell("true")), code=REFUSED)
        self.assertIn("closed", self.said)
        self.assertIn("refused", self.ctl("plan", "--pool", "etl", "-", stdin=json.dumps(shell("true")), code=REFUSED))

    def test_a_run_no_pool_can_hold_is_refused_with_8(self):
        self.start()
        self.ctl("run", "--pool", "etl", "--no-fallback", "--size", "5GiB", "-", stdin=json.dumps(shell("true")),
                 code=REFUSED)

    def test_an_agent_that_drains_ends_though_it_is_resumed(self):
        self.start(agents=("default",))
        run_id = self.ctl("run", "-", stdin=json.dumps(shell("sleep 60"))).strip()
        self.broker.until(run_id, "RUNNING")
        self.ctl("agent", "pause", "default-agent")
        self.assertNotIn("ends", self.ctl("agent", "resume", "default-agent"))
        self.assertIn("draining", self.ctl("agent", "drain", "default-agent"))
        self.assertIn("it ends when its runs have ended; start its program again to use it",
                      self.ctl("agent", "resume", "default-agent"))
        self.ctl("cancel", run_id)

    def test_limits_change_while_it_works(self):
        self.start()
        out = self.ctl("pool", "set", "etl", "limit=4", "max_size=2GiB", "fallback=default", "waiting_max=9")
        self.assertIn("0 of 4 in use (configured: 3)", out)
        self.assertIn("2 GiB", out)
        pool = self.broker.pool("etl")
        self.assertEqual((pool["concurrency_limit"], pool["max_size"], pool["waiting_max"]), (4, 2 << 30, 9))
        self.assertEqual([hop["pool"] for hop in pool["fallback"]], ["default"])
        self.ctl("pool", "set", "etl", "max_size=none")
        self.assertIsNone(self.broker.pool("etl")["max_size"])
        self.ctl("pool", "set", "etl", "reset=yes")
        self.assertEqual(self.broker.pool("etl")["concurrency_limit"], 3)
        self.ctl("pool", "set", "etl", "lmit=4", code=USAGE)
        self.assertIn("did you mean 'limit'", self.said)
        self.ctl("pool", "set", "etl", "fallback=etl", code=FAILED)

    def test_agents_can_be_paused_and_are_shown(self):
        self.start()
        self.assertIn("etl-agent", self.ctl("agent", "list"))
        self.assertIn("paused", self.ctl("agent", "pause", "etl-agent", "--reason", "new disk"))
        out = self.ctl("agent", "show", "etl-agent")
        self.assertIn("new disk", out)
        self.assertRegex(out, r"kinds +.*command")
        self.assertIn("open", self.ctl("agent", "resume", "etl-agent"))
        self.ctl("agent", "show", "etl-agnet", code=NOT_FOUND)
        self.assertIn("etl-agent", self.said)

    def test_what_is_not_there_is_3(self):
        self.start()
        self.ctl("pool", "status", "tel", code=NOT_FOUND)
        self.assertIn("etl", self.said)
        self.ctl("pool", "pause", "../pools", code=NOT_FOUND)

    def test_an_ended_run_cannot_be_cancelled_4(self):
        self.start()
        run_id = self.ctl("run", "-", stdin=json.dumps(shell("true"))).strip()
        self.broker.until(run_id)
        self.ctl("cancel", run_id, code=CONFLICT)

    def test_a_token_is_asked_for_and_taken_from_file_or_environment(self):
        token = "0123456789abcdef0123456789abcdef"
        tokens = self.scene.write("tokens", f"anna {token}\n")
        os.chmod(tokens, 0o600)
        self.broker = Broker(self.scene, f"auth: {{token_file: {tokens}}}")
        self.ctl("ps", code=AUTH)
        self.assertIn("DISPATCH_TOKEN", self.said)
        self.ctl("ps", env={"DISPATCH_TOKEN": "wrong" * 8}, code=AUTH)
        self.ctl("ps", env={"DISPATCH_TOKEN": token})
        self.ctl("ps", "--token-file", self.scene.write("mine", token + "\n"))


class Alone(CliTest):
    def test_a_broker_that_is_not_there_is_6(self):
        for args in (("ps",), ("status",), ("run", f"{DATA}/neutral-fan-out.json"), ("pool", "pause", "etl")):
            self.ctl("--url", NOWHERE, *args, code=UNREACHABLE)
            self.assertIn(NOWHERE, self.said)

    def test_usage_is_2_and_says_what_was_meant(self):
        for args, words in ((("lgos", "x"), "did you mean 'logs'"), (("run",), "FILE"), (("ps", "--sate", "x"), "--state"),
                            (("pool",), "pool pause"), ((), "usage"), (("--url", "ftp://x", "ps"), "http://")):
            self.ctl(*args, code=USAGE)
            self.assertIn(words, self.said)

    def test_help_and_version_need_no_broker(self):
        self.assertIn("exit codes", self.ctl("help"))
        self.assertIn("--no-fallback", self.ctl("help", "run"))
        self.assertIn("--no-fallback", self.ctl("run", "--help"))
        self.assertIn("max_size", self.ctl("help", "pool", "set"))
        self.assertRegex(self.ctl("--url", NOWHERE, "version"), r"dispatchctl \d")


class Monitor(CliTest):
    def monitor(self, *args, code):
        done = self.program("worker_monitor", *args)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def test_the_exit_code_is_the_health(self):
        self.start()
        out = self.monitor("--once", code=0)
        for words in ("healthy", "default", "0/5", "etl-agent", "ok"):
            self.assertIn(words, out)
        self.ctl("pool", "pause", "etl", "--reason", "tests")
        out = self.monitor("--once", code=1)
        self.assertIn("needs attention", out)
        self.assertIn("pool etl is paused by anonymous: tests", out)
        told = json.loads(self.monitor("--json", code=1))
        self.assertEqual(told["health"], "degraded")
        self.assertEqual(len(told["overview"]["work_pools"]), 3)

    def test_a_lost_agent_degrades_and_none_at_all_is_down(self):
        self.start(config="lease: {length: 1s, accept: 500ms, margin: 100ms}", agents=("default", "etl"))
        self.ctl("pool", "list")
        self.agents[1].kill()
        wait_for(lambda: self.broker.workers()["etl-agent"]["health"] == "lost")
        self.assertIn("etl-agent is lost", self.monitor("--once", code=1))
        self.agents[0].kill()
        wait_for(lambda: self.broker.workers()["default-agent"]["health"] == "lost")
        self.assertIn("nothing can run", self.monitor("--once", code=2))
        self.broker.kill()
        self.assertIn("no broker reached", self.monitor("--once", code=2))
        self.assertIsNone(json.loads(self.monitor("--json", code=2))["overview"])

    def test_the_full_screen_is_promised_for_later(self):
        self.assertIn("--once", self.monitor(code=2))
        self.monitor("--nonsense", code=3)
        self.monitor("--help", code=0)


class Demo(CliTest):
    def test_the_demo_goes_through_and_leaves_nothing(self):
        where = self.scene.path("tmp")
        os.mkdir(where)
        done = subprocess.run([os.path.join(harness.ROOT, "tests", "demo.sh")], capture_output=True, text=True,
                              timeout=60 * PATIENCE, env=self.environment(BIN=BIN, TMPDIR=where))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        for words in ("would start in high-memory", "14 of 14 nodes completed", "POOL_FULL", "POOL_PAUSED",
                      "healthy"):
            self.assertIn(words, done.stdout)
        self.assertEqual(os.listdir(where), [])
        self.assertEqual([p for p in harness.descendants_of(os.getpid()) if harness.is_alive(p)], [])


if __name__ == "__main__":
    harness.main()
