"""Run some of Belay's processes under its supervisor: python -m tests.chaos.supervised engine beat."""

import os
import sys
from dataclasses import replace

from helpdesk.processes import processes
from helpdesk.supervisor import Console, Supervisor

if __name__ == "__main__":
    wanted = [
        replace(process, extra={**process.extra, "PGAPPNAME": process.name})
        for process in processes()
        if process.name in sys.argv[1:]
    ]
    Supervisor(wanted, environment=dict(os.environ), console=Console(sys.stdout)).run(lambda: None)
