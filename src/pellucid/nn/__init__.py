"""What a model is: modules with parameters, initial weights, losses.

module.py Module   init.py initial weights   linear.py   container.py Sequential, Residual, Flatten, ..
activation.py   dropout.py   conv.py   pooling.py   upsample.py   norm.py   embedding.py   recurrent.py
positions.py   attention.py   transformer.py   losses.py
neuron.py one neuron, explained   build.py layers to records and back"""

from ..tensor.attention import scaled_dot_product_attention
from . import init
from .activation import (
    ACTIVATIONS,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Step,
    SwiGLU,
    Tanh,
    activation,
    step,
)
from .attention import KVCache, MultiheadAttention
from .build import build, describe
from .container import Flatten, ModuleList, Parallel, Residual, Sequential, Unflatten
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .ctc import CTCLoss, ctc_loss
from .dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from .embedding import Embedding, TiedLinear
from .linear import Linear
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    distance,
    huber_loss,
    kl_div,
    l1_loss,
    loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .losses_gan import critic_loss, gaussian_kl, generator_loss, gradient_penalty, r1_penalty
from .losses_pairs import (
    CosineEmbeddingLoss,
    HingeEmbeddingLoss,
    HingeLoss,
    MarginRankingLoss,
    MultiMarginLoss,
    TripletMarginLoss,
    cosine_embedding_loss,
    cosine_similarity,
    hinge_embedding_loss,
    hinge_loss,
    margin_ranking_loss,
    multi_margin_loss,
    pairwise_distance,
    triplet_margin_loss,
)
from .module import Layout, Module, flatten_order
from .neuron import Neuron
from .norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    RMSNorm,
)
from .pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from .positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from .recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from .transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from .upsample import Upsample

__all__ = [
    "ACTIVATIONS", "ELU", "GELU", "GLU", "GRU", "LSTM", "RNN", "SELU", "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "BCELoss", "BCEWithLogitsLoss", "BatchNorm1d", "BatchNorm2d",
    "BatchNorm3d", "CTCLoss", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "CosineEmbeddingLoss", "CrossEntropyLoss", "Dropout", "Dropout1d", "Dropout2d",
    "Dropout3d", "Embedding", "Flatten", "GRUCell", "GlobalAvgPool", "GlobalMaxPool", "GroupNorm",
    "Hardsigmoid", "Hardswish", "Hardtanh", "HingeEmbeddingLoss", "HingeLoss", "HuberLoss", "Identity",
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "KLDivLoss", "KVCache", "L1Loss", "LSTMCell",
    "LayerNorm", "Layout", "LeakyReLU", "LearnedPositions", "Linear", "LogSigmoid", "LogSoftmax", "MSELoss",
    "MarginRankingLoss", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Mish", "Module", "ModuleList",
    "MultiMarginLoss", "MultiheadAttention", "NLLLoss", "Neuron", "PReLU", "Parallel", "RMSNorm", "RNNCell",
    "ReLU", "ReLU6", "Residual", "RotaryPositions", "Sequential", "SiLU", "Sigmoid", "SinusoidalPositions",
    "SmoothL1Loss", "Softmax", "Softplus", "Step", "SwiGLU", "Tanh", "TiedLinear", "Transformer",
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
    "TripletMarginLoss", "Unflatten", "Upsample", "activation", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "build", "cosine_embedding_loss", "cosine_similarity", "critic_loss",
    "cross_entropy", "ctc_loss", "describe", "distance", "flatten_order", "gaussian_kl", "generator_loss",
    "gradient_penalty", "hinge_embedding_loss", "hinge_loss", "huber_loss", "init", "kl_div", "l1_loss",
    "loss", "margin_ranking_loss", "mse_loss", "multi_margin_loss", "nll_loss", "pairwise_distance", "r1_penalty",
    "scaled_dot_product_attention", "smooth_l1_loss", "step", "triplet_margin_loss",
]  # fmt: skip
