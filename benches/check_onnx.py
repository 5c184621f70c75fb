"""Runs the reference checker on ONNX files: python benches/check_onnx.py MODEL.onnx ... (pip install onnx)."""
import sys

import onnx

for path in sys.argv[1:]:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    print(f"{path}: accepted, {len(model.graph.node)} nodes, {len(model.graph.value_info)} value infos, opset {model.opset_import[0].version}")
