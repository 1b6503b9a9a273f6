#!/usr/bin/env python3
"""The HTTP API of the real programs: every operation, reads after writes, waiting, and clients that misbehave."""
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
import uuid

import harness
from harness import Agent, Broker, noted, shell, wait_for

VALUES = {"{pool}": "etl", "{agent}": "a1"}
BODIES = {"/execute": {"workflow": shell("true")}, "/plan": {"workflow": shell("true")},
          "/validate": shell("true"), "PATCH": {"concurrency_limit": 3}}


def raw(broker, data, timeout=10):
    """What comes back for these bytes until the broker closes or says nothing more for a second."""
    host, port = broker.host.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout) as s:
        s.sendall(data)
        s.settimeout(1 * harness.PATIENCE)
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except TimeoutError:
            pass
        return got


def together(count, work):
    """Runs work(i) in so many threads; their results in order. An exception in one is raised here."""
    results, wrong = [None] * count, []

    def one(i):
        try:
            results[i] = work(i)
        except Exception as error:  # noqa: BLE001 - raised below
            wrong.append(error)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return results


class Api(harness.SystemTest):
    def setUp(self):
        super().setUp()
        self.broker = Broker(self.scene)

    def agent(self, pools="default,etl,high-memory", slots=10):
        return Agent(self.scene, self.broker, "a1", pools, slots)

    # ---- every operation -------------------------------------------------------

    def operations(self):
        return [(o["method"], o["path"]) for o in self.broker.get("/").json["operations"]]

    def filled(self, path, run_id):
        path = path.replace("{run}", run_id)
        for variable, value in VALUES.items():
            path = path.replace(variable, value)
        return path

    def test_every_operation_of_the_index_answers(self):
        self.agent()
        run_id = self.broker.submit(shell("echo hello"))
        self.broker.until(run_id)
        operations = self.operations()
        self.assertGreater(len(operations), 25)
        for method, path in operations:
            body = BODIES.get(method) or next((b for end, b in BODIES.items() if path.endswith(end)), None)
            if path.endswith("/cancel"):
                continue  # of an ended run: below
            answer = self.broker.request(method, self.filled(path, run_id), body)
            self.assertIn(answer.status, (200, 202), f"{method} {path}: {answer}")
            self.assertTrue(answer.headers["X-Request-Id"])
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertProblem(self.broker.post(f"/api/v1/runs/{run_id}/cancel"), 409, "RUN_ENDED")

    def test_every_operation_refuses_nonsense_with_a_problem(self):
        for method, path in self.operations():
            there = self.filled(path, str(uuid.uuid4()))
            self.assertProblem(self.broker.request("DELETE", there), 405)
            self.assertProblem(self.broker.get(there + "/no/such/thing"), 404)
            if method in ("POST", "PATCH"):
                answer = self.broker.request(method, there, b'{"x"')
                self.assertProblem(answer, 400, "BAD_JSON")
                answer = self.broker.request(method, there, {"no_such_field": 1})
                self.assertIn(answer.status, (404, 422), answer)
                self.assertProblem(answer, answer.status)
            else:
                answer = self.broker.request(method, there + "?no_such=1")
                self.assertProblem(answer, 400, "BAD_REQUEST")

    def test_a_connection_serves_many_requests_also_after_refusals(self):
        connection = http.client.HTTPConnection(self.broker.host, timeout=10 * harness.PATIENCE)
        connection.connect()
        own = connection.sock.getsockname()
        for method, path, body, status in [("GET", "/livez", None, 200), ("GET", "/nowhere", None, 404),
                                           ("POST", "/livez", b"some body", 405),
                                           ("POST", "/api/v1/workers/execute", b"{", 400),
                                           ("HEAD", "/api/v1/workers/pools", None, 200),
                                           ("GET", "/api/v1/workers/pools", None, 200)]:
            connection.request(method, path, body)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status, path)
            self.assertEqual(connection.sock and connection.sock.getsockname(), own, path)
        connection.close()

    # ---- reads after writes ------------------------------------------------------

    def test_a_read_never_shows_less_than_what_was_answered_before(self):
        stop = threading.Event()

        def watch(_):
            while not stop.is_set():
                self.broker.get("/api/v1/workers/overview")
        watchers = [threading.Thread(target=watch, args=(i,)) for i in range(4)]
        for thread in watchers:
            thread.start()
        try:
            for i in range(60):
                verb, state = (("pause", "paused"), ("resume", "open"))[i % 2]
                self.assertStatus(self.broker.post(f"/api/v1/workers/pools/etl/{verb}"), 200)
                self.assertEqual(self.broker.get("/api/v1/workers/pools/etl").json["state"], state)
                run_id = self.broker.submit(shell("true"), preferred_pool="etl")
                self.assertEqual(self.broker.run(run_id)["state"], "QUEUED")
                self.assertStatus(self.broker.post(f"/api/v1/runs/{run_id}/cancel"), 200)
                self.assertEqual(self.broker.run(run_id)["state"], "CANCELLED")
        finally:
            stop.set()
            for thread in watchers:
                thread.join()

    def test_a_batch_of_a_thousand_is_listed_once_each_by_pages(self):
        answer = self.broker.post("/api/v1/workers/execute",
                                  [{"workflow": shell("true", name=f"job-{i:03}")} for i in range(1000)])
        self.assertStatus(answer, 202)
        sent = [item["run_id"] for item in answer.json["items"]]
        self.assertEqual((len(set(sent)), answer.json["refused"]), (1000, 0))
        self.assertEqual([run["run_id"] for run in self.broker.all_runs()], sent[::-1])
        self.assertEqual(self.broker.get("/api/v1/workers/overview").json["worker_summary"]["waiting_runs"], 1000)
        found = self.broker.get("/api/v1/runs?workflow=job-500").json["items"]
        self.assertEqual([run["run_id"] for run in found], [sent[500]])

    # ---- waiting -----------------------------------------------------------------

    def test_sixty_that_wait_each_hear_of_their_own_run(self):
        self.agent(slots=10)
        answers = together(60, lambda i: self.broker.execute(shell(f"echo {i}", name=f"job-{i}"), wait=60))
        for i, answer in enumerate(answers):
            self.assertStatus(answer, 200)
            self.assertEqual((answer.json["state"], answer.json["workflow_name"]), ("COMPLETED", f"job-{i}"))

    def test_who_waits_when_the_broker_stops_is_answered(self):
        run_id = self.broker.submit(shell("true"))  # no agent: it stays
        host, port = self.broker.host.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=60) as s:
            s.sendall(f"GET /api/v1/runs/{run_id}?wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self.assertStatus(self.broker.get("/livez"), 200)  # came later, so the other has been read
            self.assertEqual(self.broker.stop(), 0)
            got = s.recv(65536)
        self.assertTrue(got.startswith(b"HTTP/1.1 503 "), got)
        self.assertIn(b'"code":"DRAINING"', got)

    def test_a_draining_broker_is_live_but_not_ready(self):
        self.agent(slots=1)
        notes = self.scene.path("notes")
        self.broker.submit(noted(notes, "sleep 3"))
        wait_for(lambda: self.scene.read("notes"))
        self.assertStatus(self.broker.get("/readyz"), 200)
        os.kill(self.broker.pid, signal.SIGTERM)
        wait_for(lambda: self.broker.get("/readyz").status == 503)
        self.assertStatus(self.broker.get("/livez"), 200)
        answer = self.broker.execute(shell("true"))
        self.assertProblem(answer, 503, "DRAINING")
        self.assertTrue(answer.headers["Retry-After"])
        self.assertEqual(self.broker.program.wait(), 0)

    # ---- what was said -------------------------------------------------------------

    def test_output_read_in_pieces_is_the_whole_output(self):
        self.agent()
        run_id = self.broker.submit(shell("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done"))
        self.assertEqual(self.broker.until(run_id)["state"], "COMPLETED")
        whole = "".join(f"line {i}\n" for i in range(3000))
        said, after = "", 0
        for _ in range(1000):
            page = self.broker.get(f"/api/v1/runs/{run_id}/logs?after={after}&limit_bytes=1000",
                                   headers={"Accept": "application/json"}).json
            if not page["items"]:
                break
            said += "".join(item["text"] for item in page["items"] if item["stream"] == "stdout")
            self.assertGreater(page["next"], after)
            after = page["next"]
        self.assertEqual(said, whole)
        text = self.broker.get(f"/api/v1/runs/{run_id}/logs?limit_bytes=4000000&node=job").body.decode()
        self.assertIn("".join(f"job | line {i}\n" for i in range(3000)), text)

    def test_the_story_is_in_order_and_names_what_happened(self):
        self.agent("etl", slots=1)
        answer = self.broker.execute(shell("exit 3"), wait=30, retries=1)
        self.assertStatus(answer, 200)
        told = self.broker.explain(answer.json["run_id"])["story"]
        times = [m.group() for m in (re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z", line) for line in told) if m]
        self.assertEqual(times, sorted(times))
        text = "\n".join(told)
        for words in ('Rule "small" matched', "default cannot (", "fallback of default", "Attempt 1 failed",
                      "Attempt 2 failed", "exit code 3", "The run is FAILED"):
            self.assertIn(words, text)

    # ---- who may, and who misbehaves -------------------------------------------------

    def test_tokens_name_callers_and_nothing_works_without(self):
        tokens = self.scene.write("tokens", "alice 0123456789abcdef\n")
        os.chmod(tokens, 0o644)
        with self.assertRaises(AssertionError) as refused:
            Broker(self.scene, config=f"auth: {{token_file: {tokens}}}\n", name="careless")
        self.assertIn("chmod 600", str(refused.exception))
        os.chmod(tokens, 0o600)
        guarded = Broker(self.scene, config=f"auth: {{token_file: {tokens}}}\n", name="guarded")
        key = {"Authorization": "Bearer 0123456789abcdef"}
        self.assertProblem(guarded.get("/api/v1/runs"), 401, "UNAUTHORIZED")
        self.assertStatus(guarded.get("/livez"), 200)
        answer = guarded.post("/api/v1/workers/execute", {"workflow": shell("true")}, headers=key)
        self.assertStatus(answer, 202)
        self.assertEqual(guarded.get(f"/api/v1/runs/{answer.json['run_id']}", headers=key).json["who"], "alice")

    def test_broken_http_is_answered_without_html(self):
        for data, status in [(b"\r\n\r\n\x16\x03\x01 nonsense\r\n\r\n", 400),
                             (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
                             (b"GET / HTTP/1.1\r\n\r\n", 400),
                             (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
                              b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
                             (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: " + b"b" * 40000 + b"\r\n\r\n", 431),
                             (b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413)]:
            got = raw(self.broker, data)
            if not got and status == 400 and b"nonsense" in data:
                continue  # closing without a word is an answer to what is not HTTP at all
            self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), (data[:60], got[:300]))
            self.assertIn(b"application/problem+json", got)
            self.assertIn(b"X-Request-Id:", got)
            self.assertNotIn(b"<html", got.lower())
        self.assertStatus(self.broker.get("/readyz"), 200)

    def test_a_crowd_that_says_nothing_locks_nobody_out(self):
        host, port = self.broker.host.rsplit(":", 1)
        crowd = []
        try:
            for i in range(700):  # more than http_connections_max
                s = socket.create_connection((host, int(port)), timeout=10)
                crowd.append(s)
                if i % 3:
                    s.sendall(b"GET / HTTP/1.1\r\nX-Slow: " if i % 3 == 1 else b"POST /api/v1/wor")
            begin = time.monotonic()
            for _ in range(20):
                self.assertStatus(self.broker.get("/readyz"), 200)
            self.assertLess(time.monotonic() - begin, 5 * harness.PATIENCE)
        finally:
            for s in crowd:
                s.close()

    def test_clients_that_leave_while_they_wait_cost_nothing(self):
        run_id = self.broker.submit(shell("true"))
        host, port = self.broker.host.rsplit(":", 1)

        def descriptors():
            return len(os.listdir(f"/proc/{self.broker.pid}/fd"))
        before = descriptors()
        ask = f"GET /api/v1/runs/{run_id}?wait=600 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for _ in range(5):
            crowd = [socket.create_connection((host, int(port)), timeout=10) for _ in range(100)]
            for s in crowd:
                s.sendall(ask)
            wait_for(lambda: descriptors() >= before + 90)
            for s in crowd:
                s.close()
            wait_for(lambda: descriptors() <= before + 5)
        self.assertStatus(self.broker.get("/readyz"), 200)

    def test_garbage_of_every_kind_does_no_harm(self):
        seed = int(os.environ.get("SEED", time.time_ns() % 1000000))
        print(f"# SEED={seed}", flush=True)
        state = seed

        def random():
            nonlocal state
            state = (state * 6364136223846793005 + 1442695040888963407) % 2 ** 64
            return state >> 33
        good = json.dumps({"workflow": shell("true"), "tags": ["a"], "priority": "low"}).encode()
        for _ in range(400):
            body = bytearray(good)
            for _ in range(1 + random() % 4):
                at = random() % len(body)
                kind = random() % 3
                if kind == 0:
                    body[at] = random() % 256
                elif kind == 1:
                    del body[at:at + 1 + random() % 9]
                else:
                    body[at:at] = body[random() % len(body):][:random() % 40]
            answer = self.broker.post("/api/v1/workers/execute", bytes(body))
            self.assertIn(answer.status, (202, 400, 404, 422), answer)
            if answer.status != 202:
                self.assertProblem(answer, answer.status)
        self.assertStatus(self.broker.get("/readyz"), 200)


if __name__ == "__main__":
    harness.main()
