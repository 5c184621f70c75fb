# The labels and logits of AutoModelForSequenceClassification: python3 -c THIS FOLDER, with texts on
# stdin, one a line. Prints a string in their place if transformers has no such class.
import json
import sys

import torch
import transformers
from tokenizers import Tokenizer

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)
folder = sys.argv[1]
try:
    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if hasattr(config, "auto_map") or getattr(config, "position_embedding_type", "") == "alibi":
        raise ValueError("the class is in code of the model's own")
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager"
    )
except (KeyError, ValueError) as error:
    print(json.dumps(str(error).splitlines()[0].split(". ")[0]))
    sys.exit()
problems = {name: str(found) for name, found in report.items() if found}
if problems:
    sys.exit(f"{folder}: {problems}")
# Tokens as rtune gives them: the tokenizers of fixtures cut and pad on purpose.
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
tokenizer.no_truncation()
tokenizer.no_padding()
logits = []
with torch.no_grad():
    for text in sys.stdin.read().splitlines():
        encoding = tokenizer.encode(text)
        ids = torch.tensor([encoding.ids])
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if (getattr(config, "type_vocab_size", 0) or 0) > 1:
            inputs["token_type_ids"] = torch.tensor([encoding.type_ids])
        logits.append(model.eval()(**inputs).logits[0].tolist())
labels = [config.id2label[index] for index in range(config.num_labels)]
print(json.dumps({"labels": labels, "logits": logits}))
