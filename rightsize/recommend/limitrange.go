package recommend

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/tppfaas/tppfaas/rightsize"
)

// LimitRange is what a namespace of Kubernetes allows containers: of one resource each, by rightsize.Resource. The zero value allows everything.
type LimitRange [2]Range

// Range is what is allowed of a resource, in bytes or cores. 0 is unbounded, or none.
type Range struct {
	Min, Max float64
	Default  float64 // limit of containers that have none
	Ratio    float64 // of limit to request, at most
}

// ReadLimitRange reads LimitRange objects from a YAML or JSON document, or several; others are left out. Bounds of containers hold, and those of pods,
// taking a pod for one container. Where several bound the same the narrowest holds.
func ReadLimitRange(r io.Reader) (LimitRange, error) {
	var l LimitRange
	found := false
	documents := utilyaml.NewYAMLReader(bufio.NewReader(io.LimitReader(r, 1<<20)))
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l, err
		}
		var kind struct {
			metav1.TypeMeta
			Items []corev1.LimitRange `json:"items"`
		}
		if err := yaml.Unmarshal(text, &kind); err != nil {
			return l, fmt.Errorf("not a LimitRange: %w", err)
		}
		items := kind.Items
		if kind.Kind == "LimitRange" {
			var one corev1.LimitRange
			if err := yaml.UnmarshalStrict(text, &one); err != nil {
				return l, fmt.Errorf("LimitRange: %w", err)
			}
			items = append(items, one)
		}
		for _, item := range items {
			if item.Kind != "LimitRange" && item.Kind != "" {
				continue
			}
			found = true
			for _, bounds := range item.Spec.Limits {
				l.add(bounds)
			}
		}
	}
	if !found {
		return l, errors.New("there is no LimitRange in it")
	}
	return l, l.check()
}

func (l *LimitRange) add(bounds corev1.LimitRangeItem) {
	if bounds.Type != corev1.LimitTypeContainer && bounds.Type != corev1.LimitTypePod {
		return
	}
	for _, resource := range rightsize.Resources {
		name := corev1.ResourceMemory
		if resource == rightsize.CPU {
			name = corev1.ResourceCPU
		}
		value := func(list corev1.ResourceList) float64 {
			q := list[name]
			return q.AsApproximateFloat64()
		}
		r := &l[resource]
		r.Min = max(r.Min, value(bounds.Min))
		r.Max = narrower(r.Max, value(bounds.Max))
		r.Ratio = narrower(r.Ratio, value(bounds.MaxLimitRequestRatio))
		if bounds.Type == corev1.LimitTypeContainer {
			r.Default = narrower(r.Default, value(bounds.Default))
			if value(bounds.Default) == 0 {
				r.Default = narrower(r.Default, value(bounds.Max)) // as the API server fills it in
			}
		}
	}
}

// narrower returns the smaller of two bounds of which 0 is none.
func narrower(a, b float64) float64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (l *LimitRange) check() error {
	for _, resource := range rightsize.Resources {
		r := l[resource]
		switch {
		case r.Max > 0 && r.least(resource) > r.most(resource):
			return fmt.Errorf("LimitRange: %s: min %g is above max %g, or no whole unit lies between them", resource, r.Min, r.Max)
		case r.Ratio != 0 && r.Ratio < 1:
			return fmt.Errorf("LimitRange: %s: maxLimitRequestRatio %g is below 1", resource, r.Ratio)
		case r.Min < 0 || r.Max < 0 || r.Default < 0 || math.IsInf(r.Max, 0):
			return fmt.Errorf("LimitRange: %s: a bound is no amount", resource)
		}
	}
	return nil
}

// unit is the step in which a resource is written.
func unit(resource rightsize.Resource) float64 {
	if resource == rightsize.CPU {
		return cpuStep
	}
	return memoryStep
}

func (r *Range) least(resource rightsize.Resource) float64 {
	return math.Ceil(r.Min/unit(resource)-1e-9) * unit(resource)
}

func (r *Range) most(resource rightsize.Resource) float64 {
	return math.Floor(r.Max/unit(resource)+1e-9) * unit(resource)
}

// Apply returns limits that the LimitRange allows, whole in Mi and m where it changes them, and what it changed, a line each. A limit is brought into the bounds; one that is
// missing becomes the largest that is allowed beside the request, where Kubernetes would put in its default or refuse the container; a request
// stays at most the limit, and becomes as large as the ratio asks for.
func (l *LimitRange) Apply(limits Limits) (Limits, []string) {
	var notes []string
	one := func(resource rightsize.Resource, request, limit *float64, format func(float64) string) {
		r := &l[resource]
		set := func(what string, value *float64, to float64, why string) {
			if *value != to {
				notes = append(notes, fmt.Sprintf("%s %s %s: %s of the LimitRange", resource, what, format(to), why))
				*value = to
			}
		}
		bounded := func(what string, value *float64) {
			if *value == 0 {
				return
			}
			if r.Max > 0 && *value > r.most(resource) {
				set(what, value, r.most(resource), "max")
			}
			if *value < r.least(resource) {
				set(what, value, r.least(resource), "min")
			}
		}
		bounded("request", request)
		if *limit == 0 {
			most, why := r.most(resource), "max, where there must be one,"
			if most == 0 && r.Default > 0 {
				most, why = math.Ceil(max(r.Default, *request)/unit(resource)-1e-9)*unit(resource), "default"
			}
			if asked := math.Floor(*request*r.Ratio/unit(resource)+1e-9) * unit(resource); asked > 0 && (most == 0 || asked < most) {
				most, why = asked, "maxLimitRequestRatio, which asks for one,"
			}
			set("limit", limit, most, why)
		}
		bounded("limit", limit)
		if *limit > 0 && *request > *limit {
			set("request", request, *limit, "the limit, by max")
		}
		if r.Ratio > 0 && *limit > 0 && *request > 0 && *limit > *request*r.Ratio {
			set("request", request, min(math.Ceil(*limit/r.Ratio/unit(resource)-1e-9)*unit(resource), *limit), "maxLimitRequestRatio")
		}
	}
	one(rightsize.Memory, &limits.MemoryRequest, &limits.MemoryLimit, rightsize.FormatMemory)
	one(rightsize.CPU, &limits.CPURequest, &limits.CPULimit, rightsize.FormatCPU)
	return limits, notes
}
