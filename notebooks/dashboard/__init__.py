"""The pages of a sweep; `sweep_dashboard` is the module to serve and to import from."""
