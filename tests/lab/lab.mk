##@ The twin

CLUSTER ?= iceland-gcp
PROOFS  ?= quick

LAB := $(BIN)/python -m tests.lab

.PHONY: lab
lab: setup image-root lab-root ## Bring CLUSTER's tunnels up in the twin, and run PROOFS=quick, all or none of the proofs (root)
	@$(LAB) run $(CLUSTER) --proofs $(PROOFS) $(ARGS)

.PHONY: lab-bench
lab-bench: setup image-root lab-root ## Measure outages and throughput in the twin, beside a baseline's (root)
	@$(LAB) bench $(CLUSTER) $(ARGS)

.PHONY: lab-shell
lab-shell: setup image-root lab-root ## Bring CLUSTER's twin up, and open a shell beside it (root)
	@$(LAB) shell $(CLUSTER) $(ARGS)

.PHONY: lab-root
lab-root: setup image-root ## Build the tree of the machine that the twin lives on into .cache/lab-root (root)
	@$(LAB) tree
