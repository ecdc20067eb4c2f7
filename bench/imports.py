"""How long `import morelike` and `morelike --help` take, and that neither loads torch.

    python bench/imports.py [--runs 15] [--quick]

Whole processes, taking turns; medians. `import morelike` is told as milliseconds over a bare `python -c pass`.

Expected: import at most 50 ms over bare Python, help at most 300 ms in all, torch not loaded by either.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import Watch, table, tell, verdict

IMPORT_MS, HELP_MS = 50, 300
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import morelike": [sys.executable, "-c", "import morelike"],
    "morelike --help": [str(Path(sys.executable).parent / "morelike"), "--help"],
}
LOADED = "import sys\ntry:\n    {}\nexcept SystemExit:\n    pass\nsys.exit('torch' in sys.modules)"
PROBES = {
    "import morelike": "import morelike",
    "morelike --help": "from morelike.cli import main; main(['--help'])",
}


def milliseconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - begin)


def loads_torch(statement: str) -> bool:
    """Whether a fresh interpreter has torch after the statement."""
    code = subprocess.run([sys.executable, "-c", LOADED.format(statement)], stdout=subprocess.DEVNULL).returncode
    if code not in (0, 1):
        raise SystemExit(f"{statement}: ended with {code}")
    return code == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="three runs: a smoke test")
    given = parser.parse_args()
    for command in COMMANDS.values():
        milliseconds(command)  # compiles what is not compiled yet, and reads the files into memory
    watch, times = Watch(), {name: [] for name in COMMANDS}
    for _ in range(3 if given.quick else given.runs):
        for name, command in COMMANDS.items():
            times[name].append(milliseconds(command))
    median = {name: statistics.median(found) for name, found in times.items()}
    table(["", "median ms", "best ms"], [[n, f"{median[n]:.0f}", f"{min(times[n]):.0f}"] for n in COMMANDS])
    torch = {name: loads_torch(statement) for name, statement in PROBES.items()}
    over = median["import morelike"] - median["python -c pass"]
    print(f"import over bare Python {over:.0f} ms (target <= {IMPORT_MS}): {verdict(over <= IMPORT_MS)}")
    print(f"help {median['morelike --help']:.0f} ms (target <= {HELP_MS}): "
          f"{verdict(median['morelike --help'] <= HELP_MS)}")  # fmt: skip
    print(f"torch loaded: {[name for name, loaded in torch.items() if loaded] or 'by neither'}: "
          f"{verdict(not any(torch.values()))}")  # fmt: skip
    tell("imports", import_over_bare_ms=round(over, 1), help_ms=round(median["morelike --help"], 1), torch=torch,
         others=watch.others())  # fmt: skip


if __name__ == "__main__":
    main()
