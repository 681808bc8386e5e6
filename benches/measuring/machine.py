"""Where and of what: stands above every result."""

import datetime
import os
import subprocess

from . import ground


def described(versions=()):
    """One line; `versions` are pairs of program and version."""
    model = next(l.partition(":")[2].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    what = "; ".join(f"{name} {version}" for name, version in versions)
    return f"{model}, {os.cpu_count()} cores, Linux {os.uname().release}" + (f"; {what}" if what else "")


def today():
    return datetime.date.today().isoformat()


def commit():
    """The commit of what is measured; results of other measurements that lie beside it are no change."""
    def git(*words):
        return subprocess.run(["git", *words], cwd=ground.BENCHES, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(exclude,top)benches/results")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if changed else "")
