"""Execute a notebook (file name, and parameters and a last cell as JSON on the standard input); errors end it.

A process of its own, because the client of a kernel leaves sockets to the garbage collector.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path


def main() -> None:
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    path, wanted = Path(sys.argv[1]), json.load(sys.stdin)
    content = nbformat.read(path, as_version=4)
    for cell in content.cells:
        if "parameters" in cell.metadata.get("tags", []):
            for name, value in wanted["parameters"].items():
                cell.source, found = re.subn(rf"(?m)^{name} = .*", f"{name} = {value!r}", cell.source)
                assert found == 1, f"{name} is no parameter of {path.name}"
    strict = nbformat.v4.new_code_cell("import warnings; warnings.simplefilter('error')")
    content.cells = [strict, *content.cells, nbformat.v4.new_code_cell(wanted["afterwards"])]
    # this interpreter, whatever kernels are installed
    command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
    kernel = AsyncKernelManager()
    kernel._kernel_spec = KernelSpec(argv=command, display_name="tests", language="python")
    nbclient.NotebookClient(content, km=kernel, timeout=300, resources={"metadata": {"path": path.parent}}).execute()


if __name__ == "__main__":
    main()
