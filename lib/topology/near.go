package topology

// apart reports whether two zones are known to be different ones.
func apart(a, b uint32) bool { return a != b && a != 0 && b != 0 }

// price is what a byte costs between two zones: nothing within one or where
// nobody knows, else what cost says, or 1.
func price(cost func(from, to uint32) uint32, from, to uint32) uint32 {
	switch {
	case !apart(from, to):
		return 0
	case cost != nil:
		return cost(from, to)
	}
	return 1
}
