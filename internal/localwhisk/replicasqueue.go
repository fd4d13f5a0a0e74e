package localwhisk

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Jitter is what is random about the time until a message is sent again.
type Jitter uint8

const (
	// NoJitter: nothing.
	NoJitter Jitter = iota
	// FullJitter: it is anything up to the whole time.
	FullJitter
	// EqualJitter: it is from half of the time to the whole.
	EqualJitter
)

// QueueConfig is how the messages of an asynchronous queue are sent. The zero value has what OpenFaaS Pro is installed with.
type QueueConfig struct {
	// InFlight is the number of messages that are being sent at once. 0 means 50. (Community Edition has 1.)
	InFlight int
	// Initial is the time until a message is sent a second time, each further time twice as long up to Longest. 0 means 10 s and 120 s.
	Initial, Longest time.Duration
	// Attempts is how often a message is sent before it is dropped. 0 means 100.
	Attempts int
	// Again are the statuses with which a message is sent again. Empty means 408, 429, 500, 502, 503 and 504.
	Again []int
	// Jitter is what is random about the times in between.
	Jitter Jitter
}

// MessageQueue is a queue of asynchronous invocations in front of a function: a worker takes its messages in order, sends each as a request,
// and sends those again later that were not answered well. A message that waits to be sent again does not count as being sent.
type MessageQueue struct {
	replicas *Replicas
	config   QueueConfig
	jitter   *rand.Rand
	ready    []*message // to be sent now
	sending  bool       // send is at it
	counts   QueueCounts
}

// QueueCounts counts messages since the beginning: those that were sent to the queue are the sum of the others.
type QueueCounts struct {
	Sent uint64
	// Done were answered with a status that is final, Dropped were sent too often. Again counts the times that one was sent again.
	Done, Dropped, Again uint64
	// Pending are in the queue, those among them that wait to be sent again too; InFlight are being sent.
	Pending, InFlight int
}

type message struct {
	queue    *MessageQueue
	params   any
	done     func(Response)
	attempts int
}

// NewMessageQueue returns an empty queue in front of replicas. An error names the first value that is out of range.
func NewMessageQueue(replicas *Replicas, config QueueConfig, seed uint64) (*MessageQueue, error) {
	if config.InFlight == 0 {
		config.InFlight = 50
	}
	if config.Initial == 0 {
		config.Initial = 10 * time.Second
	}
	if config.Longest == 0 {
		config.Longest = 120 * time.Second
	}
	if config.Attempts == 0 {
		config.Attempts = 100
	}
	if len(config.Again) == 0 {
		config.Again = []int{
			http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout,
		}
	}
	if config.InFlight < 0 || config.Initial < 0 || config.Longest < config.Initial || config.Attempts < 0 {
		return nil, fmt.Errorf("localwhisk: queue: InFlight (%d), Initial (%v) and Attempts (%d) must not be negative, nor Longest (%v) be less than Initial",
			config.InFlight, config.Initial, config.Attempts, config.Longest)
	}
	if config.Jitter > EqualJitter {
		return nil, errors.New("localwhisk: queue: unknown Jitter")
	}
	return &MessageQueue{replicas: replicas, config: config, jitter: randomStream(seed, "jitter of "+replicas.config.Name)}, nil
}

// Counts returns the counts of messages.
func (q *MessageQueue) Counts() QueueCounts { return q.counts }

// Send puts a message into the queue. When it is done, or dropped, done is called with the last response, unless it is nil; Arrival is that of
// the last request.
func (q *MessageQueue) Send(params any, done func(Response)) {
	q.counts.Sent++
	q.counts.Pending++
	q.ready = append(q.ready, &message{queue: q, params: params, done: done})
	q.send()
}

// send sends messages while it may.
func (q *MessageQueue) send() {
	if q.sending {
		return
	}
	q.sending = true
	defer func() { q.sending = false }()
	for len(q.ready) > 0 && q.counts.InFlight < q.config.InFlight {
		m := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		q.counts.Pending--
		q.counts.InFlight++
		m.attempts++
		q.replicas.Invoke(m.params, m.answered)
	}
}

// answered handles the response to a message.
func (m *message) answered(r Response) {
	q := m.queue
	q.counts.InFlight--
	again := slices.Contains(q.config.Again, r.Status)
	if again && m.attempts < q.config.Attempts {
		q.counts.Again++
		q.counts.Pending++
		q.replicas.clock.callAfter(q.wait(m.attempts), sendAgain, m)
		q.send()
		return
	}
	if again {
		q.counts.Dropped++
	} else {
		q.counts.Done++
	}
	if m.done != nil {
		m.done(r)
	}
	q.send()
}

// sendAgain puts a message that has waited into the queue, as the last one.
func sendAgain(arg any) {
	m := arg.(*message)
	m.queue.ready = append(m.queue.ready, m)
	m.queue.send()
}

// wait returns the time until a message is sent again that was sent a number of times.
func (q *MessageQueue) wait(attempts int) time.Duration {
	d := q.config.Initial
	for i := 1; i < attempts && d < q.config.Longest; i++ {
		d *= 2
	}
	d = min(d, q.config.Longest)
	switch q.config.Jitter {
	case FullJitter:
		return time.Duration(q.jitter.Float64() * float64(d))
	case EqualJitter:
		return d/2 + time.Duration(q.jitter.Float64()*float64(d/2))
	}
	return d
}
