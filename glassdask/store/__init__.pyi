"""The public names, and where they are: what `__init__.py` imports on first use."""

from .arrays import chunk_exists as chunk_exists
from .arrays import create_array as create_array
from .arrays import finish as finish
from .arrays import write_region as write_region
from .checks import info as info
from .checks import verify as verify
from .groups import content_hash as content_hash
from .groups import create_group as create_group
from .groups import remove_group as remove_group
from .groups import set_attributes as set_attributes
from .identity import identity as identity
from .layout import chunks_of as chunks_of
from .layout import frame_blocks as frame_blocks
from .layout import trajectory_layout as trajectory_layout
from .reading import open_descriptors as open_descriptors
from .reading import open_reduction as open_reduction
from .reading import open_trajectory as open_trajectory
from .stored import in_frames as in_frames
from .stored import picked as picked
from .stored import stored_source as stored_source
from .writing import create_trajectory as create_trajectory
from .writing import save_trajectory as save_trajectory
from .writing import write_dataset as write_dataset
from .writing import write_datasets as write_datasets
