"""The papers that several entries of the catalog are from."""

ENAS_PAPER = "Pham et al. 2018, arXiv 1802.03268"
NAO_PAPER = "Luo et al. 2018, arXiv 1808.07233"
DARTS_PAPER = "Liu et al. 2019, arXiv 1806.09055"
# Which trained networks of all three again, with the same code.
REVIEW_PAPER = "Li & Talwalkar 2019, arXiv 1902.07638"
