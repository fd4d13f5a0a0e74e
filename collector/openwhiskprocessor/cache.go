package openwhiskprocessor

import (
	"container/list"
	"sync"
	"time"

	"github.com/tppfaas/tppfaas/internal/whisk"
)

// cache holds the records that were used most recently, each for a limited time. It is safe for concurrent use.
type cache struct {
	config CacheConfig

	mu     sync.Mutex
	byID   map[string]*list.Element
	recent *list.List // of *cached, most recently used first
}

type cached struct {
	id      string
	record  whisk.Record
	expires time.Time
}

func newCache(config CacheConfig) *cache {
	return &cache{config: config, byID: map[string]*list.Element{}, recent: list.New()}
}

func (c *cache) put(id string, r whisk.Record, now time.Time) {
	if c.config.Size == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[id]; ok {
		c.remove(e)
	}
	for len(c.byID) >= c.config.Size {
		c.remove(c.recent.Back())
	}
	c.byID[id] = c.recent.PushFront(&cached{id, r, now.Add(c.config.TTL)})
}

// get returns the record of an activation, or nil if it is not in the cache. The record must not be changed.
func (c *cache) get(id string, now time.Time) *whisk.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byID[id]
	if !ok {
		return nil
	}
	entry := e.Value.(*cached)
	if now.After(entry.expires) {
		c.remove(e)
		return nil
	}
	c.recent.MoveToFront(e)
	return &entry.record
}

func (c *cache) remove(e *list.Element) {
	delete(c.byID, c.recent.Remove(e).(*cached).id)
}
