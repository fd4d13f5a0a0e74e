package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// leaf is a value of a file as a program that reads it sees it.
type leaf struct {
	tag, value string
	line       int
}

// mostLeaves bounds the values of a file with its aliases written out.
const mostLeaves = 1 << 17

// separator stands between the steps of a path, where no key has it.
const separator = "\x00"

// flatten returns all values by their paths, with aliases and merge keys written out.
func (s *source) flatten() (map[string]leaf, error) {
	all := map[string]leaf{}
	for i, doc := range s.docs {
		if len(doc.Content) > 0 {
			if err := flattenTo(all, strconv.Itoa(i), doc.Content[0], maxDepth); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func flattenTo(all map[string]leaf, at string, n *yaml.Node, depth int) error {
	line := n.Line
	n = target(n)
	switch {
	case depth == 0:
		return errors.New("it is nested too deeply")
	case len(all) > mostLeaves:
		return errors.New("it has too many values")
	case n.Kind == yaml.ScalarNode || len(n.Content) == 0:
		all[at] = leaf{n.ShortTag(), n.Value, line}
		return nil
	case n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			if err := flattenTo(all, at+separator+strconv.Itoa(i), c, depth-1); err != nil {
				return err
			}
		}
		return nil
	}
	// What is merged comes first, the last that wins last; values of its own hide it.
	values := map[string]*yaml.Node{}
	if err := collect(values, n, depth); err != nil {
		return err
	}
	for key, v := range values {
		if err := flattenTo(all, at+separator+key, v, depth-1); err != nil {
			return err
		}
	}
	return nil
}

func collect(values map[string]*yaml.Node, n *yaml.Node, depth int) error {
	if depth == 0 {
		return errors.New("merge keys are nested too deeply")
	}
	for _, m := range slices.Backward(merged(n)) {
		if m = target(m); m == nil || m.Kind != yaml.MappingNode {
			return fmt.Errorf("line %d: a merge key of something that is no mapping", n.Line)
		}
		if err := collect(values, m, depth-1); err != nil {
			return err
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; !isMerge(k) {
			values[k.Value] = n.Content[i+1]
		}
	}
	return nil
}

// differsOnly checks that a file differs from what it was in the changes of an edit alone.
func (s *source) differsOnly(before map[string]leaf, h *holder, e *Edit) error {
	after, err := s.flatten()
	if err != nil {
		return err
	}
	top := strings.Join(slices.Concat(h.steps, h.below), separator)
	wanted := map[string]string{}
	for _, c := range e.Changes {
		for _, p := range places {
			if h.display(p) == c.Path {
				wanted[strings.Join([]string{top, p.group, p.resource}, separator)] = c.New
			}
		}
	}
	for at, value := range wanted {
		if now := after[at]; now.value != value || now.tag != "!!str" && now.tag != "!!int" && now.tag != "!!float" {
			return fmt.Errorf("%s would be %q in place of %q", show(at), now.value, value)
		}
	}
	isAbove := func(at string) bool { // an empty value that has something below it now
		for w := range wanted {
			if strings.HasPrefix(w, at+separator) {
				return true
			}
		}
		return false
	}
	for at, was := range before {
		now, there := after[at]
		_, mayChange := wanted[at]
		switch {
		case mayChange || there && now.tag == was.tag && now.value == was.value:
		case !there && isAbove(at) && (was.tag == "!!null" || was.tag == "!!map"):
		default:
			return fmt.Errorf("%s in line %d would change too: it is shared; write it out there first", show(at), was.line)
		}
	}
	for at, now := range after {
		_, was := before[at]
		if _, mayAppear := wanted[at]; !was && !mayAppear {
			return fmt.Errorf("%s in line %d would be new: it is shared; write it out there first", show(at), now.line)
		}
	}
	return nil
}

// show writes a path for people, without the number of the document.
func show(at string) string {
	_, at, _ = strings.Cut(at, separator)
	return strings.ReplaceAll(at, separator, ".")
}
