"""Networks that people know by name, each one readable file.

mlp.py committee.py   tables       lenet.py resnet.py unet.py vit.py   images
char_rnn.py gpt.py bert.py seq2seq.py   text
forecaster.py   series                                            dcgan.py wgan_gp.py autoencoder.py vae.py
model.py        what all have: config, from_config                build.py   save, load: model.json and weights
pretrained.py   weights of others, laid out by layouts.py         generate.py, samples.py   text and images"""

from .autoencoder import Autoencoder
from .bert import BERT, mask_words, masked_word_loss
from .build import build, describe, load, save
from .char_rnn import CharRNN
from .committee import Committee
from .dcgan import DCGAN
from .forecaster import Forecaster
from .generate import Candidate, Reader, Step, choose, generate, stream
from .gpt import GPT
from .lenet import LeNet
from .mlp import MLP
from .model import Model
from .resnet import ResNet, resnet18, resnet20, resnet50
from .samples import SampleGrid, fixed_noise, image_grid
from .seq2seq import Seq2Seq
from .unet import UNet
from .vae import VAE
from .vit import ViT
from .wgan_gp import WGAN_GP

__all__ = [
    "BERT", "DCGAN", "GPT", "MLP", "VAE", "WGAN_GP", "Autoencoder", "Candidate", "CharRNN", "Committee",
    "Forecaster", "LeNet", "Model", "Reader", "ResNet", "SampleGrid", "Seq2Seq", "Step", "UNet", "ViT",
    "build", "choose", "describe", "fixed_noise", "generate", "image_grid", "load", "mask_words",
    "masked_word_loss", "resnet18", "resnet20", "resnet50", "save", "stream",
]  # fmt: skip
