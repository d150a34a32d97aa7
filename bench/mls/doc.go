// Package mls measures package mls: what each operation costs at 10 to 10,000
// members, in a full tree and in a flat one, and how far that is from the floor:
// the sum of the public-key operations, hashes and key derivations nobody can
// leave out, timed in the same run.
//
//	go test ./bench/mls -bench . -benchtime 1x
//	go test ./bench/mls -run TestReport -report ../../docs/benchmarks.md
package mls
