"""One call from its arrival to its end, as a typed value. The files that the command `exchange`
handles are recordings: see `recordings/`."""
