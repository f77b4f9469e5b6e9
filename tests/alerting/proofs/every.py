"""All proofs."""

from tests.alerting.proofs.core import CORE
from tests.alerting.proofs.data import DATA
from tests.alerting.proofs.kit import Proof
from tests.alerting.proofs.objectives import OBJECTIVES
from tests.alerting.proofs.watching import WATCHING

PROOFS: tuple[Proof, ...] = (*CORE, *DATA, *WATCHING, *OBJECTIVES)
