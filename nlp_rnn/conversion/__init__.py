"""Models of other people's code as model folders: their weights under our names, checked to give the same."""
