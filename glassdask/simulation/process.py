"""``python -m glassdask.simulation.process FOLDER``: the process in which LAMMPS runs, see `worker`."""

import os
import sys

from glassdask.starting import rest

if __name__ == "__main__":
    rest()  # before the imports

    from glassdask.simulation import worker

    code = worker.main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # without the teardown of MPI, which waits for nobody
