"""The parts that models are built from: recurrent layers, dropout, losses and int8 weights."""
