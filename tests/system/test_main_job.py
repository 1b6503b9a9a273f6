"""The main job on the real programs: what issue 2 calls done, one claim a test."""
import json
import os
import signal
import socket
import threading
import time

import harness
from harness import Agent, Broker, Note, document, most_at_once, noted, shell, wait_for

LIMITS = {"default": 5, "etl": 3, "high-memory": 2}
QUICK = "lease: {length: 2s, accept: 1s, margin: 500ms, cancel_grace: 1s}\n"
LEASE_S = 2.5  # length and margin
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + bytes(32)
NOBODY = "01a1fa79-6388-7000-a953-a4538ce6bf65"  # the id of no run


class Raw(bytes):
    """Bytes as they go out, frame head included."""


class MainJob(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.broker = Broker(self.scene, config=QUICK)

    def agents_for_all_pools(self):
        """With more slots than the pools have, so that it is the broker that holds the limits."""
        return {pool: Agent(self.scene, self.broker, f"a-{pool}", pool, slots=10) for pool in LIMITS}

    def notes(self, name="notes"):
        return [Note(line) for line in self.scene.read(name)]

    def note_path(self, name="notes"):
        return self.scene.path(name)

    def story(self, run_id):
        """All that explain says, as one text."""
        return json.dumps(self.broker.explain(run_id))

    # ---- the examples ----------------------------------------------------------

    def test_the_fan_out_goes_to_high_memory_and_completes(self):
        self.agents_for_all_pools()
        answer = self.broker.execute(document("neutral-fan-out.json"), wait=20)
        self.assertStatus(answer, 200)
        run = answer.json
        self.assertEqual((run["state"], run["work_pool"], run["rule"]), ("COMPLETED", "high-memory", "large"))
        self.assertEqual({node["state"] for node in run["nodes"]}, {"completed"})
        self.assertEqual(len(run["nodes"]), 14)
        by_id = {node["id"]: node for node in run["nodes"]}
        self.assertLessEqual(by_id["split"]["ended_at"], by_id["part-03"]["started_at"])
        log = self.broker.get(f"/api/v1/runs/{run['run_id']}/logs").body.decode()
        self.assertIn("part 3", log)
        told = self.broker.explain(run["run_id"])
        self.assertEqual(told["why"], "nodes 14 > 10, tagged analytics")
        self.assertEqual(told["decision"]["chosen_pool"], "high-memory")

    def wait_for_the_executors(self, name, pool, rule, missing):
        answer = self.broker.execute(document(name))
        self.assertStatus(answer, 202)
        said = answer.json
        self.assertEqual((said["state"], said["wanted_pool"], said["decision"]["rule"]), ("QUEUED", pool, rule), name)
        self.assertEqual((said["reason"], said["missing"]), ("NO_CAPABLE_AGENT", missing), name)
        told = self.broker.explain(said["run_id"])
        self.assertEqual((told["state"], told["reason"], told["missing"]), ("QUEUED", "NO_CAPABLE_AGENT", missing))
        self.assertEqual({c["verdict"] for c in told["decision"]["candidates"]}, {"not_capable"})
        return said["run_id"]

    def test_the_sql_documents_are_classified_and_wait_for_what_no_agent_can(self):
        self.agents_for_all_pools()
        shop, hr = "connection:mart,connection:shop", "connection:a1b0c5de-0000-4000-8000-0000000000"
        tables = "kind:extract,kind:load"
        waiting = [
            self.wait_for_the_executors("neutral-copy-customers.json", "default", "small", f"{shop},{tables}"),
            self.wait_for_the_executors("neutral-daily-sales.json", "etl", "etl", f"{shop},{tables}"),
            self.wait_for_the_executors("reactflow-orders-clean.json", "default", "small", f"{shop},{tables}"),
            self.wait_for_the_executors("v1-copy-sequence-only.json", "default", "small", f"{hr}91,{hr}93,{tables}"),
            self.wait_for_the_executors("v1-department-totals.json", "etl", "etl", f"{hr}91,{hr}92,{hr}93,{tables}"),
        ]
        # Work that can be done passes them, and they still wait afterwards.
        self.assertEqual(self.broker.execute(shell("true"), wait=10).json["state"], "COMPLETED")
        for run_id in waiting:
            self.assertEqual(self.broker.run(run_id)["state"], "QUEUED")
        self.assertTrue(self.broker.run(waiting[3])["edges_inferred"])

    def test_broken_documents_are_refused_with_everything_that_is_wrong(self):
        cycle = self.assertProblem(self.broker.execute(document("bad-cycle.json")), 422)
        self.assertEqual([e["code"] for e in cycle["errors"]], ["cycle"])
        self.assertIn("a -> b -> a", cycle["errors"][0]["detail"])
        many = self.assertProblem(self.broker.execute(document("bad-many-problems.json")), 422)
        found = {e["code"]: e["pointer"] for e in many["errors"]}
        self.assertEqual(found["empty_name"], "/workflow/name")
        self.assertEqual(found["unknown_kind"], "/workflow/nodes/1/kind")
        self.assertEqual(found["edge_to_nothing"], "/workflow/edges/0/target")
        self.assertLessEqual({"missing_field", "duplicate_id"}, set(found))
        with open(os.path.join(harness.DATA, "bad-cut-off.json"), "rb") as cut_off:
            self.assertProblem(self.broker.post("/api/v1/workers/execute",
                                                b'{"workflow": ' + cut_off.read() + b"}"), 400)
        self.assertEqual(self.broker.all_runs(), [])

    # ---- limits ----------------------------------------------------------------

    def test_forty_runs_never_exceed_the_limits_and_use_the_fallbacks(self):
        self.agents_for_all_pools()
        job = noted(self.note_path(), "sleep 0.3")
        ids = [self.broker.submit(job, preferred_pool="default") for _ in range(24)]
        ids += [self.broker.submit(job, preferred_pool="etl") for _ in range(8)]
        ids += [self.broker.submit(job, preferred_pool="high-memory") for _ in range(8)]
        crowded = next(run for run in ids if self.broker.run(run)["state"] == "QUEUED")
        self.assertEqual(self.broker.explain(crowded)["reason"], "POOL_FULL")
        for run_id in ids:
            self.assertEqual(self.broker.until(run_id, deadline=60)["state"], "COMPLETED")
        notes = self.notes()
        self.assertEqual(sorted(n.run for n in notes if n.what == "start"), sorted(ids))
        self.assertEqual(sorted(n.run for n in notes if n.what == "end"), sorted(ids))
        # Never more, and the slots were used: the most is exactly the limit.
        self.assertEqual(most_at_once(notes), LIMITS)
        ran_in = {n.run: n.pool for n in notes}
        fallen = [run_id for run_id in ids[:24] if ran_in[run_id] != "default"]
        self.assertTrue(fallen, "no run used a fallback")
        for run_id in ids[32:]:
            self.assertEqual(ran_in[run_id], "high-memory")  # of unknown size: never into a smaller pool
        for run_id in fallen[:3]:
            told = self.broker.explain(run_id)
            self.assertEqual((told["wanted_pool"], told["work_pool"]), ("default", ran_in[run_id]))
            self.assertTrue(told["decision"]["fallback_used"])
            self.assertEqual(told["decision"]["candidates"][0]["verdict"], "full")

    def test_a_run_that_allows_no_fallback_waits_for_its_own_pool(self):
        self.agents_for_all_pools()
        gate = self.scene.path("gate")
        held = [self.broker.submit(shell(f"until test -e {gate}; do sleep 0.05; done"), preferred_pool="high-memory")
                for _ in range(2)]
        run_id = self.broker.submit(shell("true"), preferred_pool="high-memory", size_bytes=1000,
                                    allow_fallback=False)
        told = self.broker.explain(run_id)
        self.assertEqual((told["state"], told["reason"]), ("QUEUED", "POOL_FULL"))
        self.assertIn("forbidden", {c["verdict"] for c in told["decision"]["candidates"]})
        for run in held:
            self.assertIn(run, json.dumps(told))  # who holds the slots
        open(gate, "w").close()
        self.assertEqual(self.broker.until(run_id)["work_pool"], "high-memory")

    # ---- pause -----------------------------------------------------------------

    def test_a_paused_pool_starts_nothing_also_after_a_crash(self):
        self.agents_for_all_pools()
        answer = self.broker.post("/api/v1/workers/pools/default/pause", {"reason": "moving house"})
        self.assertStatus(answer, 200)
        self.assertEqual(answer.json["state"], "paused")
        ids = [self.broker.submit(noted(self.note_path()), preferred_pool="default-agent-pool", allow_fallback=False)
               for _ in range(3)]
        spilled = self.broker.submit(noted(self.note_path()), preferred_pool="default")
        self.assertEqual(self.broker.until(spilled)["work_pool"], "etl")
        self.broker.kill()
        self.broker.start()
        wait_for(lambda: len(self.broker.workers()) == 3 and
                 all(agent["health"] == "ok" for agent in self.broker.workers().values()), what="agents are back")
        # A later run elsewhere passes them by.
        self.assertEqual(self.broker.execute(shell("true"), wait=10, preferred_pool="etl").json["state"], "COMPLETED")
        self.assertEqual([n.pool for n in self.notes() if n.what == "start"], ["etl"])
        pool = self.broker.pool("default")
        self.assertEqual((pool["state"], pool["waiting"], pool["active_runs"]), ("paused", 3, 0))
        self.assertEqual(pool["state_change"]["reason"], "moving house")
        for run_id in ids:
            told = self.broker.explain(run_id)
            self.assertEqual((told["state"], told["reason"]), ("QUEUED", "POOL_PAUSED"))
        self.assertStatus(self.broker.post("/api/v1/workers/pools/default/resume"), 200)
        for run_id in ids:
            run = self.broker.until(run_id)
            self.assertEqual((run["state"], run["work_pool"]), ("COMPLETED", "default"))

    def test_a_closed_pool_refuses_and_a_drained_one_lets_finish(self):
        self.agents_for_all_pools()
        gate = self.scene.path("gate")
        running = self.broker.submit(shell(f"until test -e {gate}; do sleep 0.05; done"), preferred_pool="etl",
                                     allow_fallback=False)
        self.broker.until(running, "RUNNING")
        self.assertStatus(self.broker.post("/api/v1/workers/pools/etl/drain"), 200)
        waiting = self.broker.submit(shell("true"), preferred_pool="etl", allow_fallback=False)
        self.assertEqual(self.broker.explain(waiting)["reason"], "POOL_DRAINING")
        open(gate, "w").close()
        self.assertEqual(self.broker.until(running)["state"], "COMPLETED")
        self.assertEqual(self.broker.run(waiting)["state"], "QUEUED")
        self.assertStatus(self.broker.post("/api/v1/workers/pools/etl/close"), 200)
        self.assertProblem(self.broker.execute(shell("true"), preferred_pool="etl"), 409, "POOL_CLOSED")

    # ---- crashes ---------------------------------------------------------------

    def test_kill_9_of_the_broker_in_mid_load_loses_nothing_and_runs_nothing_twice(self):
        self.agents_for_all_pools()
        job, told, stop = noted(self.note_path(), "sleep 0.1"), [], threading.Event()

        def client():
            while not stop.is_set():
                try:
                    told.append(self.broker.submit(job))
                except (OSError, AssertionError, harness.http.client.HTTPException):
                    if stop.wait(0.02):
                        return

        clients = [threading.Thread(target=client) for _ in range(3)]
        for thread in clients:
            thread.start()
        try:
            for crash in range(1, 4):
                wait_for(lambda want=crash * 25: len(told) >= want, 60, f"{crash * 25} accepted runs")
                self.broker.kill()
                self.broker.start()
        finally:
            stop.set()
            for thread in clients:
                thread.join()
        for run_id in told:
            run = self.broker.until(run_id, deadline=90)
            # A lease that the kill returned to its line before it was accepted is another attempt, not another execution.
            self.assertEqual(run["state"], "COMPLETED", run)
        # What was accepted but not heard of by the client is there too, and has run as well.
        everything = {run["run_id"] for run in self.broker.all_runs()}
        self.assertLessEqual(set(told), everything)
        for run_id in everything - set(told):
            self.broker.until(run_id, deadline=30)
        starts = [n.run for n in self.notes() if n.what == "start"]
        self.assertEqual(sorted(starts), sorted(everything))
        self.assertTrue(all(most <= LIMITS[pool] for pool, most in most_at_once(self.notes()).items()))

    def test_a_run_goes_on_while_its_broker_is_away(self):
        self.agents_for_all_pools()
        gate = self.scene.path("gate")
        run_id = self.broker.submit(noted(self.note_path(), f"until test -e {gate}; do sleep 0.05; done"))
        self.broker.until(run_id, "RUNNING")
        self.broker.kill()
        self.broker.start()
        self.assertIn(self.broker.run(run_id)["state"], ("RUNNING", "PENDING"))
        open(gate, "w").close()
        run = self.broker.until(run_id)
        self.assertEqual((run["state"], run["attempt"]), ("COMPLETED", 1))
        self.assertEqual(len([n for n in self.notes() if n.what == "start"]), 1)

    def test_kill_9_of_an_agent_is_noticed_and_on_lost_is_followed(self):
        agent = Agent(self.scene, self.broker, "first", "default", 5)
        gate = self.scene.path("gate")
        script = f"until test -e {gate}; do sleep 0.05; done"
        again = self.broker.submit(noted(self.note_path(), script), on_lost="retry", allow_fallback=False)
        never = self.broker.submit(noted(self.note_path(), script), on_lost="fail", allow_fallback=False)
        plain = self.broker.submit(noted(self.note_path(), script), allow_fallback=False)
        for run_id in (again, never, plain):
            self.broker.until(run_id, "RUNNING")
        wait_for(lambda: len(self.notes()) == 3, what="three jobs at work")
        agent.kill()
        wait_for(lambda: self.broker.workers()["first"]["health"] == "lost", 3, "the agent is known to be lost")
        # Until its lease has lapsed a lost agent's run may still be at work: nothing starts a second time.
        Agent(self.scene, self.broker, "second", "default", 5)
        crashed = self.broker.until(never, deadline=20)
        self.assertEqual((crashed["state"], crashed["attempt"]), ("CRASHED", 1))
        self.assertIn("first", crashed["error"])
        # Not marked repeatable: nobody said that a second execution does no harm.
        unsaid = self.broker.until(plain, deadline=20)
        self.assertEqual((unsaid["state"], unsaid["attempt"]), ("CRASHED", 1))
        open(gate, "w").close()
        done = self.broker.until(again, deadline=20)
        self.assertEqual((done["state"], done["attempt"], done["agent"]), ("COMPLETED", 2, "second"))
        self.assertEqual([a["outcome"] for a in done["attempts"]], ["lapsed", "completed"])
        self.assertEqual([n.attempt for n in self.notes() if n.what == "start" and n.run == again], [1, 2])
        # The first attempt was killed with its lease: it ended nowhere, least of all beside the second one.
        self.assertEqual([n.attempt for n in self.notes() if n.what == "end" and n.run == again], [2])
        for run_id in (again, never, plain):
            self.assertIn("first", self.story(run_id))

    def test_an_agent_that_comes_back_in_time_keeps_its_runs(self):
        agent = Agent(self.scene, self.broker, "phoenix", "default", 5)
        gate = self.scene.path("gate")
        run_id = self.broker.submit(noted(self.note_path(), f"until test -e {gate}; do sleep 0.05; done"),
                                    on_lost="fail")
        self.broker.until(run_id, "RUNNING")
        wait_for(self.notes, what="the job at work")
        agent.kill()
        agent.start()
        time_of_return = time.monotonic()
        # Longer than the lease it had: it has been renewed.
        wait_for(lambda: time.monotonic() > time_of_return + 2 * LEASE_S, 3 * LEASE_S)
        self.assertEqual(self.broker.run(run_id)["state"], "RUNNING")
        open(gate, "w").close()
        run = self.broker.until(run_id)
        self.assertEqual((run["state"], run["attempt"]), ("COMPLETED", 1))
        self.assertEqual([n.what for n in self.notes()], ["start", "end"])

    def test_a_stopped_agent_is_fenced(self):
        """SIGSTOP for longer than the lease: its job ends, nobody hears of it, and the run goes to another agent.
        What the first one has to say when it wakes changes nothing about the second attempt."""
        agent = Agent(self.scene, self.broker, "sleeper", "default", 1)
        gate = self.scene.path("gate")
        script = f"if [ $DISPATCH_ATTEMPT -gt 1 ]; then until test -e {gate}; do sleep 0.05; done; else sleep 0.5; fi"
        run_id = self.broker.submit(noted(self.note_path(), script), on_lost="retry")
        wait_for(self.notes, what="the job at work")
        agent.program.signal(signal.SIGSTOP)
        wait_for(lambda: [n.what for n in self.notes()] == ["start", "end"], what="the first attempt's job ended")
        Agent(self.scene, self.broker, "waker", "default", 1)
        wait_for(lambda: len(self.notes()) == 3, 20, "the second attempt at work")
        agent.program.signal(signal.SIGCONT)
        wait_for(lambda: self.broker.workers()["sleeper"]["health"] == "ok", 10, "the sleeper is back")
        # By the time it has done another run it has said all there was to say.
        other = self.broker.execute(shell("true"), wait=10).json
        self.assertEqual((other["state"], other["agent"]), ("COMPLETED", "sleeper"))
        now = self.broker.run(run_id)
        self.assertEqual((now["state"], now["attempt"], now["agent"]), ("RUNNING", 2, "waker"))
        open(gate, "w").close()
        done = self.broker.until(run_id)
        self.assertEqual((done["state"], done["attempt"], done["agent"]), ("COMPLETED", 2, "waker"))
        self.assertEqual([a["outcome"] for a in done["attempts"]], ["lapsed", "completed"])

    # ---- ends ------------------------------------------------------------------

    def test_a_failed_command_fails_its_run_and_skips_what_follows(self):
        self.agents_for_all_pools()
        workflow = {"name": "fails", "nodes": [
            {"id": "bad", "kind": "command", "argv": ["sh", "-c", "echo broken >&2; exit 3"]},
            {"id": "after", "kind": "command", "argv": ["true"]},
            {"id": "beside", "kind": "command", "argv": ["true"]}],
            "edges": [{"source": "bad", "target": "after"}]}
        run = self.broker.execute(workflow, wait=10).json
        nodes = {node["id"]: node for node in run["nodes"]}
        self.assertEqual(run["state"], "FAILED")
        self.assertEqual({name: node["state"] for name, node in nodes.items()},
                         {"bad": "failed", "after": "skipped", "beside": "completed"})
        self.assertEqual(nodes["bad"]["exit_code"], 3)
        self.assertIn("bad", run["error"])
        self.assertIn("broken", self.broker.get(f"/api/v1/runs/{run['run_id']}/logs").body.decode())
        self.assertIn("bad", self.story(run["run_id"]))

    def test_a_run_past_its_time_is_killed(self):
        self.agents_for_all_pools()
        run = self.broker.execute(shell("sleep 60"), wait=20, timeout_s=1).json
        self.assertEqual(run["state"], "TIMED_OUT")

    def test_cancel_kills_the_whole_tree_and_holds_the_slot_until_then(self):
        self.agents_for_all_pools()
        pids = self.scene.path("pids")
        script = (f"trap '' TERM; echo $$ >> {pids}; "
                  f"setsid sh -c 'echo $$ >> {pids}; trap \"\" TERM; sleep 300 & wait; sleep 300' & "
                  f"(sh -c 'echo $$ >> {pids}; exec sleep 300' &); sleep 300 & wait; sleep 300")
        run_id = self.broker.submit(shell(script))
        wait_for(lambda: len(self.scene.read("pids")) == 3, what="the tree stands")
        tree = [int(pid) for pid in self.scene.read("pids")]
        answer = self.broker.post(f"/api/v1/runs/{run_id}/cancel", {"reason": "no longer wanted"})
        self.assertStatus(answer, 202)
        self.assertEqual(answer.json["state"], "CANCELLING")
        self.assertEqual(self.broker.pool("default")["active_runs"], 1)
        run = self.broker.until(run_id)
        self.assertEqual(run["state"], "CANCELLED")
        self.assertEqual(run["cancel"]["reason"], "no longer wanted")
        self.assertEqual([pid for pid in tree if harness.is_alive(pid)], [])
        self.assertEqual(self.broker.pool("default")["active_runs"], 0)
        self.assertIn("no longer wanted", self.story(run_id))
        self.assertStatus(self.broker.post(f"/api/v1/runs/{run_id}/cancel"), 200)  # once more does no harm

    def test_a_waiting_run_is_cancelled_at_once(self):
        run_id = self.broker.submit(shell("true"))
        self.assertEqual(self.broker.explain(run_id)["reason"], "NO_AGENT")
        self.assertEqual(self.broker.post(f"/api/v1/runs/{run_id}/cancel").json["state"], "CANCELLED")
        self.agents_for_all_pools()
        self.assertEqual(self.broker.execute(shell("true"), wait=10).json["state"], "COMPLETED")
        self.assertEqual(self.broker.run(run_id)["state"], "CANCELLED")
        done = self.broker.submit(shell("true"))
        self.broker.until(done)
        self.assertProblem(self.broker.post(f"/api/v1/runs/{done}/cancel"), 409, "RUN_ENDED")

    def test_sigterm_drains_and_the_next_broker_goes_on(self):
        self.agents_for_all_pools()
        gate = self.scene.path("gate")
        running = self.broker.submit(noted(self.note_path(), f"until test -e {gate}; do sleep 0.05; done"))
        self.broker.until(running, "RUNNING")
        self.broker.program.signal(signal.SIGTERM)

        def refused():
            answer = self.broker.execute(shell("true"))
            return answer.status == 503 and answer.headers["Retry-After"]
        wait_for(refused, what="a draining broker refuses")
        self.assertIsNone(self.broker.program.process.poll())
        open(gate, "w").close()
        self.assertEqual(self.broker.program.wait(), 0)
        self.broker.start()
        self.assertEqual(self.broker.run(running)["state"], "COMPLETED")
        self.assertEqual(self.broker.execute(shell("true"), wait=10).json["state"], "COMPLETED")

    # ---- explain and plan ------------------------------------------------------

    def test_plan_says_what_execute_then_does(self):
        self.agents_for_all_pools()
        for workflow, fields in ((document("neutral-fan-out.json"), {}), (shell("true"), {}),
                                 (shell("true"), {"preferred_pool": "etl-pool"}), (shell("true", tags=["ETL"]), {}),
                                 (shell("true"), {"size_bytes": 2 << 30}), (document("neutral-daily-sales.json"), {})):
            plan = self.broker.post("/api/v1/workflows/plan", {"workflow": workflow, **fields})
            self.assertStatus(plan, 200)
            said = self.broker.execute(workflow, **fields).json
            for member in ("wanted_pool", "work_pool", "reason", "missing"):
                self.assertEqual(plan.json[member], said[member], member)
            self.assertEqual(plan.json["decision"]["why"], said["decision"]["why"])
            if said["reason"] is None:
                self.broker.until(said["run_id"])
        self.assertEqual(len(self.broker.all_runs()), 6)  # plan keeps nothing

    def test_a_table_called_high_memory_classifies_nothing(self):
        workflow = {"name": "high-memory analytics ml", "nodes": [
            {"id": "high-memory", "kind": "command", "argv": ["echo", "high-memory", "etl"]}], "edges": []}
        said = self.broker.execute(workflow).json
        self.assertEqual((said["wanted_pool"], said["decision"]["rule"]), ("default", "small"))

    def test_higher_priority_goes_first(self):
        self.agents_for_all_pools()
        self.broker.post("/api/v1/workers/pools/high-memory/pause")
        ids = {p: self.broker.submit(noted(self.note_path()), preferred_pool="high-memory", priority=p)
               for p in ("low", "normal", "high")}
        self.broker.request("PATCH", "/api/v1/workers/pools/high-memory", {"concurrency_limit": 1})
        self.broker.post("/api/v1/workers/pools/high-memory/resume")
        for run_id in ids.values():
            self.broker.until(run_id)
        started = [n.run for n in self.notes() if n.what == "start"]
        self.assertEqual(started, [ids["high"], ids["normal"], ids["low"]])

    # ---- bad input -------------------------------------------------------------

    def test_bad_requests_get_an_answer_that_says_what_is_wrong(self):
        execute = "/api/v1/workers/execute"
        for body in (b"", b"{", b"[1,", b"nonsense", b"\xff\xfe", b'{"workflow": "\\ud800"}', b"[" * 100000):
            answer = self.broker.post(execute, body)
            self.assertIn(answer.status, (400, 422), (body[:20], answer))
            self.assertProblem(answer, answer.status)
        for body in (1, "text", None, [], {}, [{}], {"workflow": 3}, {"workflow": {}}, {"wrokflow": {}},
                     {"workflow": shell("true"), "priority": "urgent"}, {"workflow": shell("true"), "size_bytes": -1},
                     {"workflow": shell("true"), "start_at": "tomorrow"}, {"workflow": shell("true"), "surprise": 1},
                     {"workflow": shell("true"), "tags": "etl"}, shell("true")):
            self.assertProblem(self.broker.post(execute, json.dumps(body).encode()), 422)
        problem = self.assertProblem(self.broker.execute(shell("true"), preferred_pool="high-memry"), 422)
        self.assertIn("high-memory", problem["errors"][0]["detail"])
        for path in (f"/api/v1/runs/{NOBODY}", f"/api/v1/runs/{NOBODY}/explain", f"/api/v1/runs/{NOBODY}/logs",
                     "/api/v1/runs/none", "/api/v1/workers/pools/lake", "/api/v1/workers/pools/lake/status",
                     "/api/v1/workers/agents/nobody", "/nowhere", "/api/v1/../../etc/passwd"):
            self.assertProblem(self.broker.get(path), 404)
        for path in (f"/api/v1/runs/{NOBODY}/cancel", "/api/v1/workers/pools/lake/pause",
                     "/api/v1/workers/agents/nobody/pause"):
            self.assertProblem(self.broker.post(path), 404)
        self.assertProblem(self.broker.request("DELETE", "/api/v1/runs"), 405)
        self.assertProblem(self.broker.request("PATCH", "/api/v1/workers/pools/etl", {"concurrency_limit": -3}), 422)
        self.assertProblem(self.broker.get("/api/v1/runs?state=HAPPY"), 400)
        self.assertEqual(self.broker.all_runs(), [])

    def test_a_body_too_large_is_refused_before_it_is_read(self):
        answer = self.broker.post("/api/v1/workers/execute", b" " * ((8 << 20) + 1))
        self.assertProblem(answer, 413)

    def test_a_chain_of_ten_thousand_nodes_is_no_problem_and_one_more_is_refused(self):
        def chain(length):
            nodes = [{"id": f"n{i}", "kind": "command", "argv": ["true"]} for i in range(length)]
            edges = [{"source": f"n{i}", "target": f"n{i + 1}"} for i in range(length - 1)]
            return {"name": "chain", "nodes": nodes, "edges": edges}
        answer = self.broker.post("/api/v1/workflows/validate", {"workflow": chain(10000)})
        self.assertStatus(answer, 200)
        self.assertEqual(answer.json["order"][-1], "n9999")
        run_id = self.broker.submit(chain(10000))
        self.assertEqual(self.broker.run(run_id)["wanted_pool"], "high-memory")
        self.assertProblem(self.broker.execute(chain(10001)), 422)
        looped = chain(10000)
        looped["edges"].append({"source": "n9999", "target": "n0"})
        self.assertProblem(self.broker.execute(looped), 422)

    def dealer(self, *payloads):
        """A raw TCP connection that has shaken hands as a ZeroMQ DEALER does (ZMTP 3.0, NULL), then says these."""
        host, port = self.broker.agents.removeprefix("tcp://").split(":")
        end = socket.create_connection((host, int(port)), timeout=5)
        end.sendall(GREETING)
        heard = b""
        while len(heard) < 64:
            heard += end.recv(64 - len(heard))
        end.sendall(b"\x04\x1c\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER")
        self.assertEqual(end.recv(2)[0], 4)  # the broker's own READY
        for payload in payloads:
            end.sendall(payload if isinstance(payload, Raw) else bytes([0, len(payload)]) + payload)
        return end

    def test_noise_on_both_ports_harms_nobody(self):
        self.agents_for_all_pools()
        host, port = self.broker.agents.removeprefix("tcp://").split(":")
        noise = [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 40, b"\xff" * 5000, GREETING, GREETING[:20],
                 GREETING + b"\x04\xff" * 100, GREETING + b"\x06" + b"\xff" * 8]
        web = [b"\x00" * 2000, b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n",
               b"POST /api/v1/workers/execute HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
               b"POST /api/v1/workers/execute HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{"]
        web_host, web_port = self.broker.host.split(":")
        ends = []
        for to, said in [((host, int(port)), n) for n in noise] + [((web_host, int(web_port)), n) for n in web]:
            ends.append(socket.create_connection(to, timeout=5))
            try:
                ends[-1].sendall(said)
            except OSError:
                pass  # hung up on: an answer as well
        malformed = [b"", b"\x00", b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 200, b"\x93\x01\x0a\x05",
                     b"\x9a\x01\x01" + b"\xa1x" * 8, b"\x92\x01\x02", os.urandom(200)]
        ends += [self.dealer(payload) for payload in malformed]
        ends.append(self.dealer(*malformed))
        ends.append(self.dealer(*[Raw(b"\x01\x01x" * 50 + b"\x00\x01x")]))   # one message of many frames
        ends.append(self.dealer(Raw(b"\x02" + b"\x7f" + b"\xff" * 7)))          # a frame of exabytes
        ends.append(self.dealer(Raw(b"\x02" + bytes(7) + b"\xff" + b"x" * 50)))  # that ends early
        wait_for(lambda: "frame.bad" in self.broker.program.read_log(), what="malformed frames are logged")
        self.assertEqual(self.broker.execute(shell("true"), wait=10).json["state"], "COMPLETED")
        for end in ends:
            end.close()
        self.assertEqual(sorted(self.broker.workers()), ["a-default", "a-etl", "a-high-memory"])
        self.assertEqual(self.broker.execute(document("neutral-fan-out.json"), wait=20).json["state"], "COMPLETED")


if __name__ == "__main__":
    harness.main()
