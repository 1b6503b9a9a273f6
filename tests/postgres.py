#!/usr/bin/env python3
"""A PostgreSQL server of one's own, for as long as a test needs it.

    tests/postgres.py -- COMMAND [ARGUMENT...]

makes a cluster in a temporary directory, runs the command with its connection
string in DISPATCH_TEST_PG, and ends with the command's status. From Python:

    with Postgres() as pg:
        pg.sql("create table t (a int)")
        connect(pg.dsn)

The server listens on 127.0.0.1 and on a Unix socket in its directory, trusts
everybody, and gives up durability for speed. PostgreSQL refuses to run as root,
so for root it runs as postgres or nobody.
"""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS = 60
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
}


class Missing(Exception):
    pass


def binaries():
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    if not found:
        raise Missing("no PostgreSQL server in /usr/lib/postgresql: "
                      "apt-get install --no-install-recommends postgresql")
    return os.path.dirname(max(found, key=lambda path: int(re.findall(r"\d+", path)[0])))


def unprivileged():
    """Whom the server runs as when we are root, else None."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Missing("PostgreSQL does not run as root, and there is no user postgres or nobody")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    user = "dispatch"

    def __init__(self, **settings):
        self.settings = {**SETTINGS, **settings}
        self.bin = binaries()
        self.owner = unprivileged()
        self.server = self.dir = None
        self.port = 0

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port} user={self.user} dbname=postgres"

    def dsn_of(self, database):
        quoted = database.replace("\\", "\\\\").replace("'", "\\'")
        return f"host=127.0.0.1 port={self.port} user={self.user} dbname='{quoted}'"

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.dir = tempfile.mkdtemp(prefix="dispatch-pg-")
        if self.owner:
            os.chown(self.dir, self.owner.pw_uid, self.owner.pw_gid)
        self.call("initdb", "-D", f"{self.dir}/data", "-U", self.user, "-N", "--auth=trust",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")
        # Between our look and the server's bind somebody else may take the port.
        for _ in range(5):
            if self.launch(free_port()):
                return
        raise Missing(f"the server does not come up; see {self.log()}")

    def launch(self, port):
        self.port = port
        argv = self.as_owner("postgres", "-D", f"{self.dir}/data", "-h", "127.0.0.1",
                             "-p", str(self.port), "-k", self.dir)
        for key, value in self.settings.items():
            argv += ["-c", f"{key}={value}"]
        with open(f"{self.dir}/log", "ab") as log:
            self.server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=log, start_new_session=True, cwd="/")
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                return False
            if subprocess.run([f"{self.bin}/pg_isready", "-q", "-t", "1", "-h", "127.0.0.1",
                               "-p", str(self.port)], check=False).returncode == 0:
                return True
            time.sleep(0.02)
        return False

    def restart(self, mode="immediate"):
        """Stops the server ("fast" or "immediate") and starts it on the same port."""
        self.end(signal.SIGQUIT if mode == "immediate" else signal.SIGINT)
        if not self.launch(self.port):
            raise Missing(f"the server does not come up again; see {self.log()}")

    def stop(self):
        self.end(signal.SIGQUIT)  # nothing is worth a checkpoint
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.dir = None

    def end(self, sig):
        if not self.server:
            return
        try:
            with open(f"{self.dir}/data/postmaster.pid", encoding="ascii") as lines:
                os.kill(int(lines.readline()), sig)  # runuser hands no signal on
        except (OSError, ValueError):
            self.server.terminate()
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
        self.server = None

    def createdb(self, name):
        self.sql(f'create database "{name}"')
        return self.dsn_of(name)

    def sql(self, text, database="postgres"):
        """What psql prints for it, unaligned, without headings."""
        done = subprocess.run([f"{self.bin}/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                               "-d", self.dsn_of(database)], input=text, text=True, check=False,
                              capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.rstrip("\n")

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as log:
            return log.read()[-2000:]

    def call(self, program, *arguments):
        done = subprocess.run(self.as_owner(program, *arguments), check=False, text=True, cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise Missing(f"{program} failed: {done.stdout.strip()[-2000:]}")

    def as_owner(self, program, *arguments):
        argv = [f"{self.bin}/{program}", *arguments]
        if self.owner:
            return ["runuser", "-u", self.owner.pw_name, "--", *argv]
        return argv


def main():
    if len(sys.argv) < 3 or sys.argv[1] != "--":
        sys.exit(__doc__)
    try:
        # Whoever ends us ends the server with us.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        with Postgres() as pg:
            return subprocess.run(sys.argv[2:], check=False,
                                  env={**os.environ, "DISPATCH_TEST_PG": pg.dsn}).returncode
    except Missing as why:
        print(f"tests/postgres.py: {why}", file=sys.stderr)
        return 77


if __name__ == "__main__":
    sys.exit(main())
