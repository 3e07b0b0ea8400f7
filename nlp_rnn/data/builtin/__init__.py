"""The bundled corpora. They need no download, so every task runs offline."""
