"""Forward passes with NumPy, or with ONNX Runtime."""
