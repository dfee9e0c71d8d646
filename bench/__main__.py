"""`bin/bench`: run the rows asked for and print one JSON object; progress goes to stderr."""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from bench.databases import servers
from bench.measuring import Row, Size
from helpdesk.environment import ConfigurationError

# Each a module of this package with `run(size) -> Row`; a row says by "holds" whether its limits of DESIGN 7 were met.
ROWS = ("engine", "idle", "lateness", "pages", "stream", "delivery")


def main() -> int:
    """Measure; return 1 when a limit was not met."""
    parser = argparse.ArgumentParser(
        prog="bin/bench", description="Measure Belay against the limits of DESIGN 7."
    )
    parser.add_argument(
        "rows", nargs="*", metavar="row", help=f"any of {', '.join(ROWS)}; without any, all of them"
    )
    parser.add_argument(
        "--quick", action="store_true", help="at a twentieth of the size, in under two minutes"
    )
    parser.add_argument(
        "--profile", type=Path, metavar="FILE", help="leave a pstats dump of the engine's side here"
    )
    wanted = parser.parse_args()
    if unknown := sorted(set(wanted.rows) - set(ROWS)):
        parser.error(f"there is no row “{unknown[0]}”: take any of {', '.join(ROWS)}")
    size = Size(quick=wanted.quick, profile=wanted.profile and wanted.profile.resolve())
    results: dict[str, Row] = {}
    try:
        with servers():
            for name in ROWS:
                if not wanted.rows or name in wanted.rows:
                    began = time.monotonic()
                    print(f"bench: {name}", file=sys.stderr, flush=True)
                    row: Row = importlib.import_module(f"bench.{name}").run(size)
                    results[name] = row | {"took_s": round(time.monotonic() - began, 1)}
    except ConfigurationError as error:
        sys.exit(f"belay: {error}")
    finally:
        # What was measured before something broke is worth reading, too.
        if results:
            print(json.dumps(results, indent=2))
    return int(not all(row["holds"] for row in results.values()))


if __name__ == "__main__":
    sys.exit(main())
