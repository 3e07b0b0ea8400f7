"""A model as one C99 file without dependencies; the parts of it that do not depend on the model are `*.c`."""
