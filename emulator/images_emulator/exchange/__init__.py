"""One call from its arrival to its end, as a typed value. Files of exchanges, and the command
`exchange`, are about recordings: `recordings/`."""
