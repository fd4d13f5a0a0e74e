package filestorage

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"
)

// client is a client of the storage that refuses new data while there is less room than its reserve.
type client struct {
	storage.Client
	logger *zap.Logger
	volume *volume
	file   string
	moves  bool // what it stores moves on to the file of another client

	mu          sync.Mutex
	sizes       map[string]int64 // of the entries in the file, by key
	used        int64            // their sum
	restoring   int64            // what their sum may be at the start, until an item is taken from the exporter's queue
	refused     int              // number of refusals since the last log entry
	lastWarning time.Time        // of the last log entry that data is refused
	lastError   time.Time        // of the last log entry that an operation failed
}

// newClient returns a client over inner, whose data is in the file.
func newClient(ctx context.Context, inner storage.Client, logger *zap.Logger, v *volume, file string, moves bool) (storage.Client, error) {
	c := &client{Client: inner, logger: logger, volume: v, file: file, moves: moves, sizes: map[string]int64{}}
	defer v.add(c)
	walker, ok := inner.(storage.Walker)
	if !ok {
		return c, nil
	}
	err := walker.Walk(ctx, func(key string, value []byte) ([]*storage.Operation, error) {
		c.note(storage.SetOperation(key, value))
		return nil, nil
	})
	c.restoring = c.used + int64(64*len(c.sizes)) // the new keys may be longer, and so may be the queue's notes
	return &walkingClient{c, walker}, err
}

// note keeps account of an operation that was executed. The lock is held, except while the client is made.
func (c *client) note(op *storage.Operation) {
	if op.Type == storage.Get {
		return
	}
	c.used -= c.sizes[op.Key]
	delete(c.sizes, op.Key)
	if op.Type == storage.Set {
		size := int64(len(op.Key) + len(op.Value))
		c.sizes[op.Key] = size
		c.used += size
	}
}

// walkingClient is a client of a storage that can list its keys.
type walkingClient struct {
	*client
	storage.Walker
}

func (c *client) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := c.Batch(ctx, op)
	return op.Value, err
}

func (c *client) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *client) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

// Batch executes operations. If reads stand beside writes and the writes fail, the reads are executed without them: the exporter's queue
// would lose an item that it cannot note to be under way, while without the note it is at worst delivered twice.
func (c *client) Batch(ctx context.Context, ops ...*storage.Operation) error {
	size := newData(ops)
	if size > 0 && !c.isRestored(size) {
		if err := c.admit(size); err != nil {
			return err
		}
	}
	err := c.Client.Batch(ctx, ops...)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		reads, writes := false, false
		for _, op := range ops {
			c.note(op)
			reads = reads || op.Type == storage.Get
			writes = writes || op.Type == storage.Set
		}
		if reads && writes {
			c.restoring = 0 // an item was taken
		}
		return nil
	}
	c.warn("The storage cannot be written", err)
	if size > 0 {
		return err
	}
	var reads []*storage.Operation
	for _, op := range ops {
		if op.Type == storage.Get {
			reads = append(reads, op)
		}
	}
	if len(reads) == 0 || len(reads) == len(ops) {
		return err
	}
	return c.Client.Batch(ctx, reads...)
}

// Close closes the client and its file.
func (c *client) Close(ctx context.Context) error {
	c.volume.remove(c)
	return c.Client.Close(ctx)
}

// isRestored reports whether the data that operations add was there when the client was made. At its start the exporter's queue removes the
// items that were under way when the last process ended, and then adds them again; refusing them would lose them.
func (c *client) isRestored(size int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.moves && c.used+size <= c.restoring
}

// admit returns an error if there is no room for new data of the given size.
func (c *client) admit(size int64) error {
	err := c.volume.admit(c, size)
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
	if now := time.Now(); now.Sub(c.lastWarning) >= time.Minute {
		c.logger.Error("The volume of the storage is full up to the reserve; new data is refused, and its senders are asked to retry",
			zap.Error(err), zap.Int("refused", c.refused))
		c.lastWarning, c.refused = now, 0
	}
	return err
}

// load returns the size of the data in the file, and how much more fits into what the file occupies: it does not shrink when data is
// removed. Its pages are half full at worst.
func (c *client) load(occupied int64) (used, spare int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used, max(occupied-2*c.used-overhead, 0)
}

// warn logs an error, at most once a minute.
func (c *client) warn(text string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.lastError) >= time.Minute {
		c.logger.Error(text, zap.Error(err), zap.Bool("full", errors.Is(err, storage.ErrStorageFull)))
		c.lastError = now
	}
}

// overhead is the size of what a file has beside its data.
const overhead = 64 << 10

// newData returns the size of what operations add to the storage, 0 if they only change or remove what is there. The items of an exporter's
// queue have their numbers as keys, the batches of the openwhisk processor batch/NUMBER.
func newData(ops []*storage.Operation) int64 {
	size := int64(0)
	for _, op := range ops {
		if op.Type == storage.Set && isNumber(strings.TrimPrefix(op.Key, "batch/")) {
			size += int64(len(op.Key) + len(op.Value))
		}
	}
	return size
}

func isNumber(key string) bool {
	return key != "" && strings.Trim(key, "0123456789") == ""
}
