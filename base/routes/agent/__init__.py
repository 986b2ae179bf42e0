"""The route agent: what BGP says about remote sites, written into the node's kernel.

One process on every node. It listens to the node's FRR through BMP (RFC 7854) and programs the kernel through
netlink. Between these two edges everything is pure: `rib` keeps what peers announce, `plan` says what the kernel
should hold, `reconcile` says what to change. Only the standard library is used.
"""
