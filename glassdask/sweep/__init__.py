"""Sweeps: models x temperatures x seeds, simulated or found, described, reduced and correlated, each number once.

One TOML file describes a sweep (`read_sweep`), one command runs it (`run_sweep`), and what it does is seen from its
store while it runs (`status`)::

    store = "sweep.zarr"            # beside the file, unless absolute; default: the file's name with .zarr
    seeds = [1, 2]                  # optional, of the simulated states

    [protocol]                      # for all simulated runs; a run may give any of these itself
    particles = 2000
    melt = 2.0                      # temperature of the melt ...
    melt_time = 40.0                # ... and how long it is held
    rate = 1e-3                     # of cooling, temperature per time
    equilibrate = 1000.0            # time
    produce = 2000.0                # time
    every = 100.0                   # between frames
    between = 0                     # frames at logarithmic lags in between
    ensemble = "nvt"                # of the production
    inherent = true                 # minimise every frame, too
    replicas = 0                    # isoconfigurational runs from the last frame ...
    lags = [0.1, 1.0, 10.0]         # ... and when displacements are measured
    share = 0.2                     # only for particles with diameters of their own, as of the model "polydisperse":
    step = 0.12                     # they move by swap Monte Carlo, see `SwapMonteCarlo`, and times are sweeps

    [[runs]]                        # states that are simulated
    model = "kob_andersen"          # or a table of your own: see glassdask.simulation.models
    temperatures = [0.6, 0.5, 0.45]
    densities = [1.2]               # optional
    centers = "A"                   # optional: [describe] for these states
    cutoffs = {A-A = 1.4, A-B = 1.2, B-B = 1.1}

    [[runs]]                        # states that exist already, in stores of glassdask
    trajectories = "../data/{model}/T={temperature}/{seed}.zarr"

    [[runs]]                        # states whose trajectories are files; those that tell the same are one run
    files = "../T{temperature}/dump.*.gz"
    model = "my_mixture"            # what the paths do not tell stands beside them
    dt = 0.005                      # optional, as of glassdask ingest: dt, format ...
    species = {1 = "A", 2 = "B"}    # ... new names of species, ...
    options = {periodic = "xy"}     # ... and other arguments of glassdask.ingest
                                    # files that come or grow later are told, and read with --overwrite
    replicas = "../T{temperature}/iso{replica}/dump.*"   # optional: isoconfigurational runs, each from the same frame
                                    # of the state, which is their first one; files of one {replica} are one run

    [describe]                      # optional, as the next ones
    structures = "instantaneous"    # or "inherent", those of PATH/inherent
    dtype = "float32"               # in which the numbers are stored, or "float64"
    [describe.descriptors.sbo]      # as for glassdask describe --parameters; cutoffs not given are found per state
    l_max = 8
    [describe.descriptors.nearest]  # another name: its type says which descriptor it is
    type = "bo"
    neighbors = {type = "k_nearest", k = 12}

    [reduce]
    descriptors = ["sbo"]           # default: all of [describe]
    n_components = 2                # default: all
    scale = false

    [classify]                      # optional: classes of particles by each descriptor, see glassdask.classify
    descriptors = ["sbo"]           # default: all of [describe]
    classes = 2
    method = "mixture"              # of Gaussians, or "kmeans", or "communities"
    n_components = 2                # so many principal components are classified; default: the features
    scale = false
    seed = 0

    [common]                        # optional: components fitted to all states of a model together
    n_components = 2                # the same keys as [reduce]; where cutoffs are not given, each state has its own

    [correlate]                     # g(r), S(k), F_s(k*, t), tau_alpha; with an ensemble |R| with the propensity
    k = 7.2                         # default: the first peak of each state's own S(k)
    dynamics = true                 # false where motion cannot be followed: independent frames, or no images

    [dynamics]                      # optional: as for glassdask dynamics, in the same words
    quantities = ["chi4", "fs:k=7.2"]

Every key is checked before any work, and a wrong one is told with its path: ``liquids.toml: runs[0].temperatures[2]:
expected a positive finite number, found -1``.

**Stages.** `simulate` does what ``[protocol]`` and ``[[runs]]`` say; each of the others has a table of its own, and a
sweep whose file lacks the table lacks the stage. `glassdask.sweep.stage.Stage` says what makes a stage.

**Units of work** are (state, stage). A unit is one dask task that runs on one worker, computes the chunks of its
state there one after the other, writes into the state's store and returns a few bytes. States are ended one after the
other: a worker that gets free goes on with one that was begun. For that, the scheduler has one unit for each thread at
a time, and a few more only where its cluster adapts to the work in sight. Without a cluster (``--cluster threads``,
and shares of a job array) one unit runs at a time and its chunks run on all cores of the machine: that is the way for
few huge states.

What is made of several states, *common*, begins when all of them have been described. Shares of a job array wait for
the others: run them once more when all have ended. A state that is added changes the components of all, which then
are replaced with ``overwrite``.

**On disk.** The results are where single commands would put them::

    STATE/                              the trajectory (simulate)
    STATE/inherent/                     inherent structures (simulate)
    STATE/isoconfigurational/           isoconfigurational ensemble (simulate)
    STATE/descriptors/NAME              describe; below STATE/inherent where structures = "inherent"
    STATE/reductions/NAME               reduce: projection, direction, explained_variance_ratio; likewise
    STATE/reductions/NAME_classes       classify: assignment, share, class_mean
    STATE/reductions/NAME_common        common: the same of all states of the model; NAME_moments is for it
    STATE/reductions/structure          correlate: g, g_total, S, S_total, energy and inherent_energy (frame)
    STATE/reductions/relaxation         correlate: k, fs, msd, ... (lag), tau, diffusion, their _total and _error
    STATE/reductions/chi4               dynamics: each quantity by its name
    STATE/reductions/propensity         correlate: pearson (species, column, lag), |Pearson R| with the propensity

``glassdask.open_reduction(STATE, "relaxation")`` opens one. STATE is ``STORE/LABEL`` for simulated states. What the
sweep keeps about itself is hidden in ``STORE/.sweep``:

- ``sweep.json``: the TOML text and folder of the sweep, and every `State` with its units. Folder and paths are relative
  to STORE, so that a sweep and its trajectories can be moved together
- ``units/LABEL/STAGE.json``: the newest `glassdask.sweep.records.Record` of a unit: status (running, interrupted,
  complete, failed), key, host, pid, started, ended, input (content hash of the trajectory) and error (class, message,
  traceback)
- ``records.json``: those of complete states, once there are a hundred; a file in ``units`` is newer
- ``locks/``: who runs it (`glassdask.sweep.lock`)

The key of a unit is a hash of its settings, of the code that computes it and of the keys of the stages before it. A
unit whose record is complete and has this key is not run again; one with another key is done only with ``overwrite``.

`status` gives all of this as a table with one row for each state, and ``read_sweep(STORE)["kob_andersen/T=0.4500"]`` an
`xarray.DataTree` of what is stored of a state, lazily.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
