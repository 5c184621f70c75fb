# Training steps of a BERT in PyTorch: python3 -c THIS hidden,layers,heads,sequence batches modes
# Prints a JSON line for each batch size and mode; exits 3 if torch or transformers is missing.
import json
import sys
import time

try:
    import torch
    from transformers import BertConfig, BertForSequenceClassification
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

hidden, layers, heads, sequence = map(int, sys.argv[1].split(","))
config = BertConfig(
    hidden_size=hidden,
    num_hidden_layers=layers,
    num_attention_heads=heads,
    intermediate_size=4 * hidden,
    num_labels=5,
)


def speed(batch, precision, compiled):
    torch.manual_seed(0)
    torch._dynamo.reset()
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    model = BertForSequenceClassification(config).cuda().train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
    run = torch.compile(model) if compiled else model
    ids = torch.randint(1000, 30000, (batch, sequence), device="cuda")
    mask = torch.ones_like(ids)
    labels = torch.randint(0, 5, (batch,), device="cuda")

    def step():
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            loss = run(input_ids=ids, attention_mask=mask, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(10):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(30):
        step()
    torch.cuda.synchronize()
    return 30 * batch / (time.perf_counter() - start)


for mode in sys.argv[3].split(","):
    precision, how = mode.split("-")
    for batch in map(int, sys.argv[2].split(",")):
        row = {"batch": batch, "mode": mode, "torch": torch.__version__}
        row["samples_per_second"] = speed(batch, precision, how == "compile")
        print(json.dumps(row), flush=True)
