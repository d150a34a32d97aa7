// Package kt measures package kt at 10^3 to 10^7 accounts: how large a lookup's
// proof is, what it costs to give and to check, to change the map and to audit a
// day, each beside its floor: the hashes, signatures and memory reads nobody can
// leave out, timed in the same run.
//
//	go test ./bench/kt -run TestReport -report ../../docs/transparency.md -timeout 0 -accounts 10000000
package kt
