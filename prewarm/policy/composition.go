package policy

// composition is what is known of the requests that begin with one function: the tree of all invocations that were seen in one, how often each
// came, and when.
type composition struct {
	nodes []*node // callers before those that they call; the first is the root
}

// node is an invocation of a composition: the k-th of its function among those that one caller sends.
type node struct {
	function, parent, depth int
	children                []int
	place                   int      // among the children of parent
	n                       int      // requests in which it came
	with                    []int    // by place: requests in which it and that sibling came
	run                     window   // how long it runs
	after                   []offset // by depth of its ancestors
}

// offset is how long after an ancestor's start or end an invocation arrives.
type offset struct{ start, end window }

// newComposition returns the composition of a root of which nothing is known.
func newComposition(function int) *composition {
	return &composition{nodes: []*node{{function: function, parent: -1}}}
}

// add adds a child to a node.
func (c *composition) add(parent, function int) int {
	p := c.nodes[parent]
	i := len(c.nodes)
	c.nodes = append(c.nodes, &node{
		function: function, parent: parent, depth: p.depth + 1, place: len(p.children), after: make([]offset, p.depth+1),
	})
	p.children = append(p.children, i)
	for _, sibling := range p.children {
		s := c.nodes[sibling]
		s.with = append(s.with, make([]int, len(p.children)-len(s.with))...)
	}
	return i
}

// probability returns the probability that a caller which is known to come sends a child, in which the invocation of a sibling tells more
// than that of the caller; sibling is 0 if none has come. With a count k of n it is (k+1)/(n+2), and 0 for what has never been sent.
func (c *composition) probability(child, sibling int) float64 {
	v := c.nodes[child]
	if v.n == 0 {
		return 0
	}
	if sibling == 0 {
		return float64(v.n+1) / float64(c.nodes[v.parent].n+2)
	}
	s := c.nodes[sibling]
	return float64(v.with[s.place]+1) / float64(s.n+2)
}
