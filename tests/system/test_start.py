"""dispatcher's start and end: options, configuration, what it says when it cannot start, and --dev with its agents."""
import json
import os
import resource
import signal
import socket
import subprocess

import harness
from harness import BIN, Broker, Program, document, shell, wait_for

DISPATCHER = f"{BIN}/dispatcher"


class Start(harness.SystemTest):
    def call(self, *args, env=None, limit=None):
        """Runs a dispatcher that is expected to end by itself."""
        def lower():
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        return subprocess.run([DISPATCHER, *args], capture_output=True, text=True, timeout=30 * harness.PATIENCE,
                              stdin=subprocess.DEVNULL, cwd=self.scene.directory, env={**os.environ, **(env or {})},
                              preexec_fn=lower)

    def refused(self, done, status, *words):
        """Exit status, nothing on stdout, and one sentence on stderr that has these words."""
        self.assertEqual((done.returncode, done.stdout), (status, ""), done)
        for word in words:
            self.assertIn(word, done.stderr)
        return done.stderr

    # ---- a full disk --------------------------------------------------------------

    def test_a_short_disk_refuses_new_work_and_ends_nothing(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk takes root")
        disk = os.path.join(self.scene.directory, "broker.state")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk], capture_output=True).returncode:
            self.skipTest("no right to mount here")
        self.addCleanup(subprocess.run, ["umount", "-l", disk])
        broker = Broker(self.scene)
        for _ in range(3):
            refused = broker.post("/api/v1/workers/execute", {"workflow": shell("true")})
            self.assertProblem(refused, 507, "STORE_FULL")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        self.assertStatus(broker.post("/api/v1/workers/execute", {"workflow": shell("true")}), 202)

    # ---- options and configuration -----------------------------------------------

    def test_wrong_usage_is_told_and_ends_with_2(self):
        self.refused(self.call("--prot", "1"), 2, "--prot", "--help")
        self.refused(self.call("serve"), 2, '"serve"', "--help")
        self.refused(self.call("--http", "8080"), 2, "--http", "8080", "HOST:PORT")
        self.refused(self.call("--agents", "127.0.0.1:1"), 2, "--agents", "tcp://HOST:PORT")
        self.refused(self.call("--config"), 2, "--config")
        self.refused(self.call("--config", "/nowhere.yaml"), 2, "/nowhere.yaml", "No such file")

    def test_help_and_version_are_answers(self):
        told = self.call("--help")
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        for option in ("--config", "--state", "--http", "--agents", "--dev", "--check-config", "--print-config"):
            self.assertIn(option, told.stdout)
        self.assertTrue(self.call("--version").stdout.startswith("dispatcher "))

    def test_the_printed_reference_is_a_good_configuration(self):
        reference = self.call("--print-config").stdout
        path = self.scene.write("reference.yaml", reference)
        checked = self.call("--check-config", "--config", path)
        self.assertEqual((checked.returncode, checked.stdout), (0, f"{path}: ok (3 pools, 3 rules)\n"))

    def test_every_problem_of_a_configuration_is_told_with_its_line(self):
        path = self.scene.write("bad.yaml", "http: nowhere\nlog_levle: info\npools:\n  - {name: a, limit: none}\n"
                                            "rules:\n  - {name: all, pool: b}\n")
        told = self.refused(self.call("--check-config", "--config", path), 2).splitlines()
        self.assertEqual([line.split(" ")[0] for line in told], [f"{path}:{line}:" for line in (1, 2, 4, 6)])
        self.assertIn("did you mean log_level?", told[1])
        self.refused(self.call("--config", path), 2, f"{path}:1:")  # nor does it start

    # ---- what is in the way ------------------------------------------------------

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            free = ("--state", self.scene.path("state"))
            self.refused(self.call(*free, "--http", f"127.0.0.1:{port}", "--agents", "tcp://127.0.0.1:0"), 1, port)
            self.refused(self.call(*free, "--http", "127.0.0.1:0", "--agents", f"tcp://127.0.0.1:{port}"), 1, port)

    def test_a_state_directory_has_one_broker(self):
        broker = Broker(self.scene)
        self.refused(self.call("--state", broker.state, "--http", "127.0.0.1:0", "--agents", "tcp://127.0.0.1:0"), 1,
                     broker.state)
        self.assertEqual(broker.get("/livez").status, 200)

    def test_a_state_directory_that_cannot_be_is_told(self):
        for path in ("/dev/null/state", "/proc/state"):
            self.refused(self.call("--state", path, "--http", "127.0.0.1:0", "--agents", "tcp://127.0.0.1:0"), 1, path)

    def test_too_few_file_descriptors_are_told_before_they_run_out(self):
        told = self.refused(self.call("--state", self.scene.path("state"), limit=300), 1, "limits.connections", "300")
        self.assertEqual(len(told.splitlines()), 1)

    def test_an_open_address_needs_tokens_and_agents_are_warned_of(self):
        for args in (("--http", "0.0.0.0:0"), ("--config", self.scene.write("wide.yaml", "http: 0.0.0.0:0\n"))):
            told = self.refused(self.call("--state", self.scene.path("state"), "--agents", "tcp://127.0.0.1:0", *args),
                                2, " auth.token_file ")
            self.assertEqual(self.refused(self.call("--check-config", *args), 2), told)
        tokens = self.scene.write("tokens", "me a-token-that-is-long-enough\n")
        os.chmod(tokens, 0o600)
        program = Program(self.scene, "open", [DISPATCHER, "--state", self.scene.path("open.state"), "--http",
                                               "127.0.0.1:0", "--agents", "tcp://0.0.0.0:0", "--config",
                                               self.scene.write("open.yaml", f"auth: {{token_file: {tokens}}}\n")])
        program.ready()
        self.assertIn("agents.unprotected", program.read_log())
        self.assertEqual(program.stop(), 0)

    def test_the_ready_line_is_all_there_is_on_stdout(self):
        broker = Broker(self.scene, config="log_level: debug\n")
        self.assertEqual(broker.pid, broker.program.pid)
        self.assertEqual(broker.execute(document("bad-cycle.json")).status, 422)
        self.assertEqual(broker.stop(), 0)
        self.assertEqual(broker.program.process.stdout.read(), b"")

    def test_a_pool_with_runs_may_not_leave_the_configuration(self):
        rules = "rules: [{name: all, pool: a}]\n"
        broker = Broker(self.scene, config="pools: [{name: a, limit: 1}, {name: b, limit: 1}]\n" + rules)
        broker.submit(shell("true"), preferred_pool="b")
        self.assertEqual(broker.stop(), 0)
        path = self.scene.write("less.yaml", "pools: [{name: a, limit: 1}]\n" + rules)
        self.refused(self.call("--config", path, "--state", broker.state, "--http", "127.0.0.1:0", "--agents",
                               "tcp://127.0.0.1:0"), 1, "b")


