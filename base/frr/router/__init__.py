"""FRR of the gateway, in network namespace `strongswan`: BGP and BFD with remote sites and with the node's FRR."""
