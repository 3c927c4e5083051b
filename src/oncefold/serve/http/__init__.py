"""HTTP as plain values: requests, responses, problem documents, the routing table. Knows no server, no framework."""
