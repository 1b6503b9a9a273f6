"""What the system tests stand on: real programs on loopback, and a small TAP runner.

    broker = Broker(scene, config="lease: {length: 2s, accept: 1s}")   # a Scene owns processes and files
    agent = Agent(scene, broker, "a1", "default,etl", slots=5)
    answer = broker.post("/api/v1/workers/execute", {"workflow": ...})
    wait_for(lambda: broker.run(run_id)["state"] == "COMPLETED")

Ports are free ones, told by the ready lines. Nothing sleeps and hopes: wait_for() polls something that can be
observed until it is true, or fails with what was there instead. A Scene ends every process it started, and whatever
those left behind (this process is their subreaper), by pid; when a test fails its logs are printed.

DISPATCH_BIN is the directory of the programs (default build/bin).
"""
import ctypes
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("DISPATCH_BIN", os.path.join(ROOT, "build", "bin")))
DATA = os.path.join(ROOT, "tests", "data")
SANITIZED = "address" in BIN  # slower, and its shadow memory leaves no room for RLIMIT_AS
PATIENCE = 4 if SANITIZED else 1
FINAL = {"COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED", "CRASHED"}
PR_SET_CHILD_SUBREAPER = 36


def wait_for(predicate, deadline=15, what="", interval=0.02):
    """The first true value of predicate(); AssertionError when there is none in `deadline` seconds (more under
    sanitizers). The only place where tests sleep."""
    until = time.monotonic() + deadline * PATIENCE
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {deadline} s: {what or predicate.__doc__ or 'the condition'}; "
                                 f"last value {value!r}")
        time.sleep(interval)


