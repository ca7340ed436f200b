"""Writers of trajectory files, one module a format: blocks of rows in, a file out. `glassdask.io.export` uses them."""
