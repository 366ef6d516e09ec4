package topology

// A heap keeps nodes with the first by less on top. Every node knows its place
// in it (at[slot], counted from 1; 0: not in), so that any can be taken out.
type heap struct {
	slot  int
	less  func(a, b *node) bool
	items []*node
}

// first returns the top; nil when there is none.
func (h *heap) first() *node {
	if len(h.items) == 0 {
		return nil
	}
	return h.items[0]
}

// add puts n in, or to its new place if it is in.
func (h *heap) add(n *node) {
	if n.at[h.slot] == 0 {
		h.items = append(h.items, n)
		n.at[h.slot] = len(h.items)
	}
	h.settle(n.at[h.slot] - 1)
}

// remove takes n out, if it is in.
func (h *heap) remove(n *node) {
	i := n.at[h.slot] - 1
	if i < 0 {
		return
	}
	last := len(h.items) - 1
	h.swap(i, last)
	h.items[last] = nil
	h.items = h.items[:last]
	n.at[h.slot] = 0
	if i < last {
		h.settle(i)
	}
}

func (h *heap) settle(i int) {
	for i > 0 && h.less(h.items[i], h.items[(i-1)/2]) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h.items); c++ {
			if h.less(h.items[c], h.items[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *heap) swap(i, j int) {
	h.items[i], h.items[j] = h.items[j], h.items[i]
	h.items[i].at[h.slot], h.items[j].at[h.slot] = i+1, j+1
}
