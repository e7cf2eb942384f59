package model

import (
	"errors"
	"fmt"
	"math"
)

const (
	// maxFeatures is how many features a bar may have: a policy's own limit.
	// It bounds the buffer that a forest reads its inputs from.
	maxFeatures = 1000
	// Each feature is read in at most two signs and, of the three treatments
	// of missing values, two with both signs and one with one: see input.
	maxInputs   = 5 * maxFeatures
	smallInputs = 128 // most models have fewer, and clearing the large buffer costs

	// maxTreeNodes is what a node's 16 bits for its children reach.
	maxTreeNodes = 1 << 16
)

// float is the precision that a library computes in.
type float interface{ float32 | float64 }

// forest is a sum of trees, laid out for walking: all nodes in one array, the
// trees one after the other, each breadth first, siblings side by side.
//
// A node asks one question: is inputs[input] < limit? Yes leads to the second
// child, no to the first. A missing value is NaN, for which the answer is no.
// So that this is the right answer, the loaders swap the children and negate
// both numbers where a missing value goes the other way: v ≥ t is -v ≤ -t.
// That leaves no branch in the walk for a processor to guess wrong.
type forest[T float] struct {
	inputs []input
	index  map[input]uint16 // where an input stands in inputs
	nodes  []node[T]
	values []T      // beside nodes: a leaf's value
	roots  []uint32 // in nodes, in the order of the file
	depths []int32  // of each tree: its longest way from root to leaf
}

// node leads from index i to i+first, or to i+first+1 if the answer is yes. A
// leaf leads to itself: its first is 0 and its limit NaN.
type node[T float] struct {
	limit T
	first uint16
	input uint16
}

// input is how one feature is read.
type input struct {
	feature int // index in the features of a bar
	missing missing
	negated bool
}

// missing says which values of a feature are missing ones; NaN stands for
// those in the inputs of a forest.
type missing uint8

const (
	missingNaN  missing = iota // NaN
	missingNone                // none is: NaN counts as 0
	missingZero                // NaN and 0
)

// tree is a tree as a file describes it: node 0 is its root.
type tree[T float] []treeNode[T]

// treeNode is a leaf with a value, or a question with two children.
type treeNode[T float] struct {
	leaf    bool
	value   T
	input   input
	limit   T
	no, yes int // in the tree
}

// add appends t. Errors are of trees that are not trees: a child that does
// not exist or has two parents. Nodes without a way from the root are left
// out, as XGBoost leaves nodes that it has pruned in its files.
func (f *forest[T]) add(t tree[T]) error {
	if len(t) == 0 {
		return errors.New("has no node (want at least one leaf)")
	}
	root := len(f.nodes)
	seen := make([]bool, len(t))
	seen[0] = true
	order := []int{0}
	level, depth := 1, int32(0) // where the nodes of the next level begin in order
	for at := 0; at < len(order); at++ {
		if at == level {
			level = len(order)
			depth++
		}
		n := t[order[at]]
		if n.leaf {
			f.nodes = append(f.nodes, node[T]{limit: nan[T]()})
			f.values = append(f.values, n.value)
			continue
		}
		for _, child := range []int{n.no, n.yes} {
			switch {
			case child < 0 || child >= len(t):
				return fmt.Errorf("node %d: child %d is no node (want 0 to %d)", order[at], child, len(t)-1)
			case seen[child]:
				return fmt.Errorf("node %d: child %d has another parent or is the root (want a tree)", order[at], child)
			}
			seen[child] = true
		}
		first := len(order) - at
		if first >= maxTreeNodes {
			return fmt.Errorf("is wider than %d nodes (want a smaller tree)", maxTreeNodes-1)
		}
		f.nodes = append(f.nodes, node[T]{limit: n.limit, first: uint16(first), input: f.input(n.input)})
		f.values = append(f.values, 0)
		order = append(order, n.no, n.yes)
	}
	if len(f.nodes) > math.MaxInt32 {
		return fmt.Errorf("brings the model to %d nodes (want at most %d)", len(f.nodes), math.MaxInt32)
	}
	f.roots = append(f.roots, uint32(root))
	f.depths = append(f.depths, depth)
	return nil
}

// input is the index of in, added where it is new.
func (f *forest[T]) input(in input) uint16 {
	i, ok := f.index[in]
	if !ok {
		if f.index == nil {
			f.index = map[input]uint16{}
		}
		i = uint16(len(f.inputs)) // at most maxInputs
		f.index[in] = i
		f.inputs = append(f.inputs, in)
	}
	return i
}

func nan[T float]() T { return T(math.NaN()) }

// walk adds the value of each tree to sum, in the order of the trees: the
// order is part of the result. Four trees are walked side by side, because
// one alone waits for memory at each step. A walk that has come to its leaf
// steps on the spot until the deepest of the four has come to its own.
func (f *forest[T]) walk(in []T, sum T) T {
	nodes, values, roots, depths := f.nodes, f.values, f.roots, f.depths
	for len(roots) >= 4 && len(depths) >= 4 {
		a, b, c, d := roots[0], roots[1], roots[2], roots[3]
		for steps := max(depths[0], depths[1], depths[2], depths[3]); steps > 0; steps-- {
			a += step(&nodes[a], in)
			b += step(&nodes[b], in)
			c += step(&nodes[c], in)
			d += step(&nodes[d], in)
		}
		sum += values[a]
		sum += values[b]
		sum += values[c]
		sum += values[d]
		roots, depths = roots[4:], depths[4:]
	}
	for i, a := range roots {
		for steps := depths[i]; steps > 0; steps-- {
			a += step(&nodes[a], in)
		}
		sum += values[a]
	}
	return sum
}

// step is how far the next node on the way is from n.
func step[T float](n *node[T], in []T) uint32 {
	var yes uint32
	if in[n.input] < n.limit { // compiles to a set, not to a jump
		yes = 1
	}
	return uint32(n.first) + yes
}
