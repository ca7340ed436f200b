"""The public names, and where they are: what `__init__.py` imports on first use."""

from .eam import EmbeddedAtom as EmbeddedAtom
from .eam import copper_zirconium as copper_zirconium
from .models import ABM_2D as ABM_2D
from .models import KAM_2D as KAM_2D
from .models import KOB_ANDERSEN as KOB_ANDERSEN
from .models import KOB_ANDERSEN_SMOOTH as KOB_ANDERSEN_SMOOTH
from .models import MODELS as MODELS
from .models import NICKEL_YTTRIUM as NICKEL_YTTRIUM
from .models import POLYMER as POLYMER
from .models import SILICA as SILICA
from .models import WAHNSTROM as WAHNSTROM
from .models import WAHNSTROM_SMOOTH as WAHNSTROM_SMOOTH
from .models import PairModel as PairModel
from .potentials import PairPotential as PairPotential
from .protocols import Dynamics as Dynamics
from .protocols import Isoconfigurational as Isoconfigurational
from .protocols import Minimum as Minimum
from .protocols import RandomStart as RandomStart
from .protocols import Shear as Shear
from .protocols import Simulation as Simulation
from .protocols import StoredStart as StoredStart
from .protocols import logarithmic_times as logarithmic_times
from .protocols import quench as quench
from .tasks import inherent_structures as inherent_structures
from .tasks import isoconfigurational as isoconfigurational
from .tasks import simulate as simulate
