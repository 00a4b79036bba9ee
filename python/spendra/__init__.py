"""The treaty: the words, arithmetic, wire forms and schema that Spendra's processes agree on.

Nothing here opens a socket, reads the environment or looks at a clock; the `spendra` command
(`spendra.command`) is the one exception, and nothing else imports it.
"""

__version__ = "0.1.0"
