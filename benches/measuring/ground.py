"""Where one run lives: a folder of its own, free ports, and processes pinned to a core."""

import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

BENCHES = pathlib.Path(__file__).resolve().parent.parent
# One of them alone where `programs.require` has not looked: the load's own process.
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, OTHER_CORE = CORES[0], CORES[-1]
BOTH_CORES = f"{PROXY_CORE},{OTHER_CORE}"
TICKS = os.sysconf("SC_CLK_TCK")


def fail(text):
    sys.exit(f"{pathlib.Path(sys.argv[0]).parent.name}: {text}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def allow_open_files(wanted):
    """As many as the system lets us have, `wanted` at most; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (wanted, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            return limit
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Ground:
    """The folder `benches/run/NAME`, empty at the beginning, and all that was started in it."""

    def __init__(self, name):
        self.folder = BENCHES / "run" / name
        self.started = []

    def __enter__(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "run").mkdir(parents=True)
        return self

    def __exit__(self, *_):
        for process in reversed(self.started):
            process.end()

    def start(self, core, *command, port=None, patience=10, environment=None, stop=signal.SIGTERM):
        """Starts `command` on `core`, `environment` added to ours; returns once something listens on `port`."""
        log = open(self.folder / f"{pathlib.Path(str(command[0])).name}-{core}.err", "ab")
        process = Process(core, command, log, self.folder, environment or {}, stop)
        self.started.append(process)
        if port:
            process.await_port(port, patience)
        return process

    def end(self, process):
        self.started.remove(process)
        process.end()


class Process:
    """A pinned process and its children."""

    def __init__(self, core, command, log, folder, environment, stop):
        self.log, self.stop = log, stop
        pinned = ["taskset", "-c", str(core), *map(str, command)]
        self.process = subprocess.Popen(pinned, stdout=log, stderr=log, cwd=folder, env=os.environ | environment)
        self.pid = self.process.pid

    def await_port(self, port, patience):
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if self.process.poll() is not None:
                fail(f"{self.process.args[3]} ended at once: see {self.log.name}")
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.01)
        fail(f"nothing listens on {port}: see {self.log.name}")

    def pin(self, core):
        """Has all threads run on `core` from now on."""
        subprocess.run(["taskset", "-acp", str(core), str(self.pid)], check=True, stdout=subprocess.DEVNULL)

    def members(self):
        children = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *children]

    def cpu_seconds(self):
        """User and system time so far (proc_pid_stat(5), fields 14 and 15), all threads."""
        user = system = 0
        for each in self.members():
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user / TICKS, system / TICKS

    def resident_mib(self):
        """Resident memory (`VmRSS`); what children share with their parent counts for each of them."""
        return sum(int(line.split()[1]) for each in self.members()
                   for line in open(f"/proc/{each}/status") if line.startswith("VmRSS")) / 1024

    def end(self):
        self.process.send_signal(self.stop)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()  # nothing is left to lose
            self.process.wait()
