"""All methods with settings by which a few steps pass through all of their code."""

from dataclasses import replace

from dfgctl.methods.balanced import Balanced
from dfgctl.methods.cbloss import CbLoss
from dfgctl.methods.crt import Crt
from dfgctl.methods.delta import Delta
from dfgctl.methods.dfg import Dfg
from dfgctl.methods.difa import Difa
from dfgctl.methods.finetune import Finetune
from dfgctl.methods.ldam import Ldam
from dfgctl.methods.logitadjust import LogitAdjust
from dfgctl.methods.original import Original
from dfgctl.methods.smote import Smote
from dfgctl.networks.backbones import backbone

METHODS = {
    "original": lambda c, s: Original(c, s("original")),
    "finetune": lambda c, s: Finetune(c, s("finetune")),
    "delta": lambda c, s: Delta(c, s("delta"), s("reg")),
    "difa": lambda c, s: Difa(
        replace(c, backbone=backbone("lenet5", bounded=True)),
        s("difa", steps=5, share_0=0.4, share_1=0.2, n_D=2, units=16, batch_size=8),
    ),
    "dfg": lambda c, s: Dfg(c, s("dfg", n_D=2, n_C1=1, n_C2=2, n_W=3, batch_size=8), s("reg")),
}
"""The paper's methods."""

STAGES = {"steps": 5, "share_1": 0.4, "batch_size": 8}
RIVALS = {
    "balanced": lambda c, s: Balanced(c, s("balanced")),
    "cbloss": lambda c, s: CbLoss(c, s("cbloss")),
    "cbloss-focal": lambda c, s: CbLoss(c, s("cbloss", loss="focal", init="source")),
    "logitadjust": lambda c, s: LogitAdjust(c, s("logitadjust")),
    "ldam": lambda c, s: Ldam(
        replace(c, backbone=backbone("lenet5", cosine=True)),
        s("ldam", init="source", **STAGES),
    ),
    "crt": lambda c, s: Crt(c, s("crt", **STAGES)),
    "smote": lambda c, s: Smote(c, s("smote", init="source", neighbours=3, **STAGES)),
}
"""The simple rivals; stages change after the second of five steps."""
