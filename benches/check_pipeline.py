"""Compares Hugging Face's text classification pipeline with rtune on folders that
`rtune export --outputs logits,probabilities` wrote: python benches/check_pipeline.py FOLDER ...
(pip install "optimum-onnx[onnxruntime]" torch; RTUNE is the program, by default target/release/rtune)."""
import json
import os
import subprocess
import sys

from optimum.onnxruntime import ORTModelForSequenceClassification
from transformers import AutoTokenizer, pipeline

TEXTS = ["a glowing, wonderful film", "dull and very bad", "it is fine", "the worst film .", "good"]
program = os.environ.get("RTUNE", "target/release/rtune")
for folder in sys.argv[1:]:
    model = ORTModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None)
    command = [program, "predict", "--model", folder, "--json", *TEXTS]
    expected = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["predictions"]
    differences = [
        abs(answer["score"] - row["probabilities"][answer["label"]])
        for answers, row in zip(classify(TEXTS), expected, strict=True)
        for answer in answers
    ]
    assert len(differences) == len(TEXTS) * model.config.num_labels, folder
    assert max(differences) < 1e-6, (folder, max(differences))
    print(f"{folder}: {len(differences)} probabilities, largest difference {max(differences):.1e}")
