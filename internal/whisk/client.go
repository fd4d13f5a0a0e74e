package whisk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Options says where OpenWhisk is and how it is asked.
type Options struct {
	// Base is the address of the API, with or without /api/v1 at its end. It is needed; see [ParseAddress].
	Base *url.URL
	// Key is user:password. Alternatively KeyFile is the name of a file that contains it; it is read by New, and again when OpenWhisk
	// refuses the key, so that a key can be changed while the process runs.
	Key, KeyFile string
	// WithoutKey leaves the key to HTTP, whose transport authenticates the requests.
	WithoutKey bool
	// HTTP makes the requests; it is needed. Its connections are the caller's to close.
	HTTP *http.Client
	// Timeout bounds each request, but not the upload of code, which is given 5 min; 0 leaves both to the context.
	Timeout time.Duration
	// MaxAnswer is the size of the largest answer that is read, in bytes; 0 stands for 64 MiB.
	MaxAnswer int64
	// UserAgent is sent with each request, unless it is empty.
	UserAgent string
}

// Client makes the calls of OpenWhisk's API, in the namespace of its key. Each method makes one attempt; its error is an [*Error], or
// one that the method documents.
type Client struct {
	server  Server
	keyFile string

	mu  sync.Mutex
	key string
}

// New returns a client; it makes no request yet. A key that cannot be one, and a key file that cannot be read, are errors.
func New(o Options) (*Client, error) {
	if o.Base == nil || o.HTTP == nil {
		return nil, errors.New("a client of OpenWhisk needs an address and an HTTP client")
	}
	base := withoutAPI(o.Base)
	c := &Client{
		server: Server{
			Name: "OpenWhisk at " + DisplayAddress(base), Base: base, HTTP: o.HTTP, Timeout: o.Timeout, MaxAnswer: o.MaxAnswer, UserAgent: o.UserAgent,
		},
		keyFile: o.KeyFile, key: o.Key,
	}
	var err error
	switch {
	case o.KeyFile != "":
		_, err = c.readKey()
	case !o.WithoutKey:
		err = CheckKey(o.Key)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Name returns how the client's errors call OpenWhisk: with its address.
func (c *Client) Name() string { return c.server.Name }

// Collection is a kind of things that a namespace has.
type Collection string

// The collections that [Client.Check] can ask for.
const (
	Packages    Collection = "packages"
	Activations Collection = "activations"
)

// Check lists one entry of a collection, which needs a key that may read it. It returns nil if all is well.
func (c *Client) Check(ctx context.Context, collection Collection) error {
	var some []struct{}
	return c.do(ctx, Request{Method: http.MethodGet, Path: namespace + string(collection), Query: url.Values{"limit": {"1"}}}, &some)
}

// actions is the collection of actions, in packages or not.
const actions = "actions"
