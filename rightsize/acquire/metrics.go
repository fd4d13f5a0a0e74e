package acquire

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tppfaas/tppfaas/internal/httpclient"
	"github.com/tppfaas/tppfaas/internal/whisk"
	"github.com/tppfaas/tppfaas/rightsize"
)

const maxPodMetrics = 64 << 20 // bytes of a document

// MetricsOptions says where the Metrics API of Kubernetes is. Address or Reader must be set.
type MetricsOptions struct {
	// Address is the URL of the PodMetrics of a namespace, or of an API server (such as kubectl proxy is), which is then asked for those of Namespace.
	Address string
	// Reader has what was answered, as kubectl get --raw prints it: a document, or one after the other. Name is that of the file, for errors.
	Reader io.Reader
	Name   string
	// Namespace is that of the functions; "" stands for openfaas-fn. Container is that of the function in its pods; "" stands for the one of the function's name,
	// or the only one.
	Namespace, Container string
	// Timeout bounds each question; 0 stands for 10 s. Attempts is how often it is asked at most; 0 stands for 3.
	Timeout  time.Duration
	Attempts int
	Access
}

// Metrics is a Source of the Metrics API of Kubernetes, which knows the present alone.
type Metrics struct {
	o MetricsOptions
}

// NewMetrics returns a Metrics; it asks and reads nothing yet.
func NewMetrics(o MetricsOptions) (*Metrics, error) {
	o.Namespace = cmp.Or(o.Namespace, "openfaas-fn")
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	o.Attempts = cmp.Or(o.Attempts, 3)
	switch {
	case (o.Reader == nil) == (o.Address == ""):
		return nil, errors.New("the Metrics API needs an address, or what it answered, and not both")
	case o.Timeout < 0 || o.Attempts < 0:
		return nil, errors.New("the timeout and the attempts cannot be negative")
	case !isName(o.Namespace):
		return nil, fmt.Errorf("%q is no name of a namespace", o.Namespace)
	}
	if o.Address != "" {
		if _, _, _, err := o.transport("the Metrics API", o.Address, httpclient.Options{}); err != nil {
			return nil, err
		}
	}
	return &Metrics{o}, nil
}

// podMetrics is a PodMetrics of metrics.k8s.io/v1beta1, a list of them, or a Status.
type podMetrics struct {
	Kind     string
	Message  string // of a Status
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Timestamp  time.Time
	Window     string
	Containers []struct {
		Name  string
		Usage struct{ CPU, Memory string }
	}
	Items []podMetrics
}

// Acquire asks at each step, or reads to the end.
func (m *Metrics) Acquire(ctx context.Context, r Request) (*Result, error) {
	step := r.Step
	if err := r.check(); err != nil {
		return nil, err
	}
	f := follower{o: &m.o, r: &r, pods: map[string]bool{}}
	var samples []Sample
	var err error
	name := m.o.Name
	if m.o.Reader != nil {
		samples, err = f.read(ctx)
	} else {
		var transport *httpclient.Transport
		var base string
		transport, base, name, err = m.o.transport("the Metrics API", m.o.Address, httpclient.Options{
			Attempts: m.o.Attempts, Timeout: m.o.Timeout, MaxAnswer: maxPodMetrics,
		})
		if err != nil {
			return nil, err
		}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		url := withPods(base, m.o.Namespace)
		step = 0 // the cluster measures less often, perhaps
		samples, err = live(ctx, &r, func(time.Time) (Sample, bool, error) {
			answer, err := fetch(ctx, client, url)
			if err != nil {
				return Sample{}, false, fmt.Errorf("%s: %w", name, err)
			}
			return f.take(answer)
		})
	}
	if len(samples) == 0 {
		if err == nil {
			err = ctx.Err() // before the first answer
		}
		if err == nil {
			err = fmt.Errorf("%s: nothing is known of %s: of %d pods none is its own, in the namespace %s", name, r.Function, f.others, m.o.Namespace)
		}
		return nil, err
	}
	result := f.result
	result.Pods = len(f.pods)
	if cerr := result.complete(r.Function, samples, step); cerr != nil {
		return nil, cerr
	}
	return &result, err
}

// withPods returns the address of the PodMetrics of a namespace at a server, unless it already is one.
func withPods(address, namespace string) string {
	if strings.Contains(address, "/metrics.k8s.io/") {
		return address
	}
	return address + "/apis/metrics.k8s.io/v1beta1/namespaces/" + namespace + "/pods"
}

