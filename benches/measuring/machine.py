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
    words = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    asked = subprocess.run(words, cwd=ground.BENCHES, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"