def children_of(pid):
    """Pids of the living children, zombies included."""
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as listing:
                found += [int(word) for word in listing.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants_of(pid):
    found, todo = [], [pid]
    while todo:
        for child in children_of(todo.pop()):
            found.append(child)
            todo.append(child)
    return found


def is_alive(pid):
    """Does the process exist, and is it more than a zombie?"""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Answer:
    """One HTTP answer: status, headers, body (bytes), json (None when it is not JSON)."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        kind = headers.get("Content-Type", "")
        self.json = json.loads(body) if "json" in kind and body else None

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Program:
    """A started program: its ready line, its log, its end."""

    def __init__(self, scene, name, argv, env=None, **popen):
        self.scene, self.name = scene, name
        self.log_path = os.path.join(scene.directory, f"{name}.log")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **(env or {})}, cwd=scene.directory, **popen)
        self.pid = self.process.pid
        scene.programs.append(self)

    def ready(self, deadline=10, needs=None):
        """The JSON line on stdout that says it can be used; `needs` is a program without which it never will be."""
        line, out = b"", self.process.stdout.fileno()
        until = time.monotonic() + deadline * PATIENCE
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if needs is not None and needs.process.poll() is not None:
                raise AssertionError(f"{needs.name} has ended with {needs.process.poll()}; log:\n{needs.read_log()}")
            if left <= 0:
                raise AssertionError(f"{self.name}: no ready line in {deadline} s; log:\n{self.read_log()}")
            if not select.select([out], [], [], min(left, 0.2))[0]:
                continue
            got = os.read(out, 4096)
            if not got:
                raise AssertionError(f"{self.name}: ended with {self.process.wait()} before it was ready; "
                                     f"log:\n{self.read_log()}")
            line += got
        return json.loads(line)

    def read_log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self, deadline=20):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.wait(deadline)

    def wait(self, deadline=20):
        try:
            return self.process.wait(deadline * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name}: has not ended {deadline} s after it was told to; "
                                 f"log:\n{self.read_log()}") from None


class Broker:
    """bin/dispatcher on a state directory that outlives it."""

    def __init__(self, scene, config=None, args=(), name="broker"):
        self.scene, self.name, self.args = scene, name, list(args)
        self.state = os.path.join(scene.directory, f"{name}.state")
        self.agents, self.program = "tcp://127.0.0.1:0", None
        if config is not None:
            path = scene.write(f"{name}.yaml", config)
            self.args += ["--config", path]
        self.start()

    def start(self):
        """Also again after kill(): the same state, the same address for agents."""
        self.program = Program(self.scene, self.name,
                               [f"{BIN}/dispatcher", "--http", "127.0.0.1:0", "--agents", self.agents,
                                "--state", self.state, *self.args])
        ready = self.program.ready()
        self.url, self.agents, self.pid = ready["http"], ready["agents"], ready["pid"]
        self.host = urllib.parse.urlparse(self.url).netloc

    def kill(self):
        self.program.kill()

    def stop(self, deadline=20):
        return self.program.stop(deadline)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """body: bytes as they are, anything else as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, timeout=timeout * PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    # -- what tests say most ---------------------------------------------------

    def execute(self, workflow, wait=None, **fields):
        headers = {"Prefer": f"wait={wait}"} if wait else {}
        return self.post("/api/v1/workers/execute", {"workflow": workflow, **fields}, headers=headers,
                         timeout=30 + (wait or 0))

    def submit(self, workflow, **fields):
        """The id of a run that was accepted."""
        answer = self.execute(workflow, **fields)
        assert answer.status == 202, answer
        return answer.json["run_id"]

    def run(self, run_id):
        answer = self.get(f"/api/v1/runs/{run_id}")
        assert answer.status == 200, answer
        return answer.json

    def explain(self, run_id):
        answer = self.get(f"/api/v1/runs/{run_id}/explain")
        assert answer.status == 200, answer
        return answer.json

    def until(self, run_id, *states, deadline=15):
        """The run, when it is in one of the states (default: a final one)."""
        wanted = set(states) or FINAL
        last = {}

        def there():
            last.update(self.run(run_id))
            return last["state"] in wanted
        try:
            wait_for(there, deadline, f"run {run_id} in {sorted(wanted)}")
        except AssertionError as late:
            raise AssertionError(f"{late}; the run is {json.dumps(last)[:3000]}") from None
        return last

    def pool(self, name):
        return self.get(f"/api/v1/workers/pools/{name}/status").json

    def workers(self):
        return {agent["name"]: agent for agent in self.get("/api/v1/workers/agents").json["items"]}

    def all_runs(self):
        """Every run there is, newest first."""
        found, cursor = [], ""
        while True:
            page = self.get(f"/api/v1/runs?limit=200{cursor}").json
            found += page["items"]
            if not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


class Agent:
    """bin/agent with a spool that outlives it."""

    def __init__(self, scene, broker, name, pools, slots=1, config=None):
        self.scene, self.broker, self.name = scene, broker, name
        self.argv = [f"{BIN}/agent", "--connect", broker.agents, "--name", name, "--pools", pools,
                     "--slots", str(slots), "--spool", os.path.join(scene.directory, f"{name}.spool")]
        if config is not None:
            self.argv += ["--config", scene.write(f"{name}.yaml", config)]
        self.start()

    def start(self):
        self.program = Program(self.scene, self.name, self.argv)
        self.pid = self.program.ready(needs=self.broker.program)["pid"]

    def kill(self):
        self.program.kill()

    def stop(self, deadline=20):
        return self.program.stop(deadline)


class Scene:
    """One test's processes and files."""
    open_ones = set()

    def __init__(self):
        Scene.open_ones.add(self)
        self.directory = tempfile.mkdtemp(prefix="dispatch-test-")
        self.programs = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        return self.path(name)

    def read(self, name):
        """Lines of a file that jobs append to; none while it does not exist."""
        try:
            with open(self.path(name)) as lines:
                return lines.read().splitlines()
        except FileNotFoundError:
            return []

    def logs(self):
        text = ""
        for path in sorted({program.log_path for program in self.programs}):
            with open(path, errors="replace") as log:
                lines = log.read().splitlines()
            text += f"--- {os.path.basename(path)} ({len(lines)} lines)\n" + "\n".join(lines[-60:]) + "\n"
        return text

    def complaints(self):
        """What sanitizers and assertions wrote, if anything."""
        marks = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer", "Assertion `")
        return [line for program in self.programs for line in program.read_log().splitlines()
                if any(mark in line for mark in marks)]

    def close(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
            program.process.wait()
            program.process.stdout.close()
            program.log.close()
        # What agents left: shepherds and jobs are this process's now.
        until = time.monotonic() + 10
        while time.monotonic() < until:
            left = descendants_of(os.getpid())
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            reap()
            time.sleep(0.01)
        shutil.rmtree(self.directory, ignore_errors=True)
        Scene.open_ones.discard(self)


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0] > 0:
            pass
    except ChildProcessError:
        pass


class SystemTest(unittest.TestCase):
    """A test with a Scene of its own."""

    def setUp(self):
        self.scene = Scene()
        self.addCleanup(self.leave)

    def leave(self):
        complaints = self.scene.complaints()
        self.logs = self.scene.logs()  # printed when the test failed
        self.scene.close()
        if complaints:
            self.fail("a program complained:\n" + "\n".join(complaints))

    def assertStatus(self, answer, status):
        self.assertEqual(answer.status, status, answer)

    def assertProblem(self, answer, status, code=None):
        """A refusal as RFC 9457 wants it, saying something."""
        self.assertStatus(answer, status)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        for member in ("type", "title", "status", "detail", "code"):
            self.assertTrue(answer.json.get(member), f"no {member} in {answer}")
        self.assertEqual(answer.json["status"], status)
        if code is not None:
            self.assertEqual(answer.json["code"], code)
        return answer.json


# ---- workflows ------------------------------------------------------------------

def document(name):
    """A workflow of tests/data."""
    with open(os.path.join(DATA, name)) as text:
        return json.load(text)


def shell(script, name="job", **fields):
    """A workflow of one command node."""
    return {"name": name, **fields, "nodes": [{"id": "job", "kind": "command", "argv": ["sh", "-c", script]}],
            "edges": []}


def noted(path, script=":", name="job", **fields):
    """A job that appends "start RUN ATTEMPT POOL NS" to a file, runs the script and appends "end ..."."""
    note = f'"$DISPATCH_RUN_ID $DISPATCH_ATTEMPT $DISPATCH_POOL $(date +%s%N)" >> {path}'
    return shell(f"echo start {note}; {script}; echo end {note}", name, **fields)


class Note:
    """A line that noted() wrote."""

    def __init__(self, line):
        self.what, self.run, attempt, self.pool, at = line.split()
        self.attempt, self.ns = int(attempt), int(at)


def most_at_once(notes):
    """For each pool the largest number of jobs between their start and end notes at any instant."""
    now, most = {}, {}
    # An end and a start at the same nanosecond count as together: the stricter reading.
    for note in sorted(notes, key=lambda n: (n.ns, n.what == "end")):
        now[note.pool] = now.get(note.pool, 0) + (1 if note.what == "start" else -1)
        most[note.pool] = max(most.get(note.pool, 0), now[note.pool])
    return most


# ---- TAP ------------------------------------------------------------------------

class TapResult(unittest.TestResult):
    """A line for each test, when its cleanups are done; what went wrong and the logs below it, as comments."""

    def __init__(self):
        super().__init__()
        self.number, self.wrong, self.skipped_for = 0, [], None

    def startTest(self, test):
        super().startTest(test)
        self.wrong, self.skipped_for = [], None

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.skipped_for = reason

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.wrong.append("".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self.wrong.append("".join(traceback.format_exception(*err)))

    def stopTest(self, test):
        super().stopTest(test)
        self.number += 1
        claim = test._testMethodName.removeprefix("test_").replace("_", " ")
        skip = f" # SKIP {self.skipped_for}" if self.skipped_for else ""
        print(f"{'not ok' if self.wrong else 'ok'} {self.number} - {claim}{skip}")
        if self.wrong:
            for line in ("\n".join(self.wrong) + getattr(test, "logs", "")).splitlines():
                print("# " + line)
        sys.stdout.flush()


def main():
    """Runs the calling file's tests; arguments choose those whose names contain one of them."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the one exception that unittest lets through
    found = unittest.TestSuite()
    for group in unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]):
        for test in group:
            words = sys.argv[1:]
            if not words or any(word in test._testMethodName for word in words):
                found.addTest(test)
    print(f"1..{found.countTestCases()}", flush=True)
    result = TapResult()
    try:
        found.run(result)
    except KeyboardInterrupt:
        print("Bail out! interrupted", flush=True)
        sys.exit(1)
    finally:
        for scene in list(Scene.open_ones):
            scene.close()
    sys.exit(0 if result.wasSuccessful() else 1)