// fetch asks for a document.
func fetch(ctx context.Context, client *http.Client, url string) (*podMetrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, httpclient.Plain(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer podMetrics
	wrong := json.Unmarshal(text, &answer)
	if response.StatusCode != http.StatusOK {
		reason := whisk.OneLine(string(text))
		if wrong == nil && answer.Message != "" {
			reason = whisk.OneLine(answer.Message)
		}
		err := fmt.Errorf("it answers %s: %s", response.Status, reason)
		if response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden {
			err = &finalError{err}
		}
		return nil, err
	}
	if wrong != nil {
		return nil, fmt.Errorf("its answer is no JSON of PodMetrics: %w", wrong)
	}
	return &answer, nil
}

// follower makes samples of documents.
type follower struct {
	o      *MetricsOptions
	r      *Request
	pods   map[string]bool // that were seen
	others int             // pods of the last document
	result Result
}

// read makes samples of all documents of the reader. Where the context ends while the reader blocks, that is left to itself.
func (f *follower) read(ctx context.Context) ([]Sample, error) {
	type read struct {
		document podMetrics
		err      error
	}
	all := make(chan read)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(all)
		bounded := &boundedReader{r: f.o.Reader}
		documents := json.NewDecoder(bounded)
		for {
			bounded.left = maxPodMetrics
			var next read
			next.err = documents.Decode(&next.document)
			select {
			case all <- next:
			case <-ctx.Done():
				return
			}
			if next.err != nil {
				return
			}
		}
	}()
	samples := slices.Clone(f.r.Earlier)
	for n := 1; ; n++ {
		var next read
		select {
		case next = <-all:
		case <-ctx.Done():
			return samples, ended(ctx, f.r)
		}
		if errors.Is(next.err, io.EOF) {
			return samples, nil
		}
		if next.err != nil {
			return samples, fmt.Errorf("%s: document %d is no JSON of PodMetrics: %w", f.o.Name, n, next.err)
		}
		s, ok, err := f.take(&next.document)
		if err != nil {
			return samples, fmt.Errorf("%s: document %d: %w", f.o.Name, n, err)
		}
		t := time.UnixMilli(s.Time)
		if !ok || len(samples) > 0 && s.Time <= samples[len(samples)-1].Time || t.Before(f.r.From) || !f.r.To.IsZero() && t.After(f.r.To) {
			continue
		}
		samples = append(samples, s)
		if f.r.OnSample != nil {
			if err := f.r.OnSample(s); err != nil {
				return samples, err
			}
		}
		f.r.progress(len(samples), 0)
	}
}

// boundedReader ends with an error where it has read more than it may.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("it has more than %d bytes", maxPodMetrics)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}

// take makes a sample of a document: the most of the pods of the function. ok is false if it has none.
func (f *follower) take(document *podMetrics) (s Sample, ok bool, err error) {
	pods := document.Items
	switch document.Kind {
	case "PodMetrics":
		pods = []podMetrics{*document}
	case "PodMetricsList", "List":
	case "Status":
		return s, false, fmt.Errorf("the answer of Kubernetes: %s", whisk.OneLine(document.Message))
	default:
		return s, false, fmt.Errorf("it is of the kind %.100q: PodMetricsList or PodMetrics is due", document.Kind)
	}
	f.others = len(pods)
	s.Memory, s.CPU = math.NaN(), math.NaN()
	var names []string
	var own []podMetrics
	for _, pod := range pods {
		if !f.isOwn(&pod) {
			continue
		}
		own = append(own, pod)
		for _, c := range pod.Containers {
			if c.Name != "POD" {
				names = append(names, c.Name)
			}
		}
	}
	if len(names) == 0 {
		return s, false, nil
	}
	container, err := chooseContainer(f.r.Function, f.o.Container, names)
	if err != nil {
		return s, false, err
	}
	if left := slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(names))), func(n string) bool { return n == container }); len(left) > 0 {
		f.result.note("left out, as %s has the container %s: the containers %s", f.r.Function, container, strings.Join(left, ", "))
	}
	for _, pod := range own {
		found := false
		for _, c := range pod.Containers {
			if c.Name != container {
				continue
			}
			found = true
			for r, text := range [...]string{rightsize.Memory: c.Usage.Memory, rightsize.CPU: c.Usage.CPU} {
				v, err := rightsize.ParseQuantity(text)
				if err == nil && v >= 1<<63 {
					err = fmt.Errorf("quantity %q: it must be below 2^63", text)
				}
				if err != nil {
					return s, false, fmt.Errorf("pod %.100s, container %.100s, %s: %w", pod.Metadata.Name, c.Name, rightsize.Resource(r), err)
				}
				if rightsize.Resource(r) == rightsize.CPU {
					s.CPU = larger(s.CPU, v)
				} else {
					s.Memory = larger(s.Memory, v)
				}
			}
		}
		if !found {
			continue
		}
		if pod.Timestamp.IsZero() {
			return s, false, fmt.Errorf("pod %.100s has no timestamp", pod.Metadata.Name)
		}
		s.Time = max(s.Time, pod.Timestamp.UnixMilli())
		s.Pods++
		if len(f.pods) < maxPods {
			f.pods[pod.Metadata.Name] = true
		}
	}
	return s, true, nil
}

// maxPods bounds the names of pods that are remembered.
const maxPods = 100_000

// isOwn reports whether a pod is one of the function: by OpenFaaS's label, else by its name, FUNCTION-….
func (f *follower) isOwn(pod *podMetrics) bool {
	if pod.Metadata.Namespace != "" && pod.Metadata.Namespace != f.o.Namespace {
		return false
	}
	if name, labelled := pod.Metadata.Labels["faas_function"]; labelled {
		return name == f.r.Function
	}
	return strings.HasPrefix(pod.Metadata.Name, f.r.Function+"-")
}
