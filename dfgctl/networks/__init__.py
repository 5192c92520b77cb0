"""The networks: backbones and where each is split, the feature generator and discriminator."""
