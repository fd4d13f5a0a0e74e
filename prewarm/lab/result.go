package lab

import (
	"errors"

	"github.com/tppfaas/tppfaas/internal/resultfile"
)

// Result is what a policy has reached in a run.
type Result struct {
	App    string `json:"app"`
	Load   string `json:"load"`
	Policy string `json:"policy"`
	Seed   uint64 `json:"seed"`
	Measures
}

// StoredResult is a line of a results file.
type StoredResult struct {
	// Settings has what the run depends on beside the fields of the Result, see Settings.
	Settings string `json:"settings"`
	Result
	// Functions are the measures by function.
	Functions []FunctionMeasures `json:"functions,omitempty"`
}

// id tells results apart.
type id struct {
	settings, app, load, policy string
	seed                        uint64
}

func (r *StoredResult) id() id { return id{r.Settings, r.App, r.Load, r.Policy, r.Seed} }

// resultLines is what the lines of a results file are.
var resultLines = resultfile.Format[id, StoredResult]{
	Begin: `{"settings":"`,
	Key:   (*StoredResult).id,
	Check: func(r *StoredResult) error {
		if r.App == "" || r.Load == "" || r.Policy == "" || r.Requests == 0 {
			return errors.New("no application, load, policy or requests")
		}
		return nil
	},
}

// Journal is a results file that grows.
type Journal struct {
	of *resultfile.File[id, StoredResult]
}

// OpenJournal opens a results file, a new one if there is none, with the results that it has. It calls warn for each line that is no result.
func OpenJournal(path string, warn func(string)) (*Journal, error) {
	of, err := resultLines.Open(path, warn)
	if err != nil {
		return nil, err
	}
	return &Journal{of}, nil
}

// Has returns how many results the file had or has got.
func (j *Journal) Has() int { return len(j.of.Results()) }

// add appends a result, and returns when it is on the disk. A nil journal keeps nothing.
func (j *Journal) add(r *StoredResult) error {
	if j == nil {
		return nil
	}
	return j.of.Add(r)
}

// find returns the result of a run, nil if the file does not have it.
func (j *Journal) find(i id) *StoredResult {
	if j == nil {
		return nil
	}
	return j.of.Find(i)
}

// Close closes the file.
func (j *Journal) Close() error { return j.of.Close() }
