"""Arrays for figures, computed with what runs left: their weights. May import torch."""