class Dev(harness.SystemTest):
    """--dev: TMPDIR is the scene's, so that what is left there can be seen."""

    def dev(self, *args):
        os.makedirs(self.scene.path("tmp"), exist_ok=True)
        broker = Broker.__new__(Broker)
        broker.scene, broker.name = self.scene, "dev"
        broker.program = Program(self.scene, "dev", [DISPATCHER, "--dev", *args],
                                 env={"TMPDIR": self.scene.path("tmp")}, process_group=0)
        ready = broker.program.ready()
        broker.url, broker.agents, broker.pid = ready["http"], ready["agents"], ready["pid"]
        broker.host = broker.url.removeprefix("http://")
        wait_for(lambda: sorted(n for n, a in broker.workers().items() if a["health"] == "ok") ==
                 ["dev-default", "dev-etl", "dev-high-memory"], what="three agents")
        return broker

    def assertNothingLeft(self):
        wait_for(lambda: os.listdir(self.scene.path("tmp")) == [], what="the temporary directory is gone")
        wait_for(self.childless, what="no process is left")

    @staticmethod
    def childless():
        harness.reap()
        return harness.descendants_of(os.getpid()) == []

    def test_dev_runs_the_examples_and_leaves_nothing(self):
        broker = self.dev()
        slots = {name: agent["slots"] for name, agent in broker.workers().items()}
        self.assertEqual(slots, {"dev-default": 5, "dev-etl": 3, "dev-high-memory": 2})
        run = broker.execute(document("neutral-fan-out.json"), wait=20).json
        self.assertEqual((run["state"], run["agent"]), ("COMPLETED", "dev-high-memory"))
        self.assertEqual(broker.stop(), 0)
        self.assertNothingLeft()

    def test_dev_lets_http_nodes_call_this_machine(self):
        broker = self.dev()
        workflow = {"name": "self", "edges": [],
                    "nodes": [{"id": "ask", "kind": "http", "method": "GET", "url": f"{broker.url}/livez"}]}
        run = broker.execute(workflow, wait=20).json
        self.assertEqual(run["state"], "COMPLETED", json.dumps(run))
        self.assertEqual(broker.stop(), 0)

    def test_ctrl_c_lets_running_work_finish(self):
        broker = self.dev()
        gate = self.scene.path("gate")
        run_id = broker.submit(shell(f"until test -e {gate}; do sleep 0.05; done; echo through"))
        broker.until(run_id, "RUNNING")
        os.killpg(broker.pid, signal.SIGINT)  # as the terminal does
        wait_for(lambda: broker.execute(shell("true")).status == 503, what="it drains")
        self.assertEqual(broker.run(run_id)["state"], "RUNNING")
        open(gate, "w").close()
        self.assertEqual(broker.program.wait(), 0)
        self.assertIn(f"run={run_id} attempt=1 state=COMPLETED", broker.program.read_log())
        self.assertNothingLeft()

    def test_ctrl_c_twice_stops_at_once_and_ends_the_jobs(self):
        broker = self.dev()
        pids = self.scene.path("pids")
        run_id = broker.submit(shell(f"echo $$ >> {pids}; sleep 300"))
        broker.until(run_id, "RUNNING")
        job = int(wait_for(lambda: self.scene.read("pids"), what="the job at work")[0])
        os.killpg(broker.pid, signal.SIGINT)
        wait_for(lambda: broker.execute(shell("true")).status == 503, what="it drains")
        os.killpg(broker.pid, signal.SIGINT)
        self.assertEqual(broker.program.wait(), 0)
        self.assertFalse(harness.is_alive(job))
        self.assertNothingLeft()

    def test_kill_9_of_a_dev_broker_takes_its_agents_along(self):
        broker = self.dev()
        pids = self.scene.path("pids")
        broker.submit(shell(f"echo $$ >> {pids}; sleep 300"))
        job = int(wait_for(lambda: self.scene.read("pids"), what="the job at work")[0])
        broker.program.kill()
        wait_for(lambda: not harness.is_alive(job), what="the job is gone")
        self.assertNothingLeft()

    def test_dev_with_a_state_directory_keeps_it(self):
        state = self.scene.path("kept")
        broker = self.dev("--state", state)
        run_id = broker.execute(shell("true"), wait=10).json["run_id"]
        self.assertEqual(broker.stop(), 0)
        self.assertNothingLeft()
        broker = self.dev("--state", state)
        self.assertEqual(broker.run(run_id)["state"], "COMPLETED")
        self.assertEqual(broker.stop(), 0)

    def test_an_agent_that_dies_is_told_and_not_replaced(self):
        broker = self.dev()
        os.kill(broker.workers()["dev-etl"]["pid"], signal.SIGKILL)
        wait_for(lambda: broker.workers()["dev-etl"]["health"] == "lost", what="the agent is lost")
        wait_for(lambda: "dev.agent_ended pool=etl signal=9" in broker.program.read_log(), what="it is told")
        self.assertEqual(broker.execute(shell("true"), wait=10).json["state"], "COMPLETED")
        self.assertEqual(broker.stop(), 0)
        self.assertNothingLeft()


if __name__ == "__main__":
    harness.main()
