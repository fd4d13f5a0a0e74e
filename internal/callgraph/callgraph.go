// Package callgraph turns the graph of an application, as in graph.yaml, into the one of a race over the marks of a dataset.
//
//	g, err := callgraph.Read("apps/tree_small", data.MarkNames)
package callgraph

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tppfaas/tppfaas/apps"
	"github.com/tppfaas/tppfaas/tpp/race"
)

// maxGraphFile is the largest graph.yaml that is read, in bytes.
const maxGraphFile = 16 << 20

// Read returns the graph of the application in a graph.yaml, in the folder that has one, or of an embedded application's name, for
// the marks of a dataset. Marks are called like functions, with the same text in front of all of them, such as APPLICATION-dev-.
// Functions that are no marks are left out, since the dataset may not have seen them; marks that are no functions are an error.
func Read(path string, markNames []string) (*race.Graph, error) {
	app, err := readApplication(path)
	if err != nil {
		return nil, err
	}
	prefix, err := markPrefix(app, markNames)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	g, err := race.GraphFromNames(markNames, successors(app, prefix))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return g, nil
}

// Embedded returns the graph of the embedded application whose deployed functions the marks are called like, or nil if there is none.
func Embedded(markNames []string) (*race.Graph, error) {
	app, err := Application(markNames)
	if app == nil || err != nil {
		return nil, err
	}
	g, err := race.GraphFromNames(markNames, successors(app, app.DeployedName("")))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", app.Name, err)
	}
	return g, nil
}

// Application returns the embedded application whose deployed functions the marks are called like, or nil if there is none.
func Application(markNames []string) (*apps.Application, error) {
	if len(markNames) == 0 {
		return nil, nil
	}
	for _, name := range apps.Embedded() {
		app, err := apps.Load(name)
		if err != nil {
			return nil, err
		}
		prefix := app.DeployedName("")
		if !slices.ContainsFunc(markNames, func(mark string) bool {
			f, ok := strings.CutPrefix(mark, prefix)
			return !ok || !slices.ContainsFunc(app.Functions, func(of apps.Function) bool { return of.Name == f })
		}) {
			return app, nil
		}
	}
	return nil, nil
}

// readApplication reads an application, as apps.Load does, or from a file of any name.
func readApplication(path string) (*apps.Application, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return apps.Load(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxGraphFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(text) > maxGraphFile {
		return nil, fmt.Errorf("%s: larger than %d MiB, which no graph is", path, maxGraphFile>>20)
	}
	app, err := apps.Read(graphText(text), "graph")
	if invalid := (*apps.Error)(nil); errors.As(err, &invalid) {
		invalid.File = path
		return nil, invalid
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if absolute, err := filepath.Abs(path); err == nil {
		app.Name = filepath.Base(filepath.Dir(absolute)) // as in a folder that is read as a whole
	}
	return app, nil
}

// graphText is a file system in which every file has this text.
type graphText string

func (t graphText) ReadFile(string) ([]byte, error) { return []byte(t), nil }

func (t graphText) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// markPrefix returns the text that stands in front of a function's name in each mark: the one of deployed functions if that fits, else
// none if that fits, else the only one that does.
func markPrefix(app *apps.Application, markNames []string) (string, error) {
	if len(markNames) == 0 {
		return "", errors.New("the events of the dataset have no marks")
	}
	functions := map[string]bool{}
	for _, f := range app.Functions {
		functions[f.Name] = true
	}
	// misfit returns the first mark that is no function with the prefix.
	misfit := func(prefix string) (mark string, fits int) {
		for _, name := range markNames {
			if f, ok := strings.CutPrefix(name, prefix); ok && functions[f] {
				fits++
			} else if mark == "" {
				mark = name
			}
		}
		return mark, fits
	}
	candidates := []string{app.DeployedName(""), ""}
	for _, f := range app.Functions {
		if prefix, ok := strings.CutSuffix(markNames[0], f.Name); ok && !slices.Contains(candidates, prefix) {
			candidates = append(candidates, prefix)
		}
	}
	var fitting []string
	best, mark := -1, ""
	for i, prefix := range candidates {
		m, fits := misfit(prefix)
		if fits == len(markNames) {
			if i < 2 {
				return prefix, nil
			}
			fitting = append(fitting, prefix)
		}
		if fits > best {
			best, mark = fits, m
		}
	}
	switch len(fitting) {
	case 1:
		return fitting[0], nil
	case 0:
		return "", fmt.Errorf("the dataset's mark %q is none of the functions %s of the graph, nor is it one of them with the same text in front as the other marks",
			mark, someFunctions(app))
	}
	return "", fmt.Errorf("the dataset's mark %q may be more than one function of the graph: each mark fits with %q in front of the function's name, and with %q",
		markNames[0], fitting[0], fitting[1])
}

// someFunctions returns the names of the first functions of an application.
func someFunctions(app *apps.Application) string {
	const most = 5
	var names []string
	for _, f := range app.Functions[:min(len(app.Functions), most)] {
		names = append(names, f.Name)
	}
	text := strings.Join(names, ", ")
	if len(app.Functions) > most {
		text += ", …"
	}
	return text
}

// successors returns what each function of an application makes due, with the prefix in front of all names.
func successors(app *apps.Application, prefix string) map[string]race.Successors {
	repeated := map[string]bool{}
	for _, f := range app.Functions {
		for _, v := range f.Invokes {
			if v.Loop.Max > 1 && v.Loop.Again > 0 {
				repeated[v.Function] = true
			}
		}
	}
	next := map[string]race.Successors{}
	for _, f := range app.Functions {
		next[prefix+f.Name] = successorsOf(f, repeated[f.Name], prefix)
	}
	return next
}

// successorsOf returns what one function makes due: what it invokes or, if it is repeated, its next run in place of all that.
func successorsOf(f apps.Function, repeated bool, prefix string) (s race.Successors) {
	named := map[string]int{} // how many entries of Invokes have the function
	for _, v := range f.Invokes {
		for _, name := range v.Functions() {
			named[name]++
		}
	}
	for _, v := range f.Invokes {
		first := len(s.Slots)
		for alternatives := range slices.Chunk(v.Functions(), race.MaxAlternatives) {
			var slot []string
			for _, name := range alternatives {
				slot = append(slot, prefix+name)
				// Further slots of the same choice hold what excludes that of the slots before, unless it is invoked by another entry too.
				for k := first; k < len(s.Slots) && named[name] == 1; k++ {
					for _, other := range s.Slots[k] {
						if named[strings.TrimPrefix(other, prefix)] == 1 {
							s.Exclusive = append(s.Exclusive, [2]string{other, prefix + name})
						}
					}
				}
			}
			s.Slots = append(s.Slots, slot)
		}
	}
	if !repeated {
		return s
	}
	self := prefix + f.Name
	for _, slot := range s.Slots {
		for _, other := range slot {
			s.Exclusive = append(s.Exclusive, [2]string{self, other})
		}
	}
	if len(s.Slots) > 0 && len(s.Slots[0]) < race.MaxAlternatives {
		s.Slots[0] = append([]string{self}, s.Slots[0]...)
	} else {
		s.Slots = append(s.Slots, []string{self})
	}
	return s
}
