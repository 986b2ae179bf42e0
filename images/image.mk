##@ The container image

IMAGE_SOURCES := images/packages.list images/files.list $(wildcard images/imagebuild/*.py) \
  $(wildcard images/files/etc/*/*)

.PHONY: image-root
image-root: .cache/image-root.layer ## Build the image's tree into .cache/image-root, for daemons in tests and lab (root)

# What the build writes last beside the tree: the tree's digest.
.cache/image-root.layer: $(IMAGE_SOURCES)
	@images/build --root .cache/image-root

.PHONY: image
image: ## Build the image as an OCI layout into .cache/image, and print its digest
	@images/build --oci .cache/image
