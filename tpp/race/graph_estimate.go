package race

import (
	"errors"

	"github.com/tppfaas/tppfaas/tpp"
)

// GraphReport says how sure an estimated graph is.
type GraphReport struct {
	// Edges are the parents that were found, by the mark of the child.
	Edges []EstimatedEdge
}

// EstimatedEdge is a parent that was estimated for the events of a mark.
type EstimatedEdge struct {
	// Parent and Child are marks; Parent is −1 for the mark of a root.
	Parent, Child int
	// Ambiguous are the marks, without Parent, that could be the parent as well.
	Ambiguous []int
}

// EstimateGraph estimates the graph of a dataset from its sequences alone, whatever their Parents say.
func EstimateGraph(d *tpp.Dataset) (*Graph, GraphReport, error) {
	return nil, GraphReport{}, errors.New("graph: cannot be estimated")
}
