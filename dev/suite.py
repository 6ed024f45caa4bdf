"""The tests, in two runs of pytest: first by a worker for each core, a file at a time, then the files that bear no company.

    python -m dev.suite [ARGUMENTS OF PYTEST]...      its exit status is 0 when both are green

What holds a bound of time or memory is marked `alone`. The last line sums both runs up.
"""

import os
import re
import subprocess
import sys

MOST_WORKERS = 4  # one Elasticsearch and one InfluxDB serve them all
NOTHING_COLLECTED = 5
_CLOSING = re.compile(r"(=+ )?(\d+ [a-z]+, )*\d+ [a-z]+ in [\d.]+s")
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|xfailed|xpassed|skipped)")


def run(arguments: list[str]) -> tuple[int, dict[str, int]]:
    """(pytest's exit status, how many tests ended how); its output is passed on as it comes."""
    command = [sys.executable, "-m", "pytest", "--color=no", *arguments]
    closing = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if _CLOSING.match(line):
                closing = line
    return process.returncode, {ended.rstrip("s"): int(count) for count, ended in _COUNT.findall(closing)}


def main(arguments: list[str]) -> int:
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    together = run(["-n", str(workers), "--dist", "loadfile", "-m", "not alone", *arguments])
    alone = run(["-m", "alone", *arguments])
    statuses = [status for status, _ in (together, alone)]
    counts = [counted for _, counted in (together, alone)]
    passed, failed, errors = (sum(each.get(name, 0) for each in counts) for name in ("passed", "failed", "error"))
    print(f"{passed} passed, {failed + errors} failed")
    if all(status == NOTHING_COLLECTED for status in statuses):
        return NOTHING_COLLECTED
    return int(any(status not in (0, NOTHING_COLLECTED) for status in statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
