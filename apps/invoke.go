package apps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Invoke is one entry of the list invokes of a function: a function that is invoked each time, a choice between functions, or a function
// that is repeated. In JSON it has the form of graph.yaml.
type Invoke struct {
	// Function is the function that is invoked; "" for a choice.
	Function string
	// Choice has the functions of which exactly one is invoked; nil for none. What is drawn depends on their order, which is that of their
	// names where they are read.
	Choice []Option
	// Loop repeats Function; the zero value runs it once.
	Loop Loop
}

// Option is one possibility of a choice.
type Option struct {
	// Function is the function that is invoked; "" for none.
	Function string
	// Probability is above 0; those of a choice add up to 1.
	Probability float64
}

// Loop says how often a function runs: after each of its runs again with the probability Again, and Max times at most. Each run invokes
// the next one, and the last run invokes the function's own successors. The zero value is no loop.
type Loop struct {
	Again float64
	Max   int
}

// Always returns the entries for functions that are invoked each time.
func Always(functions ...string) []Invoke {
	invokes := make([]Invoke, len(functions))
	for i, f := range functions {
		invokes[i].Function = f
	}
	return invokes
}

// none stands in a choice for no function.
const none = "none"

// Functions returns the functions that the entry may invoke.
func (v Invoke) Functions() []string {
	if v.Choice == nil {
		return []string{v.Function}
	}
	var functions []string
	for _, o := range v.Choice {
		if o.Function != "" {
			functions = append(functions, o.Function)
		}
	}
	return functions
}

// isLoop reports whether the function is repeated.
func (v Invoke) isLoop() bool { return v.Loop != Loop{} }

// branches reports whether the entry is drawn for each request.
func (v Invoke) branches() bool { return v.Choice != nil || v.isLoop() }

// String returns the entry as it stands in graph.yaml.
func (v Invoke) String() string {
	switch {
	case v.Choice != nil:
		var options []string
		for _, o := range v.Choice {
			options = append(options, fmt.Sprintf("%s: %v", optionName(o), o.Probability))
		}
		return "{choice: {" + strings.Join(options, ", ") + "}}"
	case v.isLoop():
		return fmt.Sprintf("{loop: {%s: %v, max: %d}}", v.Function, v.Loop.Again, v.Loop.Max)
	}
	return v.Function
}

func optionName(o Option) string {
	if o.Function == "" {
		return none
	}
	return o.Function
}

// MarshalJSON writes the entry in the form of graph.yaml.
func (v Invoke) MarshalJSON() ([]byte, error) {
	switch {
	case v.Choice != nil:
		options := map[string]float64{}
		for _, o := range v.Choice {
			options[optionName(o)] = o.Probability
		}
		return json.Marshal(map[string]any{"choice": options})
	case v.isLoop():
		return json.Marshal(map[string]any{"loop": map[string]any{v.Function: v.Loop.Again, "max": v.Loop.Max}})
	}
	return json.Marshal(v.Function)
}

// UnmarshalJSON reads the form of graph.yaml.
func (v *Invoke) UnmarshalJSON(text []byte) error {
	*v = Invoke{}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte(`"`)) {
		return json.Unmarshal(text, &v.Function)
	}
	var branch struct {
		Choice, Loop map[string]float64
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&branch); err != nil {
		return fmt.Errorf("invokes: neither a function nor a choice or a loop: %w", err)
	}
	switch {
	case branch.Choice != nil && branch.Loop == nil:
		v.Choice = []Option{}
		for name, p := range branch.Choice {
			v.Choice = append(v.Choice, newOption(name, p))
		}
		sortOptions(v.Choice)
		return nil
	case branch.Loop != nil && branch.Choice == nil:
		most := branch.Loop["max"]
		if most != math.Trunc(most) || math.Abs(most) > math.MaxInt32 {
			return fmt.Errorf("invokes: a loop with max %v", most)
		}
		delete(branch.Loop, "max")
		if len(branch.Loop) != 1 {
			return fmt.Errorf("invokes: a loop of %d functions", len(branch.Loop))
		}
		for name, again := range branch.Loop {
			v.Function, v.Loop = name, Loop{again, int(most)}
		}
		return nil
	}
	return fmt.Errorf("invokes: %s is neither a choice nor a loop", text)
}

func newOption(name string, probability float64) Option {
	if name == none {
		name = ""
	}
	return Option{name, probability}
}

// sortOptions puts options in the order of their names, because objects in JSON have none.
func sortOptions(options []Option) {
	slices.SortFunc(options, func(a, b Option) int { return strings.Compare(optionName(a), optionName(b)) })
}

// check returns what is wrong with the entry by itself, "" if nothing is.
func (v Invoke) check() string {
	switch {
	case v.Choice != nil && (v.Function != "" || v.isLoop()):
		return "an entry is a choice, or a function, not both"
	case v.Choice != nil:
		return v.checkChoice()
	case v.isLoop() && v.Function == fieldMax:
		return "a function called max cannot be repeated: max is the number of runs"
	case v.isLoop() && !(v.Loop.Again >= 0 && v.Loop.Again <= 1):
		return fmt.Sprintf("the probability of a further run of %s must be between 0 and 1, not %v", v.Function, v.Loop.Again)
	case v.isLoop() && (v.Loop.Max < 1 || v.Loop.Max > MaxInvocations):
		return fmt.Sprintf("the loop of %s must have a max between 1 and %d, not %d", v.Function, MaxInvocations, v.Loop.Max)
	}
	return ""
}

func (v Invoke) checkChoice() string {
	total := 0.0
	seen := map[string]bool{}
	for _, o := range v.Choice {
		switch {
		case seen[o.Function]:
			return fmt.Sprintf("the choice has %s twice", optionName(o))
		case !(o.Probability > 0 && o.Probability <= 1):
			return fmt.Sprintf("the probability of %s in a choice must be above 0 and at most 1, not %v", optionName(o), o.Probability)
		}
		seen[o.Function] = true
		total += o.Probability
	}
	if math.Abs(total-1) > 1e-6 {
		return fmt.Sprintf("the probabilities of a choice must add up to 1, not %.9g", total)
	}
	return ""
}
