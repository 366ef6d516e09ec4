// Package bench holds what xp2p-bench measures with: scenarios as data, the
// runs that carry them out, and reports with every value beside its bound.
package bench
